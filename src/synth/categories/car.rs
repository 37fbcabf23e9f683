//! Cars: saloons, hatchbacks, estates and pick-ups.

use glam::Vec3;

use super::wheel::Wheel;
use crate::mesh::{Loft, Mesh, Section};
use crate::object::{Object, Part};
use crate::paint::{Material, any_colour, grey, hsv};
use crate::random::Dice;

const BODY: Part = Part::middle(0);
const CABIN: Part = Part::middle(1);
const FRONT_PLATE: Part = Part::middle(2);
const BACK_PLATE: Part = Part::middle(3);
const FRONT_EMBLEM: Part = Part::middle(4);
const BACK_EMBLEM: Part = Part::middle(5);
const GRILLE: Part = Part::middle(6);
const MIRROR: u8 = 0;
const HEADLIGHT: u8 = 1;
const TAIL_LIGHT: u8 = 2;
const FRONT_WHEEL: u8 = 3;
const BACK_WHEEL: u8 = 4;

pub(crate) fn build(dice: &mut Dice) -> Object {
    let mut object = Object::default();
    let colour = if dice.chance(0.5) { grey(dice, 0.06, 0.95) } else { any_colour(dice) };
    let glass = grey(dice, 0.05, 0.35);
    let paint = Material::plain(colour, dice.range(0.4, 0.7));
    let line = colour * 0.4;
    // doors and handles, on both sides
    let mut sides = paint.clone();
    for [low, high] in [[0.0, 0.04], [0.96, 1.0]] {
        for t in [0.335, 0.5, 0.62] {
            sides = sides.decal([t, 0.2, low], [t + 0.006, 0.85, high], line, 0.2);
        }
        sides = sides.decal([0.3, 0.0, low], [0.7, 0.22, high], colour * 0.5, 0.2);
    }
    let mut top = paint;
    let estate = dice.chance(0.35);
    for t in [[0.06, 0.29], [0.72, 0.96]] {
        top = top.decal([t[0], 0.7, 0.1], [t[1], 1.0, 0.9], glass, 0.9);
    }
    for side in [[0.0, 0.11], [0.89, 1.0]] {
        for t in [[0.22, 0.31], [0.36, 0.51], [0.53, 0.78]] {
            top = top.decal([t[0], 0.5, side[0]], [t[1], 0.81, side[1]], glass, 0.9);
        }
    }
    let (sides, top) = (object.material(sides), object.material(top));
    let dark = object.material(Material::plain(grey(dice, 0.03, 0.15), 0.2));
    let rim = object.material(Material::plain(grey(dice, 0.3, 0.9), 0.5));
    let lamp = object.material(Material::plain(Vec3::splat(0.9), 0.9));
    let red = object.material(Material::plain(hsv(0.0, 0.9, dice.range(0.5, 0.9)), 0.8));
    let plate = object.material(Material::plain(hsv(0.13, dice.pick([0.02, 0.8]), 0.95), 0.2));

    let length = 1.0 * dice.about(0.08);
    let width = 0.4 * dice.about(0.1);
    let clearance = dice.range(0.07, 0.13);
    let wheel = dice.range(0.145, 0.18);
    let belt = clearance + dice.range(0.26, 0.34);
    let roof = belt + dice.range(0.2, 0.3);
    let (front_axle, back_axle) = (length * dice.range(0.58, 0.66), -length * dice.range(0.56, 0.64));
    let half = (belt - clearance) / 2.0;
    let bonnet = dice.range(0.68, 0.86);
    let boot = if estate { 1.0 } else { dice.range(0.78, 0.98) };
    let section = |x: f32, height: f32, across: f32| Section {
        at: Vec3::new(x * length, clearance + half * height, 0.0),
        across: width * across,
        up: half * height,
        round: 0.45,
    };
    let body = Loft::new(
        &[
            section(-0.97, boot * 0.85, 0.86),
            section(-0.75, boot, 0.97),
            section(-0.3, 1.0, 1.0),
            section(0.3, 1.0, 1.0),
            section(0.72, bonnet * 1.05, 0.97),
            section(0.97, bonnet * 0.75, 0.85),
        ],
        Vec3::Z,
        [0.25, 0.35],
    )
    .columns(28);
    object.add(BODY, sides, body.mesh());

    let (back, front) = (if estate { -0.96 } else { dice.range(-0.78, -0.62) }, dice.range(0.42, 0.56));
    let (back_roof, front_roof) =
        (if estate { -0.85 } else { back + dice.range(0.25, 0.4) }, front - dice.range(0.28, 0.42));
    let rise = roof - belt;
    let pane = |x: f32, up: f32, across: f32| Section {
        at: Vec3::new(x * length, belt - 0.03, 0.0),
        across: width * across,
        up,
        round: 0.34,
    };
    let cabin = Loft::straight(
        &[pane(back, 0.03, 0.93), pane(back_roof, rise, 0.8), pane(front_roof, rise, 0.8), pane(front, 0.03, 0.93)],
        Vec3::Z,
        [0.0, 0.0],
    )
    .columns(32);
    object.add(CABIN, top, cabin.mesh());
    for (t, top_t, ids) in [(0.98, 0.67, [16, 17, 18, 19]), (0.02, 0.33, [26, 27, 28, 29])] {
        let facing = Some(Vec3::new(if t > 0.5 { 1.0 } else { -1.0 }, 0.55, 0.0).normalize());
        object.mark_both(ids[0], ids[1], cabin.point(t, 0.9), facing);
        object.mark_both(ids[2], ids[3], cabin.point(top_t, 0.6), facing);
    }

    let tyre = Wheel { radius: wheel, tyre: wheel * 0.3, flat: 1.15, spokes: 0, spoke: 0.0 };
    for left in [false, true] {
        let side = if left { -1.0 } else { 1.0 };
        for (axle, number, ids) in [
            (back_axle, BACK_WHEEL, [[11, 10, 12], [21, 20, 22]]),
            (front_axle, FRONT_WHEEL, [[14, 13, 15], [24, 23, 25]]),
        ] {
            let at = Vec3::new(axle, wheel, side * width * 0.87);
            tyre.add(&mut object, Part::sided(number, left), [dark, rim], at, 0.0);
            let arch = Mesh::torus(wheel * 1.1, wheel * 0.14, 1.6).at(at + Vec3::Z * side * width * 0.05);
            object.add(Part::sided(number, left), dark, arch);
            let out = Vec3::Z * side;
            let ids = ids[usize::from(left)];
            object.mark_facing(ids[0], at + out * wheel * 0.35, out);
            object.mark_facing(ids[1], at + out * width * 0.08 + Vec3::new(-1.18, 0.1, 0.0) * wheel, out);
            object.mark_facing(ids[2], at + out * width * 0.08 + Vec3::new(1.18, 0.1, 0.0) * wheel, out);
        }
    }
    let nose = body.tip(true).x;
    let tail = body.tip(false).x;
    let lamp_size = Vec3::new(0.06, dice.range(0.03, 0.055), dice.range(0.05, 0.09));
    let light_y = clearance + half * bonnet * 1.0;
    let headlight = Vec3::new(nose - 0.05, light_y, width * 0.62);
    object.add_both(HEADLIGHT, lamp, Mesh::superellipsoid(lamp_size, 0.7).at(headlight));
    object.mark_both(2, 3, headlight + Vec3::X * 0.05, Some(Vec3::new(0.9, 0.1, 0.35)));
    let tail_light = Vec3::new(tail + 0.035, clearance + half * boot * 1.25, width * 0.66);
    object.add_both(TAIL_LIGHT, red, Mesh::superellipsoid(Vec3::new(0.05, 0.045, 0.07), 0.5).at(tail_light));
    object.mark_both(6, 7, tail_light - Vec3::X * 0.045, Some(Vec3::new(-0.9, 0.1, 0.35)));
    let mirror = Vec3::new(front * length - 0.12, belt + 0.05, width * 1.06);
    object.add_both(MIRROR, sides, Mesh::superellipsoid(Vec3::new(0.035, 0.04, 0.055), 0.7).at(mirror));
    object.mark_both(0, 1, mirror + Vec3::Z * 0.03, None);
    let grille = Vec3::new(nose - 0.02, clearance + half * bonnet * 0.7, 0.0);
    object.add(GRILLE, dark, Mesh::rounded_box(Vec3::new(0.035, half * 0.3, width * 0.42)).at(grille));
    for (part, id, x, lift) in [(FRONT_PLATE, 4, nose + 0.015, 0.45), (BACK_PLATE, 8, tail - 0.01, 0.75)] {
        let at = Vec3::new(x, clearance + half * lift, 0.0);
        object.add(part, plate, Mesh::rounded_box(Vec3::new(0.012, 0.03, 0.09)).at(at));
        let out = Vec3::X * x.signum();
        object.mark_facing(id, at + out * 0.01, out);
    }
    for (part, id, x, lift) in [(FRONT_EMBLEM, 5, nose + 0.01, bonnet * 1.05), (BACK_EMBLEM, 9, tail, boot * 1.25)] {
        let at = Vec3::new(x, clearance + half * lift, 0.0);
        object.add(part, lamp, Mesh::ellipsoid(Vec3::new(0.02, 0.022, 0.022)).at(at));
        let out = Vec3::X * x.signum();
        object.mark_facing(id, at + out * 0.015, out);
    }
    object
}
