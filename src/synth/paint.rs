//! What surfaces look like: colours, solid textures, and decals that lie at a place of a part.

use glam::Vec3;

use crate::noise;
use crate::random::Dice;

/// A colour of hue, saturation and value in `[0, 1]`, as linear light.
pub(crate) fn hsv(hue: f32, saturation: f32, value: f32) -> Vec3 {
    let channel = |n: f32| {
        let k = (n + hue.rem_euclid(1.0) * 6.0).rem_euclid(6.0);
        value - value * saturation * k.min(4.0 - k).clamp(0.0, 1.0)
    };
    linear(Vec3::new(channel(5.0), channel(3.0), channel(1.0)))
}

/// Linear light of a colour as it is displayed, with a gamma of 2.
pub(crate) fn linear(displayed: Vec3) -> Vec3 {
    displayed * displayed
}

/// Any colour.
pub(crate) fn any_colour(dice: &mut Dice) -> Vec3 {
    hsv(dice.unit(), dice.unit().powf(0.7), dice.range(0.12, 1.0))
}

/// A grey between two displayed values, with a breath of colour.
pub(crate) fn grey(dice: &mut Dice, low: f32, high: f32) -> Vec3 {
    hsv(dice.unit(), dice.range(0.0, 0.12), dice.range(low, high))
}

/// A brown, from cream to almost black: fur, wood, soil.
pub(crate) fn brown(dice: &mut Dice) -> Vec3 {
    hsv(dice.range(0.04, 0.11), dice.range(0.25, 0.75), dice.range(0.15, 0.9))
}

/// How two colours share a surface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// The first alone.
    Plain,
    /// Clouds of both.
    Mottled,
    /// Sharp-edged patches.
    Patches,
    /// Bands that waver.
    Stripes,
    /// Round spots.
    Spots,
    /// A chequer board in space.
    Checks,
    /// Long fibres, as of wood or hair.
    Fibres,
}

/// A texture that fills space.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Texture {
    /// How the colours are spread.
    pub(crate) pattern: Pattern,
    /// The two colours, linear.
    pub(crate) colours: [Vec3; 2],
    /// Repeats in a unit of length.
    pub(crate) scale: f32,
    /// Direction of stripes and fibres.
    pub(crate) axis: Vec3,
    /// Tells it from another of its kind.
    pub(crate) salt: u32,
}

impl Texture {
    /// One colour, with a little unevenness.
    pub(crate) fn plain(colour: Vec3) -> Texture {
        Texture { pattern: Pattern::Plain, colours: [colour, colour], scale: 6.0, axis: Vec3::Y, salt: 1 }
    }

    /// Two colours.
    pub(crate) fn of(dice: &mut Dice, pattern: Pattern, colours: [Vec3; 2], scale: f32) -> Texture {
        let axis = (Vec3::new(1.0, 0.15, 0.15) + 0.2 * dice.cube()).normalize_or(Vec3::X);
        Texture { pattern, colours, scale, axis, salt: dice.bits() & 0xffff }
    }

    /// Anything at all.
    pub(crate) fn any(dice: &mut Dice) -> Texture {
        use Pattern::{Checks, Fibres, Mottled, Patches, Plain, Spots, Stripes};
        let pattern = dice.pick([Plain, Plain, Mottled, Mottled, Patches, Stripes, Spots, Checks, Fibres]);
        let colours = [any_colour(dice), any_colour(dice)];
        let scale = (dice.range(1.0, 3.2)).exp();
        let axis = dice.cube().normalize_or(Vec3::X);
        Texture { axis, ..Texture::of(dice, pattern, colours, scale) }
    }

    /// The colour at a point of the object.
    pub(crate) fn at(&self, point: Vec3) -> Vec3 {
        let p = point * self.scale;
        let edge = |x: f32, width: f32| (x / width + 0.5).clamp(0.0, 1.0);
        let mix = match self.pattern {
            Pattern::Plain => return self.colours[0] * (0.94 + 0.12 * noise::value(p, self.salt)),
            Pattern::Mottled => noise::fractal(p, 3, self.salt),
            Pattern::Patches => edge(noise::fractal(p * 0.6, 2, self.salt) - 0.5, 0.04),
            Pattern::Stripes => {
                let phase = p.dot(self.axis) * 2.0 + 1.2 * noise::value(p * 0.7, self.salt);
                edge((phase * std::f32::consts::PI).sin(), 0.5)
            }
            Pattern::Spots => {
                let nearest = (p - p.round()).length() + 0.25 * noise::value(p * 1.7, self.salt);
                edge(0.42 - nearest, 0.08)
            }
            Pattern::Checks => {
                let cell = p.floor();
                (cell.x + cell.y + cell.z).rem_euclid(2.0)
            }
            Pattern::Fibres => {
                let along = self.axis * p.dot(self.axis);
                noise::fractal(along * 0.2 + (p - along) * 3.0, 2, self.salt)
            }
        };
        self.colours[0].lerp(self.colours[1], mix)
    }
}

/// Another colour in a box of a part's places: a window, a label, a lamp.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decal {
    pub(crate) low: Vec3,
    pub(crate) high: Vec3,
    /// Linear.
    pub(crate) colour: Vec3,
    pub(crate) gloss: f32,
}

/// A texture, how much it shines, and what is stuck on it; the last decal lies on top.
#[derive(Clone, Debug)]
pub(crate) struct Material {
    pub(crate) texture: Texture,
    /// Strength of highlights, from 0 (cloth) to 1 (glass).
    pub(crate) gloss: f32,
    pub(crate) decals: Vec<Decal>,
}

impl Material {
    /// A surface without decals.
    pub(crate) fn new(texture: Texture, gloss: f32) -> Material {
        Material { texture, gloss, decals: Vec::new() }
    }

    /// One colour.
    pub(crate) fn plain(colour: Vec3, gloss: f32) -> Material {
        Material::new(Texture::plain(colour), gloss)
    }

    /// With another colour in a box of places.
    pub(crate) fn decal(mut self, low: [f32; 3], high: [f32; 3], colour: Vec3, gloss: f32) -> Material {
        self.decals.push(Decal { low: low.into(), high: high.into(), colour, gloss });
        self
    }

    /// Colour and gloss at a point of the object that has this place on its part.
    pub(crate) fn at(&self, point: Vec3, place: Vec3) -> (Vec3, f32) {
        for decal in self.decals.iter().rev() {
            if place.cmpge(decal.low).all() && place.cmple(decal.high).all() {
                return (decal.colour, decal.gloss);
            }
        }
        (self.texture.at(point), self.gloss)
    }
}
