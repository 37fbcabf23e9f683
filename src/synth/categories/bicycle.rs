//! Bicycles.

use std::f32::consts::TAU;

use glam::Vec3;

use super::wheel::Wheel;
use crate::mesh::{Loft, Mesh, Section};
use crate::object::{Object, Part};
use crate::paint::{Material, any_colour, grey};
use crate::random::Dice;

const FRONT_WHEEL: Part = Part::middle(0);
const BACK_WHEEL: Part = Part::middle(1);
const FRAME: [Part; 5] = [Part::middle(2), Part::middle(3), Part::middle(4), Part::middle(5), Part::middle(6)];
const FORK: Part = Part::middle(7);
const SEAT: Part = Part::middle(8);
const POST: Part = Part::middle(9);
const STEM: Part = Part::middle(10);
const CHAINRING: Part = Part::middle(11);
const HANDLEBAR: u8 = 0;
const PEDAL: u8 = 1;
const CRANK: u8 = 2;

pub(crate) fn build(dice: &mut Dice) -> Object {
    let mut object = Object::default();
    let frame = object.material(Material::plain(any_colour(dice), 0.5));
    let tyre = object.material(Material::plain(grey(dice, 0.03, 0.2), 0.1));
    let metal = object.material(Material::plain(grey(dice, 0.35, 0.9), 0.6));
    let leather =
        object.material(Material::plain(if dice.chance(0.6) { grey(dice, 0.03, 0.2) } else { any_colour(dice) }, 0.2));

    let wheel = dice.range(0.32, 0.37);
    let base = dice.range(0.5, 0.58);
    let (front, back) = (Vec3::new(base, wheel, 0.0), Vec3::new(-base, wheel, 0.0));
    let fat = dice.range(0.016, 0.034);
    let rim = Wheel { radius: wheel, tyre: fat, flat: 1.0, spokes: 9 + dice.below(8), spoke: 0.004 };
    rim.add(&mut object, FRONT_WHEEL, [tyre, metal], front, dice.range(0.0, 1.0));
    rim.add(&mut object, BACK_WHEEL, [tyre, metal], back, dice.range(0.0, 1.0));
    object.mark(0, front);
    object.mark(1, back);

    let bottom = Vec3::new(dice.range(-0.12, -0.04), wheel * dice.range(0.8, 0.95), 0.0);
    let saddle = dice.range(0.78, 0.95);
    let seat = bottom + Vec3::new(-0.14, saddle - bottom.y, 0.0);
    let top = bottom.lerp(seat, dice.range(0.7, 0.85));
    let head_low = Vec3::new(base - dice.range(0.14, 0.18), wheel * 1.75, 0.0);
    let head = head_low + Vec3::new(-0.05, dice.range(0.1, 0.2), 0.0);
    let drop = if dice.chance(0.3) { dice.range(0.15, 0.3) } else { 0.0 };
    let tube = dice.range(0.014, 0.024);
    let mut bar = |part: Part, path: &[Vec3], radius: f32, material: u16| {
        object.add(part, material, Loft::tube(path, radius, Vec3::Z).mesh());
    };
    let mid = |a: Vec3, b: Vec3| a.lerp(b, 0.5);
    let down = [head_low, mid(head_low, bottom), bottom];
    bar(FRAME[0], &down, tube * 1.2, frame);
    let lower = top.lerp(bottom, drop * 2.0);
    bar(FRAME[1], &[head.lerp(head_low, 0.25), mid(head, lower) - Vec3::Y * drop * 0.3, lower], tube, frame);
    bar(FRAME[2], &[bottom, mid(bottom, top), top], tube, frame);
    for z in [-0.045, 0.045] {
        let aside = Vec3::Z * z;
        bar(FRAME[3], &[bottom + aside, mid(bottom, back) + aside, back + aside], tube * 0.6, frame);
        bar(FRAME[4], &[top, mid(top, back) + aside, back + aside], tube * 0.55, frame);
        bar(FORK, &[head_low, head_low.lerp(front, 0.5) + aside, front + aside], tube * 0.75, frame);
    }
    bar(STEM, &[head_low, mid(head_low, head), head], tube * 1.25, frame);
    bar(POST, &[top, mid(top, seat), seat], tube * 0.8, metal);
    let stem = head + Vec3::new(dice.range(0.0, 0.08), dice.range(0.03, 0.12), 0.0);
    bar(STEM, &[head, mid(head, stem), stem], tube * 0.9, metal);
    object.mark(8, mid(top, seat));
    handlebar(dice, &mut object, stem, [metal, leather], tube * 0.75);
    saddle_and_pedals(dice, &mut object, seat, bottom, [leather, metal, tyre]);
    object
}

