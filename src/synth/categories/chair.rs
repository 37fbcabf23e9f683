//! Chairs, with and without arms.

use glam::Vec3;

use crate::mesh::{Loft, Mesh, Section};
use crate::object::{Object, Part};
use crate::paint::{Material, Texture, any_colour, brown, grey};
use crate::random::Dice;

const SEAT: Part = Part::middle(0);
const BACK: Part = Part::middle(1);
const RAIL: Part = Part::middle(2);
const FRONT_LEG: u8 = 0;
const BACK_LEG: u8 = 1;
const ARM: u8 = 2;
const ARM_POST: u8 = 3;
const BACK_POST: u8 = 4;

pub(crate) fn build(dice: &mut Dice) -> Object {
    let mut object = Object::default();
    let wood = if dice.chance(0.6) { brown(dice) } else { grey(dice, 0.05, 0.9) };
    let frame = object.material(Material::plain(wood, dice.range(0.1, 0.5)));
    let cloth = match dice.below(3) {
        0 => Material::plain(wood, 0.2),
        1 => Material::plain(any_colour(dice), 0.1),
        _ => Material::new(Texture { scale: dice.range(4.0, 9.0), ..Texture::any(dice) }, 0.05),
    };
    let cloth = object.material(cloth);

    let (depth, width) = (dice.range(0.3, 0.38), dice.range(0.29, 0.38));
    let height = dice.range(0.5, 0.68);
    let thick = if dice.chance(0.4) { dice.range(0.06, 0.11) } else { dice.range(0.025, 0.045) };
    let round = dice.range(0.15, 0.45);
    let seat = Vec3::new(depth, thick, width);
    object.add(SEAT, cloth, Mesh::superellipsoid(seat, round).at(Vec3::Y * height));
    let corner = Vec3::Y * height + Mesh::on_superellipsoid(seat, round, seat * Vec3::new(1.0, 0.6, 1.0));
    object.mark_both(0, 1, corner, None);

    let rise = dice.range(0.55, 0.95);
    let lean = dice.range(0.04, 0.22);
    let root = Vec3::new(-depth * 0.94, height, 0.0);
    let top = root + Vec3::new(-lean, rise, 0.0);
    let spread = width * dice.range(0.85, 1.05);
    let leg = dice.range(0.018, 0.036);
    let post = |z: f32, t: f32| root.lerp(top, t) + Vec3::Z * z;
    back(dice, &mut object, [root, top], spread, [cloth, frame], leg);
    object.mark_both(2, 3, post(spread * 0.93, 0.1), None);
    object.mark_both(8, 9, post(spread * 0.93, 0.97), None);

    let splay = dice.range(0.0, 0.09);
    let foot = |x: f32, z: f32| Vec3::new(x, 0.012, z);
    let front = [Vec3::new(depth * 0.86, height, width * 0.86), foot(depth * 0.86 + splay, width * 0.86 + splay)];
    let rear =
        [Vec3::new(-depth * 0.88, height, width * 0.86), foot(-depth * 0.88 - splay * 1.3, width * 0.86 + splay)];
    for (number, [upper, lower], ids) in [(FRONT_LEG, front, [4, 5]), (BACK_LEG, rear, [6, 7])] {
        let path = [
            Section::disc(upper, leg),
            Section::disc(upper.lerp(lower, 0.5), leg * 0.95),
            Section::disc(lower, leg * 0.8),
        ];
        object.add_both(number, frame, Loft::new(&path, Vec3::Z, [0.2, 0.2]).columns(10).thin().mesh());
        object.mark_both(ids[0], ids[1], lower + Vec3::Y * leg * 0.5, None);
    }
    if dice.chance(0.4) {
        let y = 0.35;
        for side in [1.0, -1.0] {
            let flip = Vec3::new(1.0, 1.0, side);
            let ends = [front[0].lerp(front[1], 1.0 - y) * flip, rear[0].lerp(rear[1], 1.0 - y) * flip];
            object.add(RAIL, frame, Loft::tube(&ends, leg * 0.6, Vec3::Z).columns(8).mesh());
        }
    }
    if dice.chance(0.55) {
        let lift = dice.range(0.24, 0.36);
        let elbow = post(spread, lift / rise) + Vec3::X * 0.02;
        let hand = Vec3::new(depth * dice.range(0.5, 0.95), height + lift * dice.range(0.9, 1.05), width * 1.04);
        let arm = [
            Section::oval(elbow, 0.035, 0.022),
            Section::oval(elbow.lerp(hand, 0.6), 0.042, 0.022),
            Section::oval(hand, 0.045, 0.024),
        ];
        object.add_both(ARM, frame, Loft::new(&arm, Vec3::Z, [0.5, 0.8]).columns(12).mesh());
        let base = Vec3::new(hand.x - 0.04, height, width * 0.97);
        object.add_both(ARM_POST, frame, Loft::tube(&[base, base.lerp(hand, 0.5), hand], leg * 0.8, Vec3::X).mesh());
        object.mark_both(10, 11, hand + Vec3::new(0.02, 0.02, 0.0), None);
        object.mark_both(12, 13, elbow + Vec3::new(0.03, 0.02, 0.0), None);
    }
    object
}

/// The back rest: a padded panel, a plank or two, or staves.
fn back(dice: &mut Dice, object: &mut Object, [root, top]: [Vec3; 2], spread: f32, [cloth, frame]: [u16; 2], leg: f32) {
    let at = |t: f32| root.lerp(top, t);
    let kind = dice.below(3);
    if kind > 0 {
        for end in [1.0, -1.0] {
            let aside = Vec3::Z * spread * 0.93 * end;
            let path = [at(0.0) + aside, at(0.5) + aside - Vec3::X * 0.02, at(1.0) + aside];
            object.add_on(BACK_POST, end < 0.0, frame, {
                let mesh = Loft::tube(&path, leg, Vec3::Z).mesh();
                if end < 0.0 { mesh.mirrored() } else { mesh }
            });
        }
    }
    let (low, high) = (Vec3::new(top.x - 0.06, root.y, -spread), Vec3::new(root.x + 0.06, top.y, spread));
    let mut keep = |material: u16, mesh: Mesh| {
        object.add(BACK, material, mesh.placed(low, high).flattened(Vec3::new(0.0, 1.0, 1.0)))
    };
    let panel = |from: f32, to: f32, thick: f32| {
        let sections =
            [from, (from + to) / 2.0, to].map(|t| Section { at: at(t), across: spread * 0.94, up: thick, round: 0.4 });
        Loft::new(&sections, Vec3::Z, [0.4, 0.6]).mesh()
    };
    match kind {
        0 => keep(cloth, panel(dice.range(0.04, 0.2), 0.97, dice.range(0.025, 0.06))),
        1 => {
            keep(frame, panel(0.8, 0.98, 0.02));
            keep(frame, panel(dice.range(0.35, 0.5), 0.6, 0.02));
        }
        _ => {
            keep(frame, panel(0.84, 0.98, 0.024));
            let staves = 3 + dice.below(4);
            for stave in 0..staves {
                let z = spread * 0.8 * (2.0 * stave as f32 / (staves - 1) as f32 - 1.0);
                let path = [0.0, 0.5, 0.88].map(|t| at(t) + Vec3::Z * z);
                keep(frame, Loft::tube(&path, leg * 0.55, Vec3::Z).columns(8).mesh());
            }
        }
    }
}
