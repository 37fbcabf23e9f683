//! Things that are not the object: some stand behind it, some in front.

use glam::{Affine3A, Quat, Vec2, Vec3};

use crate::camera::Camera;
use crate::mesh::{Loft, Mesh};
use crate::object::{Object, Part};
use crate::paint::{Material, Texture};
use crate::random::Dice;

/// The part of whatever is no part.
pub(crate) const NO_PART: Part = Part(255);

/// A thing of about unit half-size.
fn thing(dice: &mut Dice) -> Mesh {
    match dice.below(5) {
        0 => Mesh::rounded_box(Vec3::new(dice.range(0.4, 1.0), dice.range(0.5, 1.0), dice.range(0.4, 1.0))),
        1 => Mesh::ellipsoid(Vec3::new(dice.range(0.5, 1.0), dice.range(0.5, 1.0), dice.range(0.5, 1.0))),
        2 => {
            let profile: Vec<[f32; 2]> = (0..5).map(|i| [dice.range(0.25, 0.9), -1.0 + 0.5 * i as f32]).collect();
            Loft::lathe(&profile).columns(12).mesh()
        }
        3 => Loft::lathe(&[[dice.range(0.4, 0.8), -1.0], [dice.range(0.05, 0.4), 1.0]]).columns(12).mesh(),
        _ => {
            let path: Vec<Vec3> =
                (0..4).map(|i| Vec3::new(0.0, i as f32 * 0.6 - 0.9, 0.0) + 0.5 * dice.cube()).collect();
            Loft::tube(&path, dice.range(0.1, 0.3), Vec3::Z).mesh()
        }
    }
}

/// Things behind and beside the object, on the ground where there is one.
pub(crate) fn behind(
    dice: &mut Dice,
    count: usize,
    camera: &Camera,
    middle: Vec3,
    radius: f32,
    ground: Option<f32>,
) -> Object {
    let mut things = Object::default();
    let forward = camera.in_space(Vec3::Z);
    let away = Vec3::new(forward.x, 0.0, forward.z).normalize_or(Vec3::X);
    let across = away.cross(Vec3::Y);
    for _ in 0..count {
        let size = radius * dice.range(0.15, 0.7);
        let depth = radius * dice.range(1.1, 3.5) + size;
        let mut at = middle + away * depth + across * depth.max(radius) * dice.range(-1.3, 1.3);
        at.y = match ground {
            Some(ground) => ground + size,
            None => middle.y + radius * dice.range(-1.5, 1.5),
        };
        let turn = Quat::from_rotation_y(dice.range(0.0, 6.3));
        let mesh = thing(dice).transformed(Affine3A::from_scale_rotation_translation(Vec3::splat(size), turn, at));
        let gloss = dice.range(0.0, 0.5);
        let texture = Texture { scale: dice.range(1.0, 5.0) / radius, ..Texture::any(dice) };
        let material = things.material(Material::new(texture, gloss));
        things.add(NO_PART, material, mesh);
    }
    things
}

/// Things in front of the object, which lies between the pixels `low` and `high`: each covers a part of its edge.
pub(crate) fn before(dice: &mut Dice, count: usize, camera: &Camera, distance: f32, low: Vec2, high: Vec2) -> Object {
    let mut things = Object::default();
    let extent = high - low;
    for _ in 0..count {
        // the lower edge and the sides, where things stand before others in photos
        let edge = dice.unit();
        let (u, v) = match dice.below(4) {
            0 => (0.0, edge),
            1 => (1.0, edge),
            _ => (edge, 1.0),
        };
        let depth = distance * dice.range(0.4, 0.62);
        let pixel = low + extent * Vec2::new(u, v);
        let at = camera.eye + camera.ray(pixel) * depth;
        let size = extent.min_element() * dice.range(0.12, 0.3) * depth / camera.focal;
        let stretch = Vec3::new(dice.range(0.4, 1.0), dice.range(0.8, 1.8), dice.range(0.4, 1.0));
        let turn = Quat::from_euler(glam::EulerRot::YXZ, dice.range(0.0, 6.3), dice.range(-0.3, 0.3), 0.0);
        let mesh = thing(dice).transformed(Affine3A::from_scale_rotation_translation(size * stretch, turn, at));
        let gloss = dice.range(0.0, 0.4);
        let texture = Texture { scale: dice.range(0.5, 2.0) / size.max(1e-3), ..Texture::any(dice) };
        let material = things.material(Material::new(texture, gloss));
        things.add(NO_PART, material, mesh);
    }
    things
}
