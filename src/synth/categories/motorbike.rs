//! Motorbikes: naked ones, tourers with a fairing, and scooter-like ones.

use glam::Vec3;

use super::wheel::Wheel;
use crate::mesh::{Loft, Mesh, Section};
use crate::object::{Object, Part};
use crate::paint::{Material, any_colour, grey, hsv};
use crate::random::Dice;

const FRONT_WHEEL: Part = Part::middle(0);
const BACK_WHEEL: Part = Part::middle(1);
const TANK: Part = Part::middle(2);
const SEAT: Part = Part::middle(3);
const ENGINE: Part = Part::middle(4);
const FORK: Part = Part::middle(5);
const FRONT_LIGHT: Part = Part::middle(6);
const BACK_LIGHT: Part = Part::middle(7);
const PLATE: Part = Part::middle(8);
const TAIL: Part = Part::middle(9);
const EXHAUST: Part = Part::middle(10);
const FRONT_FENDER: Part = Part::middle(11);
const BACK_FENDER: Part = Part::middle(12);
const FAIRING: Part = Part::middle(13);
const SWINGARM: Part = Part::middle(14);
const FRAME: Part = Part::middle(15);
const CYLINDER: Part = Part::middle(16);
const MIRROR: u8 = 0;
const HANDLEBAR: u8 = 1;

pub(crate) fn build(dice: &mut Dice) -> Object {
    let mut object = Object::default();
    let colour = any_colour(dice);
    let paint = object.material(Material::plain(colour, 0.65));
    let second = object.material(Material::plain(if dice.chance(0.5) { colour } else { any_colour(dice) }, 0.6));
    let tyre = object.material(Material::plain(grey(dice, 0.03, 0.18), 0.1));
    let metal = object.material(Material::plain(grey(dice, 0.35, 0.9), 0.75));
    let dark = object.material(Material::plain(grey(dice, 0.04, 0.25), 0.4));
    let leather =
        object.material(Material::plain(if dice.chance(0.7) { grey(dice, 0.03, 0.2) } else { any_colour(dice) }, 0.2));
    let lamp = object.material(Material::plain(hsv(0.14, 0.1, 1.0), 0.9));
    let red = object.material(Material::plain(hsv(0.0, 0.9, 0.8), 0.8));

    let wheel = dice.range(0.27, 0.33);
    let base = dice.range(0.6, 0.72);
    let (front, back) = (Vec3::new(base, wheel, 0.0), Vec3::new(-base, wheel, 0.0));
    let fat = dice.range(0.05, 0.075);
    let spokes = if dice.chance(0.5) { 5 + dice.below(3) } else { 12 };
    let rim = Wheel { radius: wheel, tyre: fat, flat: 1.0, spokes, spoke: if spokes < 9 { 0.022 } else { 0.006 } };
    let rear = Wheel { tyre: fat * 1.25, ..rim };
    rim.add(&mut object, FRONT_WHEEL, [tyre, metal], front, dice.range(0.0, 1.0));
    rear.add(&mut object, BACK_WHEEL, [tyre, metal], back, dice.range(0.0, 1.0));
    object.mark(6, front + Vec3::Y * (wheel - fat * 0.2));
    object.mark(7, back + Vec3::new(-0.6, 0.8, 0.0) * (wheel - fat * 0.2));
    object.mark(11, front);
    object.mark(12, back);

    let rake = dice.range(0.22, 0.4);
    let head = Vec3::new(base - rake, wheel * 2.0 + dice.range(0.2, 0.32), 0.0);
    for z in [-0.09, 0.09] {
        let aside = Vec3::Z * z;
        let path = [front + aside, front.lerp(head, 0.5) + aside, head + aside];
        object.add(FORK, metal, Loft::tube(&path, 0.026, Vec3::Z).mesh());
    }
    let seat_height = dice.range(0.62, 0.74);
    let tank = |x: f32, y: f32, across: f32, up: f32| Section::oval(Vec3::new(x, seat_height + y, 0.0), across, up);
    let nose = head.x - 0.04;
    let tank = Loft::new(
        &[
            tank(-0.12, 0.02, 0.08, 0.06),
            tank(0.05, 0.08, 0.13, 0.11),
            tank(nose * 0.65, 0.13, dice.range(0.13, 0.17), 0.13),
            tank(nose, 0.12, 0.1, 0.09),
        ],
        Vec3::Z,
        [0.7, 0.6],
    );
    object.add(TANK, paint, tank.mesh());
    let rise = dice.range(0.0, 0.1);
    let end = -base + dice.range(-0.12, 0.08);
    let pad = |x: f32, y: f32, across: f32| Section::oval(Vec3::new(x, seat_height + y, 0.0), across, 0.055);
    let seat = Loft::new(
        &[
            pad(-0.08, 0.0, 0.08),
            pad(-0.25, -0.015, 0.13),
            pad((end - 0.2) / 2.0 - 0.1, rise * 0.7, 0.12),
            pad(end, rise, 0.08),
        ],
        Vec3::Z,
        [0.8, 0.8],
    );
    object.add(SEAT, leather, seat.mesh());
    let tail = Vec3::new(end - 0.06, seat_height + rise - 0.04, 0.0);
    let cowl = [Section::oval(tail + Vec3::new(0.35, -0.05, 0.0), 0.1, 0.06), Section::oval(tail, 0.07, 0.045)];
    let cowl = Loft::new(&cowl, Vec3::Z, [0.5, 1.0]);
    object.add(TAIL, second, cowl.mesh());
    object.mark(9, cowl.tip(false));
    let light = cowl.tip(false) - Vec3::new(0.0, 0.035, 0.0);
    object.add(BACK_LIGHT, red, Mesh::superellipsoid(Vec3::new(0.035, 0.03, 0.06), 0.6).at(light));
    object.mark(5, light - Vec3::X * 0.03);
    let plate = light + Vec3::new(-0.03, -0.13, 0.0);
    object.add(PLATE, lamp, Mesh::rounded_box(Vec3::new(0.012, 0.06, 0.085)).at(plate));
    object.mark_facing(8, plate - Vec3::X * 0.012, -Vec3::X);

    machine(dice, &mut object, [wheel, seat_height], back, head, [metal, dark, second]);
    controls(dice, &mut object, head, [metal, dark, lamp, paint]);
    for (part, at, radius, from, to) in
        [(FRONT_FENDER, front, wheel + 0.03, 0.5, 2.5_f32), (BACK_FENDER, back, wheel + 0.05, 0.9, 2.7)]
    {
        let arc = [0.0, 0.33, 0.67, 1.0].map(|t: f32| {
            let (s, c) = (from + (to - from) * t).sin_cos();
            Section::oval(at + Vec3::new(c, s, 0.0) * radius, fat * 1.4, 0.012)
        });
        object.add(part, second, Loft::new(&arc, Vec3::Z, [0.2, 0.2]).columns(12).mesh());
    }
    object
}

