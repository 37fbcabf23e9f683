//! Birds, perched or with open wings.

use std::f32::consts::PI;

use glam::Vec3;

use crate::mesh::{Loft, Mesh, Section};
use crate::object::{Object, Part};
use crate::paint::{Material, Pattern, Texture, any_colour, brown, grey, hsv};
use crate::random::Dice;

const BODY: Part = Part::middle(0);
const HEAD: Part = Part::middle(1);
const BEAK: Part = Part::middle(2);
const TAIL: Part = Part::middle(3);
const NECK: Part = Part::middle(4);
const WING: u8 = 0;
const EYE: u8 = 1;
const LEG: u8 = 2;
const FOOT: u8 = 3;

fn plumage(dice: &mut Dice) -> Vec3 {
    match dice.below(3) {
        0 => grey(dice, 0.05, 0.95),
        1 => brown(dice),
        _ => any_colour(dice),
    }
}

pub(crate) fn build(dice: &mut Dice) -> Object {
    let mut object = Object::default();
    let colours = [plumage(dice), plumage(dice)];
    let scale = dice.range(4.0, 12.0);
    let pattern = dice.pick([Pattern::Plain, Pattern::Mottled, Pattern::Fibres]);
    let belly = plumage(dice);
    let coat = Material::new(Texture::of(dice, pattern, colours, scale), 0.08);
    let body = object.material(coat.clone().decal([0.2, 0.0, 0.0], [1.0, 0.28, 1.0], belly, 0.05));
    let crown = if dice.chance(0.4) { Material::plain(plumage(dice), 0.08) } else { coat.clone() };
    let head = object.material(crown);
    let bands = Texture::of(dice, Pattern::Stripes, [colours[1], colours[0] * 0.6], 9.0);
    let feathers = object.material(Material::new(Texture { axis: Vec3::Z, ..bands }, 0.08));
    let beak = object
        .material(Material::plain(hsv(dice.range(0.02, 0.15), dice.range(0.1, 0.95), dice.range(0.1, 0.95)), 0.4));
    let eye = object.material(Material::plain(grey(dice, 0.01, 0.1), 0.95));
    let skin =
        object.material(Material::plain(hsv(dice.range(0.0, 0.13), dice.range(0.1, 0.8), dice.range(0.15, 0.8)), 0.2));

    let flying = dice.chance(0.35);
    let fat = dice.about(0.25);
    let (w, h) = (0.2 * fat, 0.21 * fat);
    let pitch: f32 = if flying { dice.range(-0.1, 0.25) } else { dice.range(0.1, 0.75) };
    let along = Vec3::new(pitch.cos(), pitch.sin(), 0.0);
    let up = Vec3::Z.cross(along);
    let leg = if flying { 0.16 } else { dice.range(0.22, 0.5) };
    let middle = Vec3::Y * (leg + h);
    let oval = |t: f32, lift: f32, across: f32, height: f32| {
        Section::oval(middle + along * t + up * lift * h, w * across, h * height)
    };
    let trunk = Loft::new(
        &[
            oval(-0.42, 0.15, 0.35, 0.3),
            oval(-0.2, 0.0, 0.85, 0.8),
            oval(0.06, -0.05, 1.0, 1.0),
            oval(0.32, 0.1, 0.72, 0.75),
        ],
        Vec3::Z,
        [0.8, 0.7],
    );
    object.add(BODY, body, trunk.mesh());

    let skull = 0.125 * dice.about(0.2);
    let neck = dice.range(0.02, 0.14) + if dice.chance(0.25) { dice.range(0.1, 0.35) } else { 0.0 };
    let rise: f32 = if flying { pitch + 0.2 } else { dice.range(0.7, 1.2) };
    let root = middle + along * 0.28 + up * h * 0.3;
    let crown = root + Vec3::new(rise.cos(), rise.sin(), 0.0) * (neck + skull * 1.3);
    let thick = skull * dice.range(0.6, 0.9);
    let path = [Section::disc(root, w * 0.7), Section::disc(root.lerp(crown, 0.6), thick), Section::disc(crown, thick)];
    let throat = Loft::new(&path, Vec3::Z, [0.5, 0.5]);
    object.add(NECK, head, throat.mesh());
    object.mark(9, throat.point(0.55, 0.0));
    object.add(HEAD, head, Mesh::ellipsoid(Vec3::new(1.15, 1.0, 0.95) * skull).at(crown));
    let bill = skull * dice.range(0.7, 2.2);
    let hook = dice.range(-0.25, 0.0);
    let tip = crown + Vec3::new(skull + bill, hook * skull, 0.0);
    let start = crown + Vec3::new(skull * 0.8, -0.05 * skull, 0.0);
    let bill_width = skull * dice.range(0.25, 0.42);
    let beak_loft = Loft::new(
        &[
            Section::oval(start, bill_width, bill_width),
            Section::oval(start.lerp(tip, 0.5) + Vec3::Y * 0.06 * skull, bill_width * 0.6, bill_width * 0.6),
            Section::oval(tip, bill_width * 0.12, bill_width * 0.12),
        ],
        Vec3::Z,
        [0.2, 1.0],
    )
    .columns(12);
    object.add(BEAK, beak, beak_loft.mesh());
    object.mark(0, crown + Vec3::Y * skull);
    object.mark(3, tip);
    object.mark(6, crown + Vec3::new(0.75, 0.74, 0.0) * skull);
    let socket = crown + Vec3::new(0.5, 0.25, 0.78) * skull;
    object.add_both(EYE, eye, Mesh::ellipsoid(Vec3::splat(skull * 0.17)).at(socket));
    object.mark_both(7, 8, socket + Vec3::new(0.3, 0.1, 1.0) * skull * 0.12, Some(Vec3::new(0.3, 0.1, 1.0)));
    object.mark_both(4, 5, crown + Vec3::new(0.35, -0.4, 0.74) * skull, Some(Vec3::new(0.2, -0.3, 1.0)));

    let fan = dice.range(0.05, 0.1);
    let length = dice.range(0.25, 0.6);
    let rump = middle - along * 0.38 + up * h * 0.2;
    let back = -(along * 0.95 + up * dice.range(-0.25, 0.3)).normalize();
    let feather = |t: f32, wide: f32| Section::oval(rump + back * length * t, fan * wide, 0.02);
    let tail =
        Loft::new(&[feather(0.0, 0.8), feather(0.5, 1.0), feather(1.0, dice.range(0.9, 1.8))], Vec3::Z, [0.2, 1.0]);
    object.add(TAIL, feathers, tail.columns(14).flat().mesh());
    object.mark(16, rump + back * length);
    wings(dice, &mut object, &trunk, [along, up], [w, h], flying, feathers);
    legs(dice, &mut object, middle, [along, up], [w, h], flying, skin);
    object
}

