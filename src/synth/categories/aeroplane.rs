//! Aeroplanes: airliners, and small ones with a propeller.

use glam::Vec3;

use crate::mesh::{Loft, Mesh, Section};
use crate::object::{Object, Part};
use crate::paint::{Material, any_colour, grey};
use crate::random::Dice;

const FUSELAGE: Part = Part::middle(0);
const FIN: Part = Part::middle(1);
const FRONT_WHEEL: Part = Part::middle(2);
const PROPELLER: Part = Part::middle(3);
const WING: u8 = 0;
const STABILIZER: u8 = 1;
const ENGINE: u8 = 2;
const WHEEL: u8 = 3;
const FAN: u8 = 4;
const PYLON: u8 = 5;

/// A wing from its root to its tip: middles of the chords, half chords and half thicknesses.
fn wing(root: Vec3, tip: Vec3, chords: [f32; 2], thickness: f32) -> Loft {
    let part =
        |t: f32| Section::oval(root.lerp(tip, t), chords[0] + (chords[1] - chords[0]) * t, thickness * (1.0 - 0.6 * t));
    Loft::straight(&[part(0.0), part(0.5), part(1.0)], Vec3::X, [0.0, 1.0]).columns(14).flat()
}

pub(crate) fn build(dice: &mut Dice) -> Object {
    let mut object = Object::default();
    let small = dice.chance(0.35);
    let colour = if dice.chance(0.6) { grey(dice, 0.6, 0.98) } else { any_colour(dice) };
    let second = any_colour(dice);
    let glass = grey(dice, 0.03, 0.15);
    let mut skin = Material::plain(colour, 0.45);
    if dice.chance(0.6) {
        let low = dice.range(0.25, 0.5);
        let high = low + dice.range(0.05, 0.2);
        for side in [[0.0, 0.3], [0.7, 1.0]] {
            skin = skin.decal([0.0, low, side[0]], [1.0, high, side[1]], second, 0.45);
        }
    }
    let windows = if small { 3 } else { 22 };
    for window in 0..windows {
        let start = if small { 0.56 + 0.06 * window as f32 } else { 0.26 + 0.025 * window as f32 };
        let end = start + if small { 0.045 } else { 0.011 };
        for side in [[0.0, 0.2], [0.8, 1.0]] {
            let low = if small { 0.62 } else { 0.56 };
            skin = skin.decal([start, low, side[0]], [end, if small { 0.86 } else { 0.68 }, side[1]], glass, 0.9);
        }
    }
    let screen = if small { [0.72, 0.79] } else { [0.87, 0.91] };
    skin = skin.decal([screen[0], 0.7, 0.05], [screen[1], 1.0, 0.95], glass, 0.9);
    let skin = object.material(skin);
    let metal = if dice.chance(0.5) { colour } else { grey(dice, 0.4, 0.9) };
    let wings = object.material(Material::plain(metal, 0.4));
    let tail = object.material(Material::plain(if dice.chance(0.6) { second } else { colour }, 0.4));
    let dark = object.material(Material::plain(grey(dice, 0.04, 0.3), 0.3));
    let pod = object.material(Material::plain(if dice.chance(0.5) { second } else { metal }, 0.4));

    let r = if small { dice.range(0.11, 0.15) } else { dice.range(0.085, 0.12) };
    let disc = |x: f32, lift: f32, size: f32| Section::oval(Vec3::new(x, lift * r, 0.0), r * size, r * size * 1.05);
    let body = Loft::new(
        &[
            disc(-1.0, 0.55, 0.18),
            disc(-0.7, 0.3, 0.6),
            disc(-0.3, 0.0, 1.0),
            disc(0.35, 0.0, 1.0),
            disc(0.75, -0.05, if small { 0.72 } else { 0.95 }),
            disc(0.95, -0.15, if small { 0.5 } else { 0.55 }),
        ],
        Vec3::Z,
        [0.6, 0.9],
    )
    .columns(24);
    object.add(FUSELAGE, skin, body.mesh());
    object.mark(0, body.tip(true));
    object.mark(1, body.point((screen[0] + screen[1]) / 2.0, 0.0));
    object.mark(2, body.point(screen[0] - 0.08, 0.0));

    let span = dice.range(0.75, 1.05);
    let sweep = if small { dice.range(-0.02, 0.06) } else { dice.range(0.25, 0.5) };
    let high = small && dice.chance(0.6);
    let root = Vec3::new(dice.range(0.05, 0.2), if high { r * 0.85 } else { -r * 0.5 }, r * 0.5);
    let tip = Vec3::new(root.x - sweep * span, root.y + dice.range(0.0, 0.12), span);
    let chord = if small { dice.range(0.14, 0.18) } else { dice.range(0.17, 0.24) };
    let right = wing(root, tip, [chord, chord * if small { 0.8 } else { 0.35 }], 0.025);
    object.add_both(WING, wings, right.mesh());
    object.mark_both(8, 9, right.tip(true), None);
    let at_root = |x: f32| Vec3::new(root.x + x - sweep * r * 0.4, root.y, r * if high { 0.6 } else { 0.95 });
    object.mark_both(12, 13, at_root(chord * 0.97), None);
    object.mark_both(14, 15, at_root(-chord * 0.97), None);

    let tee = !small && dice.chance(0.2);
    let fin_top = Vec3::new(-1.0 - dice.range(0.0, 0.1), dice.range(0.36, 0.5), 0.0);
    let fin_root = Vec3::new(-0.8, r * 0.6, 0.0);
    let fin_chords = [dice.range(0.14, 0.19), dice.range(0.07, 0.1)];
    let fin = wing(fin_root, fin_top, fin_chords, 0.02);
    object.add(FIN, tail, fin.mesh());
    object.mark(22, fin.tip(true));
    object.mark(23, fin_root + Vec3::new(fin_chords[0] * 0.8, r * 0.35, 0.0));
    object.mark(24, fin_root + Vec3::new(-fin_chords[0] * 0.9, r * 0.2, 0.0));
    let height = if tee { fin_top.y - 0.02 } else { r * dice.range(0.4, 0.8) };
    let stab_root = Vec3::new(if tee { fin_top.x + 0.02 } else { -0.85 }, height, 0.0);
    let stab_chord = dice.range(0.09, 0.13);
    let stab_tip = stab_root + Vec3::new(-sweep * 0.35, 0.03, dice.range(0.3, 0.4));
    let stabilizer = wing(stab_root, stab_tip, [stab_chord, stab_chord * 0.6], 0.016);
    object.add_both(STABILIZER, tail, stabilizer.mesh());
    object.mark_both(16, 17, stabilizer.tip(true), None);
    let near = stab_root + Vec3::Z * r * 0.45;
    object.mark_both(18, 19, near + Vec3::X * stab_chord * 0.9, None);
    object.mark_both(20, 21, near - Vec3::X * stab_chord * 0.95, None);

    if small {
        let hub = body.tip(true);
        object.add(PROPELLER, dark, Mesh::ellipsoid(Vec3::new(0.05, 0.03, 0.03)).at(hub));
        let (s, c) = dice.range(0.0, 3.1).sin_cos();
        let blade = Vec3::new(0.0, c, s) * dice.range(0.16, 0.22);
        let middle = hub + Vec3::X * 0.02;
        object.add(PROPELLER, dark, Loft::tube(&[middle - blade, middle, middle + blade], 0.016, Vec3::X).mesh());
    } else {
        engines(dice, &mut object, r, [pod, dark], root.lerp(tip, 0.32), chord);
    }
    if small || dice.chance(0.6) {
        let down = r * 1.0 + 0.1;
        let wheel = if small { 0.05 } else { 0.035 };
        let mut strut = |part: Part, at: Vec3| {
            object.add(part, dark, Mesh::superellipsoid(Vec3::new(wheel, wheel, wheel * 0.5), 0.8).at(at));
            let top = Vec3::new(at.x, -r * 0.3, at.z * 0.8);
            object.add(part, dark, Loft::tube(&[top, at], 0.012, Vec3::X).mesh());
        };
        let (front, main) = (Vec3::new(0.72, -down, 0.0), Vec3::new(root.x - 0.08, -down, r * 1.4));
        strut(FRONT_WHEEL, front);
        strut(Part::sided(WHEEL, false), main);
        strut(Part::sided(WHEEL, true), main * Vec3::new(1.0, 1.0, -1.0));
        object.mark(3, front);
        object.mark_both(4, 5, main, None);
    }
    object
}

