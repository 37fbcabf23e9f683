//! Bottles. A bottle has no front: left and right are as the viewer sees them, who stands at azimuth 0.

use glam::Vec3;

use crate::mesh::Loft;
use crate::object::{Object, Part};
use crate::paint::{Material, any_colour, grey, hsv};
use crate::random::Dice;

const BODY: Part = Part::middle(0);
const NECK: Part = Part::middle(1);
const CAP: Part = Part::middle(2);

pub(crate) fn build(dice: &mut Dice) -> Object {
    let mut object = Object::default();
    let glass = match dice.below(4) {
        0 => hsv(dice.range(0.25, 0.42), dice.range(0.4, 0.9), dice.range(0.15, 0.6)),
        1 => hsv(dice.range(0.04, 0.1), dice.range(0.5, 0.95), dice.range(0.15, 0.6)),
        2 => grey(dice, 0.5, 0.95),
        _ => any_colour(dice),
    };
    let mut body = Material::plain(glass, dice.range(0.5, 0.95));
    if dice.chance(0.85) {
        let (low, high) = (dice.range(0.12, 0.3), dice.range(0.5, 0.68));
        let paper = if dice.chance(0.5) { grey(dice, 0.75, 1.0) } else { any_colour(dice) };
        body = body.decal([low, 0.0, 0.0], [high, 1.0, 1.0], paper, 0.05);
        let band = low + (high - low) * dice.range(0.1, 0.6);
        let print = any_colour(dice);
        body = body.decal([band, 0.0, 0.0], [band + dice.range(0.04, 0.14), 1.0, 1.0], print, 0.05);
        let shift = dice.range(0.2, 0.5);
        body = body.decal([low + 0.03, 0.0, shift], [low + 0.12, 1.0, shift + 0.3], any_colour(dice), 0.05);
    }
    let (body, neck) = (object.material(body.clone()), object.material(Material::plain(glass, body.gloss)));
    let cap = object.material(Material::plain(any_colour(dice), 0.4));

    let radius = dice.range(0.2, 0.32);
    let height = dice.range(0.75, 1.15);
    let throat = radius * dice.range(0.25, 0.5);
    let shoulder = dice.range(0.12, 0.4);
    let rise = dice.range(0.15, 0.45);
    let waist = if dice.chance(0.3) { dice.range(0.82, 0.95) } else { 1.0 };
    let top = height + shoulder;
    let trunk = Loft::lathe(&[
        [radius * 0.88, 0.0],
        [radius, 0.035],
        [radius * waist, height * 0.33],
        [radius * waist, height * 0.66],
        [radius, height * 0.95],
        [radius * 0.96, height],
    ]);
    object.add(BODY, body, trunk.columns(32).mesh());
    let middle = (radius * 0.96 + throat) / 2.0;
    let round = dice.range(0.2, 0.75);
    let collar = Loft::lathe(&[
        [radius * 0.96, height],
        [middle + (radius - middle) * round, height + shoulder * 0.4],
        [throat + (middle - throat) * round * 0.6, height + shoulder * 0.8],
        [throat, top],
        [throat, top + rise],
    ]);
    object.add(NECK, neck, collar.columns(28).mesh());
    let lid = throat * dice.range(1.1, 1.35);
    let lid_height = dice.range(0.06, 0.14);
    let base = top + rise - lid_height * 0.3;
    let stopper = Loft::lathe(&[[lid, base], [lid, base + lid_height * 0.85], [lid * 0.92, base + lid_height]]);
    object.add(CAP, cap, stopper.columns(24).mesh());
    // the viewer's right is at negative z
    let rings = [
        (lid, base + lid_height * 0.8, [0, 1]),
        (throat, top + rise * 0.35, [2, 3]),
        (radius * 0.98, height * 0.97, [4, 5]),
        (radius * waist, height * 0.5, [6, 7]),
        (radius * 0.97, 0.025, [8, 9]),
    ];
    for (size, y, [right, left]) in rings {
        object.mark_both(left, right, Vec3::new(size * 0.15, y, size * 0.985), None);
    }
    object
}