fn handlebar(dice: &mut Dice, object: &mut Object, stem: Vec3, [metal, grip]: [u16; 2], radius: f32) {
    let width = dice.range(0.2, 0.28);
    let path = match dice.below(3) {
        // a racer's drops
        0 => vec![
            stem,
            stem + Vec3::new(0.0, 0.0, width * 0.8),
            stem + Vec3::new(0.1, -0.02, width * 0.85),
            stem + Vec3::new(0.07, -0.13, width * 0.88),
            stem + Vec3::new(-0.04, -0.14, width * 0.9),
        ],
        1 => vec![stem, stem + Vec3::new(0.0, 0.01, width * 0.5), stem + Vec3::new(-0.03, 0.02, width)],
        _ => vec![
            stem,
            stem + Vec3::new(0.05, 0.06, width * 0.5),
            stem + Vec3::new(-0.04, 0.1, width * 0.95),
            stem + Vec3::new(-0.17, 0.09, width),
        ],
    };
    object.add_both(HANDLEBAR, metal, Loft::tube(&path, radius, Vec3::Y).mesh());
    if let [.., before, end] = path.as_slice() {
        object.add_both(HANDLEBAR, grip, Loft::tube(&[before.lerp(*end, 0.35), *end], radius * 1.5, Vec3::Y).mesh());
        object.mark_both(2, 3, *end, None);
    }
    object.mark(4, stem);
}

fn saddle_and_pedals(
    dice: &mut Dice,
    object: &mut Object,
    seat: Vec3,
    bottom: Vec3,
    [leather, metal, rubber]: [u16; 3],
) {
    let wide = dice.range(0.055, 0.085);
    let at = |x: f32, across: f32, y: f32| Section::oval(seat + Vec3::new(x, y + 0.02, 0.0), across, 0.025);
    let saddle = Loft::new(
        &[at(-0.11, wide, 0.02), at(-0.05, wide * 0.95, 0.005), at(0.03, wide * 0.4, 0.0), at(0.13, 0.02, 0.0)],
        Vec3::Z,
        [0.5, 0.8],
    );
    object.add(SEAT, leather, saddle.mesh());
    object.mark(5, saddle.tip(true));
    object.mark_both(6, 7, saddle.point(0.0, 1.57), None);
    let ring = dice.range(0.08, 0.11);
    let axle = bottom + Vec3::Z * 0.05;
    object.add(CHAINRING, metal, Mesh::torus(ring * 0.85, ring * 0.13, 0.5).at(axle));
    for turn in [0.0, 1.05, 2.1_f32] {
        let (s, c) = turn.sin_cos();
        let spoke = Vec3::new(c, s, 0.0) * ring * 0.8;
        object.add(CHAINRING, metal, Loft::tube(&[axle - spoke, axle, axle + spoke], 0.008, Vec3::Z).columns(6).mesh());
    }
    object.mark(13, bottom + Vec3::Z * 0.06);
    let (s, c) = dice.range(0.0, TAU).sin_cos();
    for left in [false, true] {
        let arm = Vec3::new(c, s, 0.0) * 0.17 * if left { -1.0 } else { 1.0 };
        let (root, end) = (bottom + Vec3::Z * 0.075, bottom + arm + Vec3::Z * 0.09);
        object.add_on(CRANK, left, metal, Loft::tube(&[root, root.lerp(end, 0.5), end], 0.012, Vec3::Z).mesh());
        let pedal = end + Vec3::Z * 0.05;
        object.add_on(PEDAL, left, rubber, Mesh::rounded_box(Vec3::new(0.045, 0.014, 0.04)).at(pedal));
        object.mark_on([9, 10], left, pedal, None);
    }
}
