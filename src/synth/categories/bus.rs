//! Buses and coaches.

use glam::Vec3;

use super::wheel::Wheel;
use crate::mesh::Mesh;
use crate::object::{Object, Part};
use crate::paint::{Material, any_colour, grey, hsv};
use crate::random::Dice;

const BODY: Part = Part::middle(0);
const FRONT_PLATE: Part = Part::middle(1);
const BACK_PLATE: Part = Part::middle(2);
const BUMPER: Part = Part::middle(3);
const MIRROR: u8 = 0;
const HEADLIGHT: u8 = 1;
const TAIL_LIGHT: u8 = 2;
const FRONT_WHEEL: u8 = 3;
const BACK_WHEEL: u8 = 4;

/// Windows, doors, stripes and signs of the body, as decals in its box.
fn livery(dice: &mut Dice) -> Material {
    let colour = any_colour(dice);
    let glass = grey(dice, 0.05, 0.3);
    let mut body = Material::plain(colour, 0.4);
    if dice.chance(0.6) {
        let (from, stripe) = (dice.range(0.1, 0.3), any_colour(dice));
        let to = from + dice.range(0.06, 0.2);
        for side in [[-1.0, 0.03], [0.97, 2.0]] {
            body = body.decal([0.0, from, side[0]], [1.0, to, side[1]], stripe, 0.4);
        }
    }
    let decks = if dice.chance(0.2) { vec![[0.24, 0.46], [0.62, 0.86]] } else { vec![[0.44, 0.84]] };
    for [low, high] in &decks {
        let count = 4 + dice.below(5);
        for side in [[-1.0, 0.03], [0.97, 2.0]] {
            for window in 0..count {
                let start = 0.04 + 0.9 * window as f32 / count as f32;
                let end = start + 0.9 / count as f32 - 0.012;
                body = body.decal([start, *low, side[0]], [end, *high, side[1]], glass, 0.9);
            }
        }
        body = body.decal([-1.0, *low, 0.12], [0.02, *high, 0.88], glass, 0.9);
    }
    // the windscreen with the destination above, and the door on the right
    body = body.decal([0.98, 0.36, 0.06], [2.0, 0.8, 0.94], glass, 0.9);
    body = body.decal([0.98, 0.36, 0.49], [2.0, 0.8, 0.51], colour, 0.4);
    body = body.decal([0.98, 0.84, 0.2], [2.0, 0.95, 0.8], hsv(0.12, 0.8, dice.range(0.2, 0.9)), 0.3);
    body.decal([0.86, 0.06, 0.97], [0.94, 0.8, 2.0], glass * 0.6, 0.7)
}

pub(crate) fn build(dice: &mut Dice) -> Object {
    let mut object = Object::default();
    let body = livery(dice);
    let body = object.material(body);
    let dark = object.material(Material::plain(grey(dice, 0.03, 0.15), 0.2));
    let rim = object.material(Material::plain(grey(dice, 0.3, 0.9), 0.4));
    let lamp = object.material(Material::plain(Vec3::splat(0.9), 0.9));
    let red = object.material(Material::plain(hsv(0.0, 0.9, 0.7), 0.8));
    let plate = object.material(Material::plain(hsv(0.13, dice.pick([0.02, 0.8]), 0.95), 0.2));

    let half = Vec3::new(dice.range(0.8, 1.1), dice.range(0.24, 0.36), dice.range(0.23, 0.28));
    let wheel = dice.range(0.1, 0.125);
    let lift = wheel * 0.75 + half.y;
    let round = dice.range(0.1, 0.26);
    object.add(BODY, body, Mesh::superellipsoid(half, round).at(Vec3::Y * lift));
    let corner = |x: f32, y: f32| Vec3::Y * lift + Mesh::on_superellipsoid(half, round, half * Vec3::new(x, y, 0.97));
    for (x, ids) in [(1.0, [16, 17, 18, 19]), (-1.0, [26, 27, 28, 29])] {
        object.mark_both(ids[0], ids[1], corner(x, -0.75), None);
        object.mark_both(ids[2], ids[3], corner(x, 0.95), None);
    }
    let tyre = Wheel { radius: wheel, tyre: wheel * 0.3, flat: 1.2, spokes: 0, spoke: 0.0 };
    let (front, back) = (half.x * dice.range(0.55, 0.68), -half.x * dice.range(0.45, 0.62));
    for left in [false, true] {
        let side = if left { -1.0 } else { 1.0 };
        let out = Vec3::Z * side;
        for (axle, number, ids) in
            [(back, BACK_WHEEL, [[11, 10, 12], [21, 20, 22]]), (front, FRONT_WHEEL, [[14, 13, 15], [24, 23, 25]])]
        {
            let at = Vec3::new(axle, wheel, side * (half.z - wheel * 0.25));
            tyre.add(&mut object, Part::sided(number, left), [dark, rim], at, 0.0);
            let arch = Mesh::torus(wheel * 1.1, wheel * 0.13, 1.3).at(at + out * wheel * 0.2);
            object.add(Part::sided(number, left), dark, arch);
            let ids = ids[usize::from(left)];
            object.mark_facing(ids[0], at + out * wheel * 0.35, out);
            object.mark_facing(ids[1], at + out * wheel * 0.3 + Vec3::new(-1.18, 0.1, 0.0) * wheel, out);
            object.mark_facing(ids[2], at + out * wheel * 0.3 + Vec3::new(1.18, 0.1, 0.0) * wheel, out);
        }
    }
    let low = lift - half.y * dice.range(0.7, 0.82);
    let lamp_size = Vec3::new(0.02, dice.range(0.025, 0.04), dice.range(0.03, 0.05));
    let headlight = Vec3::new(half.x, low, half.z * 0.72);
    object.add_both(HEADLIGHT, lamp, Mesh::superellipsoid(lamp_size, 0.7).at(headlight));
    object.mark_both(2, 3, headlight + Vec3::X * 0.02, Some(Vec3::X));
    let tail = Vec3::new(-half.x, low + half.y * 0.12, half.z * 0.78);
    object.add_both(TAIL_LIGHT, red, Mesh::superellipsoid(Vec3::new(0.015, 0.05, 0.03), 0.5).at(tail));
    object.mark_both(5, 6, tail - Vec3::X * 0.015, Some(-Vec3::X));
    let mirror = Vec3::new(half.x * 1.03, lift + half.y * 0.45, half.z * 1.14);
    object.add_both(MIRROR, dark, Mesh::superellipsoid(Vec3::new(0.02, 0.06, 0.032), 0.6).at(mirror));
    object.mark_both(0, 1, mirror, None);
    for (part, id, x) in [(FRONT_PLATE, 4, half.x), (BACK_PLATE, 7, -half.x)] {
        let at = Vec3::new(x, low - half.y * 0.08, 0.0);
        object.add(part, plate, Mesh::rounded_box(Vec3::new(0.014, 0.024, 0.075)).at(at));
        let out = Vec3::X * x.signum();
        object.mark_facing(id, at + out * 0.012, out);
    }
    let bumper = Vec3::new(half.x, lift - half.y * 0.95, 0.0);
    object.add(BUMPER, dark, Mesh::rounded_box(Vec3::new(0.03, half.y * 0.1, half.z * 0.9)).at(bumper));
    object
}
