//! What is behind the object: a sky with hills over a ground, a room, or colours without a meaning.

use glam::{Vec2, Vec3};

use crate::light::Light;
use crate::noise;
use crate::paint::{self, Pattern, Texture, hsv};
use crate::random::Dice;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Outdoors,
    Room,
    Abstract,
    Studio,
}

/// A background, as a function of the ray.
#[derive(Clone, Debug)]
pub(crate) struct Backdrop {
    kind: Kind,
    /// Height of the ground; none below what flies.
    ground: Option<f32>,
    floor: Texture,
    wall: Texture,
    high: Vec3,
    low: Vec3,
    hills: f32,
    /// The room's far wall: its normal, towards the camera, and how far it is along it.
    plane: (Vec3, f32),
    middle: Vec3,
    radius: f32,
    salt: u32,
}

impl Backdrop {
    /// A background for an object of this radius around `middle`; more of a mess with more `strength`.
    pub(crate) fn new(
        dice: &mut Dice,
        to_camera: Vec3,
        middle: Vec3,
        radius: f32,
        ground: Option<f32>,
        strength: f32,
    ) -> Backdrop {
        let kind = if dice.chance(0.45 - 0.3 * strength) {
            Kind::Studio
        } else if ground.is_none() {
            dice.pick([Kind::Outdoors, Kind::Outdoors, Kind::Abstract])
        } else {
            dice.pick([Kind::Outdoors, Kind::Outdoors, Kind::Room, Kind::Room, Kind::Abstract])
        };
        let sky = hsv(dice.range(0.5, 0.68), dice.range(0.0, 0.6), dice.range(0.5, 1.0));
        let (high, low) = match kind {
            Kind::Outdoors => (sky, sky.lerp(Vec3::splat(0.85), dice.range(0.2, 0.8))),
            _ => (paint::any_colour(dice), paint::any_colour(dice)),
        };
        let floor = floor(dice, kind, radius);
        let colours = [paint::any_colour(dice), paint::any_colour(dice)];
        let colours = [colours[0], colours[0].lerp(colours[1], dice.range(0.1, 1.0))];
        use Pattern::{Checks, Fibres, Mottled, Patches, Plain, Spots, Stripes};
        let pattern = dice.pick([Plain, Mottled, Mottled, Patches, Patches, Stripes, Spots, Checks, Fibres]);
        let scale = dice.range(-0.5, 1.6).exp() / radius;
        let wall = Texture { axis: dice.cube().normalize_or(Vec3::X), ..Texture::of(dice, pattern, colours, scale) };
        let level = Vec3::new(to_camera.x, 0.0, to_camera.z).normalize_or(Vec3::X);
        let (s, c) = dice.range(-0.6, 0.6).sin_cos();
        let normal = Vec3::new(level.x * c - level.z * s, 0.0, level.x * s + level.z * c);
        Backdrop {
            kind,
            ground,
            floor,
            wall,
            high,
            low,
            hills: dice.range(-0.1, 0.35),
            plane: (normal, dice.range(1.1, 3.0) * radius),
            middle,
            radius,
            salt: dice.bits() & 0xffff,
        }
    }

