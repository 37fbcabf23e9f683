//! A scene: the object, the camera that sees it, what else is there, and the light.

use glam::{Vec2, Vec3};

use crate::Category;
use crate::backdrop::Backdrop;
use crate::camera::Camera;
use crate::clutter;
use crate::light::Light;
use crate::object::{Face, Object};
use crate::paint::{Material, Texture};
use crate::random::Dice;
use crate::raster::{Buffer, NOTHING};
use crate::sample::{Frame, Keypoint, Rendered, Sample, Semantic};
use crate::shade;

/// Samples of the z-buffer along each side of a pixel.
pub(crate) const SUPER: usize = 2;

/// Everything that is drawn, in one list of triangles; the object's are first.
pub(crate) struct Scene {
    pub(crate) camera: Camera,
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) positions: Vec<Vec3>,
    pub(crate) normals: Vec<Vec3>,
    pub(crate) places: Vec<Vec3>,
    pub(crate) faces: Vec<Face>,
    pub(crate) materials: Vec<Material>,
    /// Pixel and nearness of every vertex.
    pub(crate) projected: Vec<Vec3>,
    pub(crate) buffer: Buffer,
    pub(crate) light: Light,
    pub(crate) backdrop: Backdrop,
    pub(crate) ground: Option<f32>,
    pub(crate) radius: f32,
}

/// Attempts at a view that shows enough of the object; the last is without anything that hides it.
const ATTEMPTS: u8 = 4;

pub(crate) fn render(sample: &Sample, frame: Frame) -> Rendered {
    let dice = |purpose| Dice::new(sample.seed, sample.index, sample.category as u8, sample.split as u8, purpose);
    let mut object = sample.category.build(&mut dice(0));
    disguise(&mut object, &mut dice(1), sample.strength);
    let mut attempt = 0;
    loop {
        let plain = attempt + 1 == ATTEMPTS;
        let view = view(sample.category, &object, &mut dice(2 + attempt), frame, sample.strength, plain);
        let seen = look(&object, view, &mut dice(32 + attempt), sample.strength, plain);
        let facts = facts(sample.category, &object, &seen);
        if plain || enough(&seen, &facts) {
            return shade::finish(&seen.scene, facts, &mut dice(64), sample.strength);
        }
        attempt += 1;
    }
}

/// Other colours than its own, so that shape must tell what a part is.
fn disguise(object: &mut Object, dice: &mut Dice, strength: f32) {
    let all = dice.chance(0.25 * strength);
    let common = Texture::any(dice);
    for material in &mut object.materials {
        let mut own = dice.fork();
        if all && own.chance(0.8) {
            material.texture = Texture { salt: common.salt, ..common };
        } else if own.chance(0.4 * strength) {
            material.texture = Texture::any(&mut own);
        }
        if own.chance(0.4 * strength) {
            material.gloss = own.range(0.0, 0.7);
        }
        for decal in &mut material.decals {
            if own.chance(0.3 * strength) {
                decal.colour = crate::paint::any_colour(&mut own);
            }
        }
    }
}

struct View {
    camera: Camera,
    distance: f32,
    middle: Vec3,
    radius: f32,
    azimuth: f32,
    elevation: f32,
    width: u32,
    height: u32,
    ground: Option<f32>,
}

fn view(category: Category, object: &Object, dice: &mut Dice, frame: Frame, strength: f32, plain: bool) -> View {
    let habit = category.habit();
    let (low, high) = object.bounds();
    let (middle, radius) = ((low + high) / 2.0, (high - low).length() / 2.0);
    let flying = dice.chance(habit.flying);
    let spread = 20.0_f32.min(habit.spread) + (habit.spread - 20.0).max(0.0) * strength;
    let azimuth = (habit.azimuth + spread * dice.range(-1.0, 1.0)).to_radians();
    let [lowest, highest] = habit.elevation;
    let usual = 0.12;
    let elevation = usual + (dice.range(lowest, highest) - usual) * (0.3 + 0.7 * strength);
    let elevation = if flying { elevation } else { elevation.max(0.03) };
    let roll = dice.normal().clamp(-2.0, 2.0) * 0.05 * strength * if flying { 3.0 } else { 1.0 };
    let distance = radius * dice.range(2.4, 6.0);
    let mut camera = Camera::orbit(middle, azimuth, elevation, roll, distance);

    let (mut near, mut far) = (Vec2::splat(f32::MAX), Vec2::splat(f32::MIN));
    for position in &object.positions {
        let p = camera.project(*position).truncate();
        (near, far) = (near.min(p), far.max(p));
    }
    let extent = (far - near).max(Vec2::splat(1e-3));
    let (width, height) = size(dice, frame, extent.x / extent.y);
    let size = Vec2::new(width as f32, height as f32);
    let cut = !plain && dice.chance(0.22 * strength);
    let fill = match cut {
        true => dice.range(0.9, 1.35),
        false => dice.range(0.9 - 0.25 * strength, 0.98),
    };
    camera.focal = fill * (size / extent).min_element();
    let slack = (size - extent * camera.focal).max(Vec2::ZERO) / 2.0;
    let shift = if cut { extent * camera.focal * 0.22 } else { Vec2::ZERO };
    let reach = slack * (0.2 + 0.4 * strength) + shift;
    let place = size / 2.0 + reach * Vec2::new(dice.range(-1.0, 1.0), dice.range(-1.0, 1.0));
    camera.centre = place - (near + far) / 2.0 * camera.focal;
    let ground = (!flying).then_some(low.y);
    View { camera, distance, middle, radius, azimuth, elevation, width, height, ground }
}