/// Jet engines: under the wings, or beside the tail.
fn engines(dice: &mut Dice, object: &mut Object, r: f32, [pod, dark]: [u16; 2], at: Vec3, chord: f32) {
    let radius = r * dice.range(0.42, 0.6);
    let under = dice.chance(0.75);
    let middle = match under {
        true => Vec3::new(at.x + chord * 0.75, at.y - radius * 1.15, at.z),
        false => Vec3::new(-0.55, r * 0.35, r * 1.35),
    };
    let length = radius * dice.range(1.8, 2.5);
    let ring = |x: f32, size: f32| Section::disc(middle + Vec3::X * x * length, radius * size);
    let cover = Loft::new(&[ring(-1.0, 0.55), ring(-0.3, 0.95), ring(0.5, 1.05), ring(1.0, 0.92)], Vec3::Z, [0.0, 0.0]);
    object.add_both(ENGINE, pod, cover.columns(18).mesh());
    let fan = middle + Vec3::X * length;
    let face = Mesh::ellipsoid(Vec3::new(0.01, radius * 0.8, radius * 0.8)).at(fan);
    object.add_both(FAN, dark, face);
    if under {
        let pylon = [middle + Vec3::Y * radius * 0.6, at];
        let sections = pylon.map(|p| Section::oval(p, length * 0.5, 0.012));
        object.add_both(PYLON, pod, Loft::straight(&sections, Vec3::X, [0.0, 0.0]).columns(8).mesh());
    }
    object.mark_both(6, 7, fan + Vec3::X * 0.01, Some(Vec3::X));
    object.mark_both(10, 11, middle + Vec3::new(0.0, -0.5, 0.85) * radius, None);
}
