//! Boats: rowing boats, motor boats with a cabin, and sailing boats.

use std::f32::consts::PI;

use glam::Vec3;

use crate::mesh::{Loft, Mesh, Section};
use crate::object::{Object, Part};
use crate::paint::{Material, any_colour, brown, grey};
use crate::random::Dice;

const HULL: Part = Part::middle(0);
const DECK: Part = Part::middle(1);
const CABIN: Part = Part::middle(2);
const MAST: Part = Part::middle(3);
const SAIL: Part = Part::middle(4);
const JIB: Part = Part::middle(5);
const BENCH: Part = Part::middle(6);

pub(crate) fn build(dice: &mut Dice) -> Object {
    let mut object = Object::default();
    let colour = if dice.chance(0.4) { grey(dice, 0.6, 0.98) } else { any_colour(dice) };
    let mut side = Material::plain(colour, 0.35);
    if dice.chance(0.7) {
        side = side.decal([0.0, 0.0, 0.0], [1.0, dice.range(0.1, 0.25), 1.0], any_colour(dice), 0.3);
        side = side.decal([0.0, 0.42, 0.0], [1.0, dice.range(0.45, 0.5), 1.0], any_colour(dice), 0.3);
    }
    let side = object.material(side);
    let wood = if dice.chance(0.6) { brown(dice) } else { grey(dice, 0.5, 0.9) };
    let deck = object.material(Material::plain(wood, 0.15));
    let beam = dice.range(0.2, 0.3);
    let depth = dice.range(0.14, 0.24);
    let sheer = dice.range(0.02, 0.12);
    let stern = dice.range(0.6, 0.9);
    // half ellipses: the upper halves of the sections lie under the deck
    let rib = |x: f32, across: f32, down: f32, rise: f32| Section {
        at: Vec3::new(x, depth + rise * sheer, 0.0),
        across: beam * across,
        up: depth * down,
        round: 0.75,
    };
    let ribs = [
        rib(-0.95, stern, 0.75, 0.4),
        rib(-0.5, 0.96, 0.95, 0.05),
        rib(0.0, 1.0, 1.0, 0.0),
        rib(0.45, 0.78, 0.95, 0.35),
        rib(0.8, 0.36, 0.75, 0.8),
        rib(1.0, 0.04, 0.4, 1.15),
    ];
    let hull = Loft::new(&ribs, Vec3::Z, [0.1, 0.3]).columns(24);
    let mut shell = hull.mesh();
    // what would rise over the deck is pressed down to it
    for position in &mut shell.positions {
        let t = ((position.x + 0.95) / 1.95).clamp(0.0, 1.0);
        let rise = 0.4 * (1.0 - 4.0 * t).max(0.0) + 1.15 * ((t - 0.5) * 2.0).max(0.0).powi(2);
        position.y = position.y.min(depth + rise * sheer + 0.02);
    }
    object.add(HULL, side, shell);
    let plank =
        ribs.map(|rib| Section { up: 0.012, across: rib.across * 0.93, at: rib.at + Vec3::Y * 0.022, round: 0.8 });
    let planks = Loft::new(&plank, Vec3::Z, [0.1, 0.3]);
    object.add(DECK, deck, planks.mesh());

    let rail = |t: f32| hull.point(t, PI * 0.5);
    object.mark(0, hull.tip(true) + Vec3::Y * 0.02);
    object.mark(13, hull.point(0.97, PI * 0.9));
    for (t, deck_ids, hull_ids) in [(0.76, [1, 2], [7, 8]), (0.42, [3, 4], [9, 10]), (0.02, [5, 6], [11, 12])] {
        object.mark_both(deck_ids[0], deck_ids[1], rail(t) + Vec3::Y * 0.01, None);
        let low = hull.point(t, PI * 0.72);
        object.mark_both(hull_ids[0], hull_ids[1], low, Some(Vec3::new(0.0, -0.2, 1.0)));
    }
    match dice.below(3) {
        0 => sailing(dice, &mut object, depth),
        1 => cabin(dice, &mut object, depth, beam),
        _ => benches(dice, &mut object, &hull),
    }
    object
}