fn size(dice: &mut Dice, frame: Frame, aspect: f32) -> (u32, u32) {
    match frame {
        Frame::Exact { width, height } => (width.max(1), height.max(1)),
        Frame::Photo { low, high } => {
            let long = dice.range(low as f32, high as f32 + 1.0).floor().min(high as f32);
            // the usual formats of cameras, by how well the object fits
            let wanted = aspect.powf(0.7) * dice.about(0.35);
            let formats = [9.0 / 16.0, 2.0 / 3.0, 3.0 / 4.0, 1.0, 4.0 / 3.0, 3.0 / 2.0, 16.0 / 9.0_f32];
            let off = |format: f32| (format / wanted).ln().abs();
            let format = formats.into_iter().fold(1.0, |best, next| if off(next) < off(best) { next } else { best });
            let short = |ratio: f32| (long * ratio).round().max(1.0) as u32;
            if format >= 1.0 { (long as u32, short(1.0 / format)) } else { (short(format), long as u32) }
        }
    }
}

struct Seen {
    scene: Scene,
    view: View,
    /// Samples of the object before anything stood in front, and after.
    alone: usize,
    left: usize,
}

fn look(object: &Object, view: View, dice: &mut Dice, strength: f32, plain: bool) -> Seen {
    let View { camera, distance, middle, radius, width, height, ground, .. } = view;
    let to_camera = (camera.eye - middle).normalize_or(Vec3::X);
    let mut light = Light::new(&mut dice.fork(), to_camera, middle, radius * 1.7, strength);
    let backdrop = Backdrop::new(&mut dice.fork(), to_camera, middle, radius, ground, strength);
    let mut fork = dice.fork();
    let count = if fork.chance(0.65 * strength) { 1 + fork.below(6) } else { 0 };
    let behind = clutter::behind(&mut fork, count, &camera, middle, radius, ground);
    let mut fork = dice.fork();
    let count = if !plain && fork.chance(0.3 * strength) { 1 + fork.below(2) } else { 0 };
    let (mut low, mut high) = (Vec2::splat(f32::MAX), Vec2::splat(f32::MIN));
    for position in &object.positions {
        let p = camera.project(*position).truncate();
        (low, high) = (low.min(p), high.max(p));
    }
    let before = clutter::before(&mut fork, count, &camera, distance, low, high);

    let mut all = object.clone();
    for other in [&behind, &before] {
        let (vertices, materials) = (all.positions.len() as u32, all.materials.len() as u16);
        all.positions.extend(&other.positions);
        all.normals.extend(&other.normals);
        all.places.extend(&other.places);
        all.materials.extend(other.materials.iter().cloned());
        all.faces.extend(other.faces.iter().map(|face| Face {
            vertices: face.vertices.map(|vertex| vertex + vertices),
            material: face.material + materials,
            ..*face
        }));
    }
    let casting = object.faces.len() + behind.faces.len();
    for face in &all.faces[..casting] {
        light.cast(face.vertices.map(|vertex| all.positions[vertex as usize]));
    }
    let projected: Vec<Vec3> = all.positions.iter().map(|position| camera.project(*position)).collect();
    let mut buffer = Buffer::new(width as usize * SUPER, height as usize * SUPER);
    let mut alone = 0;
    for (index, face) in all.faces.iter().enumerate() {
        if index == object.faces.len() {
            alone = buffer.face.iter().filter(|face| **face != NOTHING).count();
        }
        buffer.draw(index as u32, face.vertices.map(|vertex| projected[vertex as usize]), SUPER as f32);
    }
    let left = buffer.face.iter().filter(|face| (**face as usize) < object.faces.len()).count();
    if all.faces.len() == object.faces.len() {
        alone = left;
    }
    let scene = Scene {
        camera,
        width: width as usize,
        height: height as usize,
        positions: all.positions,
        normals: all.normals,
        places: all.places,
        faces: all.faces,
        materials: all.materials,
        projected,
        buffer,
        light,
        backdrop,
        ground,
        radius,
    };
    Seen { scene, view, alone, left }
}