fn wings(
    dice: &mut Dice,
    object: &mut Object,
    trunk: &Loft,
    [along, up]: [Vec3; 2],
    [w, h]: [f32; 2],
    flying: bool,
    feathers: u16,
) {
    let shoulder = trunk.point(0.78, 0.36 * PI) * Vec3::new(1.0, 1.0, 0.85);
    let lift = dice.range(-0.3, 0.9_f32);
    let (span, chord) = (dice.range(0.55, 0.9), dice.range(0.12, 0.2));
    if flying {
        let out = |t: f32| {
            let bend = lift * (1.0 - 0.5 * t);
            shoulder + (Vec3::Z * bend.cos() + up * bend.sin()) * span * t - along * span * 0.35 * t * t
        };
        let widths = [(0.0, 0.8), (0.35, 1.1), (0.7, 0.9), (1.0, 0.25)];
        let sections = widths.map(|(t, wide)| Section::oval(out(t) - along * chord * 0.6, chord * wide, 0.018));
        let wing = Loft::new(&sections, along, [0.2, 0.8]).columns(14).flat();
        object.add_both(WING, feathers, wing.mesh());
        object.mark_both(1, 2, wing.tip(true), None);
    } else {
        // folded along the flank
        let end = shoulder - along * dice.range(0.5, 0.68) - up * h * 0.25 + Vec3::Z * -w * 0.25;
        let at = |t: f32| shoulder.lerp(end, t) + Vec3::Z * w * 0.3 * (1.0 - (2.0 * t - 0.8).powi(2));
        let widths = [(0.0, 0.5), (0.3, 0.75), (0.65, 0.55), (1.0, 0.12)];
        let sections = widths.map(|(t, wide)| Section::oval(at(t) - up * h * 0.2, 0.035, h * wide));
        let wing = Loft::new(&sections, Vec3::Z, [0.6, 1.0]).columns(14);
        object.add_both(WING, feathers, wing.mesh());
        object.mark_both(1, 2, wing.tip(true), None);
    }
}

fn legs(
    dice: &mut Dice,
    object: &mut Object,
    middle: Vec3,
    [along, up]: [Vec3; 2],
    [w, h]: [f32; 2],
    flying: bool,
    skin: u16,
) {
    for left in [false, true] {
        let hip = middle - along * 0.08 - up * h * 0.75 + Vec3::Z * w * 0.45;
        let (knee, foot) = match flying {
            true => (hip - along * 0.12 - up * 0.06, hip - along * 0.28 - up * 0.06),
            false => {
                let step = dice.range(-0.06, 0.06);
                let foot = Vec3::new(hip.x + 0.06 + step, 0.015, hip.z);
                (hip.lerp(foot, 0.45) + Vec3::new(-0.05, 0.0, 0.0), foot)
            }
        };
        let path = [
            Section::disc(hip, 0.045),
            Section::disc(hip.lerp(knee, 0.5), 0.03),
            Section::disc(knee, 0.017),
            Section::disc(knee.lerp(foot, 0.5), 0.014),
            Section::disc(foot, 0.015),
        ];
        object.add_on(LEG, left, skin, Loft::new(&path, Vec3::Z, [0.3, 0.5]).columns(8).mesh());
        let toe_direction = if flying { -along } else { Vec3::X };
        for spread in [-0.5, 0.0, 0.5_f32] {
            let toe = foot + (toe_direction * spread.cos() + Vec3::Z * spread.sin()) * 0.09;
            object.add_on(FOOT, left, skin, Loft::tube(&[foot, toe], 0.012, Vec3::Y).columns(6).mesh());
        }
        object.mark_on([10, 11], left, foot + toe_direction * 0.03, None);
        object.mark_on([12, 13], left, knee, None);
        object.mark_on([14, 15], left, hip, None);
    }
}