/// Engine, frame, swing arm and exhaust.
fn machine(
    dice: &mut Dice,
    object: &mut Object,
    [wheel, seat]: [f32; 2],
    back: Vec3,
    head: Vec3,
    [metal, dark, second]: [u16; 3],
) {
    let middle = Vec3::new(dice.range(-0.02, 0.08), wheel * 1.05, 0.0);
    object.add(ENGINE, dark, Mesh::superellipsoid(Vec3::new(0.2, 0.14, 0.15), 0.55).at(middle));
    for lean in [-0.5, 0.45] {
        let top = middle + Vec3::new(lean * 0.32, 0.27, 0.0);
        let fins = [0.0, 0.25, 0.5, 0.75, 1.0].map(|t| {
            let at = middle.lerp(top, 0.2 + 0.8 * t);
            Section::disc(at, if ((t * 4.0) as usize).is_multiple_of(2) { 0.085 } else { 0.07 })
        });
        object.add(CYLINDER, metal, Loft::straight(&fins, Vec3::Z, [0.2, 0.2]).columns(14).mesh());
    }
    let hip = Vec3::new(-0.22, wheel * 1.15, 0.0);
    for z in [-0.1, 0.1] {
        let aside = Vec3::Z * z;
        let arm = [hip + aside, hip.lerp(back, 0.5) + aside, back + aside];
        object.add(SWINGARM, dark, Loft::tube(&arm, 0.028, Vec3::Z).mesh());
        let cradle = [head, head.lerp(middle, 0.6) + Vec3::X * 0.08 + aside, middle + Vec3::new(0.16, -0.12, z)];
        object.add(FRAME, second, Loft::tube(&cradle, 0.024, Vec3::Z).mesh());
        let strut = [Vec3::new(-0.35, seat - 0.05, z), hip.lerp(back, 0.75) + aside];
        object.add(FRAME, metal, Loft::tube(&strut, 0.024, Vec3::Z).mesh());
    }
    // on the right, as on most
    let z = 0.17;
    let low = wheel * dice.range(0.55, 0.8);
    let end = Vec3::new(back.x + dice.range(-0.15, 0.1), low + dice.range(0.0, 0.25), z);
    let pipe = [
        Section::disc(middle + Vec3::new(0.2, 0.12, 0.06), 0.025),
        Section::disc(middle + Vec3::new(0.24, -0.1, 0.12), 0.026),
        Section::disc(Vec3::new(-0.05, low, z), 0.03),
        Section::disc(Vec3::new(-0.3, low + (end.y - low) * 0.3, z), 0.05),
        Section::disc(end, dice.range(0.045, 0.065)),
    ];
    let pipe = Loft::new(&pipe, Vec3::Z, [0.2, 0.1]).columns(12);
    object.add(EXHAUST, metal, pipe.mesh());
    object.mark(10, pipe.tip(true));
}