/// Whether a picture shows so much of the object that pairs can be made of it.
fn enough(seen: &Seen, facts: &Rendered) -> bool {
    let most_of_it = seen.left * 5 >= seen.alone * 3;
    most_of_it && seen.left >= seen.scene.buffer.face.len() / 40 && facts.visible().count() >= 3
}

/// What is known about the picture, but for its pixels.
fn facts(category: Category, object: &Object, seen: &Seen) -> Rendered {
    let (scene, view) = (&seen.scene, &seen.view);
    let semantic = shade::semantic(scene, object.faces.len() as u32);
    let (mut low, mut high) = ([view.width - 1, view.height - 1], [1; 2]);
    for (index, _) in semantic.iter().enumerate().filter(|(_, pixel)| pixel.is_some()) {
        let (x, y) = (index as u32 % view.width, index as u32 / view.width);
        low = [low[0].min(x), low[1].min(y)];
        high = [high[0].max(x + 1), high[1].max(y + 1)];
    }
    let mut keypoints: Vec<Keypoint> = object
        .landmarks
        .iter()
        .map(|landmark| {
            let p = view.camera.project(landmark.at);
            let to_eye = view.camera.eye - landmark.at;
            let turned = landmark.facing.is_some_and(|facing| facing.dot(to_eye.normalize_or_zero()) < 0.08);
            let found = if turned { None } else { uncovered(scene, &semantic, p) };
            let place = found.unwrap_or(p.truncate());
            Keypoint { id: landmark.id, x: place.x, y: place.y, visible: found.is_some() }
        })
        .collect();
    keypoints.sort_by_key(|keypoint| keypoint.id);
    let size = Vec2::new(view.width as f32, view.height as f32);
    let vertices = &scene.projected[..object.positions.len()];
    let truncated = vertices.iter().any(|p| p.x < -1.0 || p.y < -1.0 || p.x > size.x + 1.0 || p.y > size.y + 1.0);
    Rendered {
        category,
        width: view.width,
        height: view.height,
        rgb: Vec::new(),
        semantic,
        keypoints,
        bounds: [low[0], low[1], high[0], high[1]],
        azimuth: view.azimuth,
        elevation: view.elevation,
        truncated,
        // a fiftieth of it: less is no more than an edge that touches
        occluded: (seen.alone - seen.left) * 50 > seen.alone,
    }
}

/// Where a projected point is seen: on a pixel of the object where nothing is nearer by more than 4 % of the object's
/// radius, which is the thickness of a limb. A point that lies beside the object's pixels, as one on an outline may, is
/// moved to the nearest of them close by.
fn uncovered(scene: &Scene, semantic: &[Option<Semantic>], p: Vec3) -> Option<Vec2> {
    let (x, y) = (p.x.floor() as isize, p.y.floor() as isize);
    let (width, height) = (scene.width as isize, scene.height as isize);
    if !(0..width).contains(&x) || !(0..height).contains(&y) {
        return None;
    }
    let depth = 1.0 / p.z;
    let on = |x: isize, y: isize| {
        let inside = (0..width).contains(&x) && (0..height).contains(&y);
        inside && semantic[(y * width + x) as usize].is_some()
    };
    let near = |x: isize, y: isize| {
        let samples = shade::samples(scene, x as usize, y as usize);
        samples.iter().any(|sample| depth < 1.0 / scene.buffer.near[*sample] + 0.04 * scene.radius)
    };
    if on(x, y) {
        return near(x, y).then_some(p.truncate());
    }
    let reach = 1 + (0.012 * scene.radius * scene.camera.focal * p.z) as isize;
    let around = (-reach..=reach).flat_map(|dy| (-reach..=reach).map(move |dx| (x + dx, y + dy)));
    let centre = |(x, y): (isize, isize)| Vec2::new(x as f32 + 0.5, y as f32 + 0.5);
    let seen = around.filter(|(x, y)| on(*x, *y) && near(*x, *y)).map(centre);
    seen.min_by(|a, b| a.distance_squared(p.truncate()).total_cmp(&b.distance_squared(p.truncate())))
}