fn sailing(dice: &mut Dice, object: &mut Object, deck: f32) {
    let pole = object.material(Material::plain(grey(dice, 0.2, 0.9), 0.3));
    let colour = if dice.chance(0.6) { grey(dice, 0.8, 1.0) } else { any_colour(dice) };
    let mut cloth = Material::plain(colour, 0.03);
    if dice.chance(0.4) {
        cloth = cloth.decal([dice.range(0.1, 0.4), 0.0, 0.0], [dice.range(0.5, 0.7), 1.0, 1.0], any_colour(dice), 0.03);
    }
    let cloth = object.material(cloth);
    let height = dice.range(1.1, 1.6);
    let foot = Vec3::new(dice.range(0.05, 0.25), deck, 0.0);
    let top = foot + Vec3::Y * height;
    object.add(MAST, pole, Loft::tube(&[foot, foot.lerp(top, 0.5), top], 0.018, Vec3::Z).mesh());
    let boom = foot + Vec3::Y * 0.12;
    let swing = dice.range(-0.35, 0.35);
    let end = boom + Vec3::new(-0.85, 0.02, swing);
    object.add(MAST, pole, Loft::tube(&[boom, boom.lerp(end, 0.5), end], 0.014, Vec3::Y).mesh());
    let mut sheet = |part: Part, low: [Vec3; 2], top: Vec3| {
        let at = |t: f32| {
            let (a, b) = (low[0].lerp(top, t), low[1].lerp(top, t));
            let belly = Vec3::Z * 0.25 * swing * (t * PI).sin();
            Section::oval((a + b) / 2.0 + belly, (a - b).length() / 2.0 + 0.004, 0.006)
        };
        let along = (low[0] - low[1]).normalize_or(Vec3::X);
        object.add(
            part,
            cloth,
            Loft::new(&[0.0, 0.33, 0.66, 1.0].map(at), along, [0.0, 0.0]).columns(12).flat().mesh(),
        );
    };
    sheet(SAIL, [boom + Vec3::Y * 0.03, end + Vec3::Y * 0.03], top - Vec3::Y * 0.05);
    if dice.chance(0.7) {
        let bow = Vec3::new(0.95, deck + 0.12, 0.0);
        sheet(JIB, [bow, foot + Vec3::new(0.05, 0.15, swing * 0.3)], top - Vec3::Y * height * 0.25);
    }
}

fn cabin(dice: &mut Dice, object: &mut Object, deck: f32, beam: f32) {
    let colour = if dice.chance(0.7) { grey(dice, 0.7, 1.0) } else { any_colour(dice) };
    let glass = grey(dice, 0.04, 0.3);
    let mut wall = Material::plain(colour, 0.3);
    for side in [[-1.0, 0.06], [0.94, 2.0]] {
        let count = 2 + dice.below(3);
        for window in 0..count {
            let start = 0.1 + 0.8 * window as f32 / count as f32;
            wall = wall.decal([start, 0.5, side[0]], [start + 0.6 / count as f32, 0.85, side[1]], glass, 0.9);
        }
    }
    wall = wall.decal([0.94, 0.5, 0.12], [2.0, 0.88, 0.88], glass, 0.9);
    let wall = object.material(wall);
    let half = Vec3::new(dice.range(0.25, 0.45), dice.range(0.1, 0.2), beam * dice.range(0.55, 0.75));
    let at = Vec3::new(dice.range(-0.3, 0.05), deck + half.y, 0.0);
    object.add(CABIN, wall, Mesh::rounded_box(half).at(at));
    if dice.chance(0.5) {
        let pole = object.material(Material::plain(grey(dice, 0.2, 0.9), 0.3));
        let foot = at + Vec3::Y * half.y;
        object.add(MAST, pole, Loft::tube(&[foot, foot + Vec3::Y * dice.range(0.2, 0.5)], 0.014, Vec3::Z).mesh());
    }
}

fn benches(dice: &mut Dice, object: &mut Object, hull: &Loft) {
    let wood = object.material(Material::plain(brown(dice), 0.1));
    for t in [0.2, 0.45, 0.68] {
        let side = hull.point(t, PI * 0.5);
        let half = Vec3::new(0.06, 0.02, side.z * 0.95);
        object.add(BENCH, wood, Mesh::rounded_box(half).at(Vec3::new(side.x, side.y + 0.035, 0.0)));
    }
}