/// Handlebars, mirrors, lamp and fairing.
fn controls(dice: &mut Dice, object: &mut Object, head: Vec3, [metal, dark, lamp, paint]: [u16; 4]) {
    let width = dice.range(0.28, 0.38);
    let high = dice.range(0.03, 0.2);
    let sweep = dice.range(-0.2, -0.08);
    let clamp = head + Vec3::new(-0.02, 0.05, 0.0);
    let grip = clamp + Vec3::new(sweep, high, width);
    let path =
        [clamp, clamp + Vec3::new(0.0, high * 0.8, width * 0.4), clamp.lerp(grip, 0.7) + Vec3::Y * high * 0.2, grip];
    object.add_both(HANDLEBAR, metal, Loft::tube(&path, 0.018, Vec3::Y).mesh());
    object.add_both(HANDLEBAR, dark, Loft::tube(&[path[2].lerp(grip, 0.3), grip], 0.027, Vec3::Y).mesh());
    object.mark_both(2, 3, grip, None);
    let mirror = clamp.lerp(grip, 0.75) + Vec3::new(0.03, dice.range(0.12, 0.2), 0.03);
    object.add_both(MIRROR, metal, Loft::tube(&[clamp.lerp(grip, 0.6), mirror], 0.01, Vec3::X).mesh());
    object.add_both(MIRROR, dark, Mesh::superellipsoid(Vec3::new(0.022, 0.042, 0.06), 0.75).at(mirror));
    object.mark_both(0, 1, mirror, None);
    let light = head + Vec3::new(0.13, -0.02, 0.0);
    let size = dice.range(0.07, 0.1);
    if dice.chance(0.4) {
        let shell = [
            Section::oval(light + Vec3::new(-0.12, 0.0, 0.0), 0.19, 0.2),
            Section::oval(light + Vec3::new(0.0, 0.0, 0.0), 0.14, 0.15),
            Section::oval(light + Vec3::new(0.1, -0.02, 0.0), 0.07, 0.07),
        ];
        object.add(FAIRING, paint, Loft::new(&shell, Vec3::Z, [0.0, 0.7]).mesh());
        let glass = light + Vec3::new(0.09, 0.0, 0.0);
        object.add(FRONT_LIGHT, lamp, Mesh::ellipsoid(Vec3::new(0.06, 0.05, 0.08)).at(glass));
        object.mark_facing(4, glass + Vec3::X * 0.06, Vec3::X);
    } else {
        object.add(FAIRING, metal, Mesh::ellipsoid(Vec3::splat(size)).at(light - Vec3::X * 0.02));
        let glass = Vec3::new(0.03, size * 0.85, size * 0.85);
        object.add(FRONT_LIGHT, lamp, Mesh::ellipsoid(glass).at(light + Vec3::X * size * 0.6));
        object.mark_facing(4, light + Vec3::X * (size * 0.6 + 0.03), Vec3::new(1.0, 0.0, 0.0));
    }
}