    /// The colour along a ray from `eye`, not yet exposed; `pixel` runs over the unit square.
    pub(crate) fn colour(&self, light: &Light, eye: Vec3, ray: Vec3, pixel: Vec2) -> Vec3 {
        if self.kind == Kind::Studio {
            let t = (pixel.y + 0.35 * (pixel.x - 0.5)).clamp(0.0, 1.0);
            let plain = self.high.lerp(self.low, t);
            return match self.ground_hit(eye, ray) {
                Some((point, _)) => self.grounded(light, plain, point),
                None => plain * light.overall(),
            };
        }
        if self.kind == Kind::Abstract {
            let p = Vec3::new(pixel.x, pixel.y, 0.0) * (2.0 + self.wall.scale * self.radius);
            let mix = noise::fractal(p, 3, self.salt);
            return (self.high.lerp(self.low, (mix * 2.0 - 0.5).clamp(0.0, 1.0))).lerp(self.wall.at(p), 0.5)
                * light.overall();
        }
        let floor = self.ground_hit(eye, ray);
        if self.kind == Kind::Room {
            let (normal, distance) = self.plane;
            let slope = ray.dot(normal);
            let reach = ((self.middle - eye).dot(normal) - distance) / slope;
            let behind = slope < 0.0 && floor.is_none_or(|(_, t)| reach < t);
            if behind {
                let point = eye + ray * reach;
                let fade = 0.85 + 0.15 * ((point.y - self.middle.y) / (2.0 * self.radius)).clamp(-1.0, 1.0);
                return self.wall.at(point) * light.overall() * fade;
            }
        }
        let direction = ray.normalize_or(Vec3::X);
        match floor {
            Some((point, t)) => {
                let far = (t * ray.length() / (14.0 * self.radius)).min(1.0);
                let near = self.grounded(light, self.floor.at(point), point);
                near.lerp(self.low * light.overall(), far * far * 0.8)
            }
            None => self.sky(direction) * light.overall(),
        }
    }

    fn ground_hit(&self, eye: Vec3, ray: Vec3) -> Option<(Vec3, f32)> {
        let t = (self.ground? - eye.y) / ray.y;
        (ray.y < 0.0 && t > 0.0).then(|| (eye + ray * t, t))
    }

    /// Ground with the object's shadow, and darker where the object stands.
    fn grounded(&self, light: &Light, albedo: Vec3, point: Vec3) -> Vec3 {
        let away = Vec2::new(point.x - self.middle.x, point.z - self.middle.z).length() / self.radius;
        let cover = 1.0 - 0.35 * (1.0 - away).clamp(0.0, 1.0);
        light.on_ground(albedo, point) * cover
    }

    fn sky(&self, direction: Vec3) -> Vec3 {
        let bearing = Vec3::new(direction.x, 0.0, direction.z).normalize_or(Vec3::X);
        let ridge = self.hills * noise::fractal(bearing * 4.0, 3, self.salt) - 0.03;
        if self.ground.is_some() && direction.y < ridge {
            return self.wall.at(Vec3::new(bearing.x * 9.0, direction.y * 18.0, bearing.z * 9.0) * 0.35) * 0.75;
        }
        let clouds = noise::fractal(direction * Vec3::new(2.0, 5.0, 2.0), 3, self.salt + 9);
        let cover = ((clouds - 0.5) * 4.0).clamp(0.0, 1.0) * 0.8;
        self.low.lerp(self.high, (direction.y * 1.8).clamp(0.0, 1.0)).lerp(Vec3::splat(0.9), cover)
    }
}

fn floor(dice: &mut Dice, kind: Kind, radius: f32) -> Texture {
    let colour = match (kind, dice.below(4)) {
        (Kind::Outdoors, 0 | 1) => hsv(dice.range(0.18, 0.38), dice.range(0.3, 0.8), dice.range(0.25, 0.7)),
        (Kind::Outdoors, 2) => paint::grey(dice, 0.2, 0.75),
        (Kind::Outdoors, _) => paint::brown(dice),
        (_, 0 | 1) => paint::brown(dice),
        _ => paint::any_colour(dice),
    };
    let other = colour * dice.range(0.35, 0.9) + 0.1 * paint::any_colour(dice);
    let pattern = match kind {
        Kind::Room => dice.pick([Pattern::Fibres, Pattern::Checks, Pattern::Mottled, Pattern::Plain]),
        _ => dice.pick([Pattern::Mottled, Pattern::Mottled, Pattern::Patches, Pattern::Fibres]),
    };
    let scale = dice.range(0.8, 2.6).exp() / radius;
    Texture::of(dice, pattern, [colour, other], scale)
}
