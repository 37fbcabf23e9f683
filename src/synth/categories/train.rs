//! Trains: a locomotive or power car, with carriages behind it.

use glam::Vec3;

use crate::mesh::{Loft, Mesh, Section};
use crate::object::{Object, Part};
use crate::paint::{Material, any_colour, grey, hsv};
use crate::random::Dice;

const BODY: Part = Part::middle(0);
const CARRIAGE: Part = Part::middle(1);
const BOGIE: Part = Part::middle(2);
const COUPLER: Part = Part::middle(3);
const HEADLIGHT: u8 = 0;

fn windows(mut body: Material, dice: &mut Dice, glass: Vec3, from: f32) -> Material {
    let count = 5 + dice.below(5);
    for side in [[0.0, 0.1], [0.9, 1.0]] {
        for window in 0..count {
            let start = 0.04 + (from - 0.04) * window as f32 / count as f32;
            let end = start + (from - 0.04) / count as f32 * 0.8;
            body = body.decal([start, 0.52, side[0]], [end, 0.74, side[1]], glass, 0.9);
        }
    }
    body
}

pub(crate) fn build(dice: &mut Dice) -> Object {
    let mut object = Object::default();
    let (colour, second) = (any_colour(dice), any_colour(dice));
    let glass = grey(dice, 0.04, 0.25);
    let mut plain = Material::plain(colour, 0.4);
    if dice.chance(0.7) {
        let low = dice.range(0.2, 0.42);
        plain = plain.decal([0.0, low, 0.0], [1.0, low + dice.range(0.05, 0.25), 1.0], second, 0.4);
    }
    let face = if dice.chance(0.5) { second } else { colour };
    let sides = windows(plain.clone(), dice, glass, 0.72);
    let carriage = windows(plain, dice, glass, 0.96);
    // the face, with two panes over the dome at its end
    let screen = [dice.range(0.5, 0.58), dice.range(0.74, 0.84)];
    let sides = sides.decal([0.9, 0.0, 0.0], [1.0, 1.0, 1.0], face, 0.4);
    let sides = sides.decal([0.999, screen[0], 0.13], [1.0, screen[1], 0.48], glass, 0.95);
    let sides = sides.decal([0.999, screen[0], 0.52], [1.0, screen[1], 0.87], glass, 0.95);
    let (body, carriage) = (object.material(sides), object.material(carriage));
    let dark = object.material(Material::plain(grey(dice, 0.03, 0.2), 0.15));
    let lamp = object.material(Material::plain(hsv(0.14, 0.2, 1.0), 0.9));

    let (w, h) = (dice.range(0.19, 0.23), dice.range(0.21, 0.27));
    let floor = dice.range(0.09, 0.13);
    let length = dice.range(1.0, 1.4);
    let slope = dice.range(0.0, 0.3);
    let round = dice.range(0.25, 0.5);
    let y = floor + h;
    let section = |x: f32, across: f32, up: f32, drop: f32| Section {
        at: Vec3::new(x, y - drop, 0.0),
        across: w * across,
        up: h * up,
        round,
    };
    let nose = length / 2.0;
    let taper = slope * 0.55;
    let loft = Loft::new(
        &[
            section(-nose, 1.0, 1.0, 0.0),
            section(-nose * 0.4, 1.0, 1.0, 0.0),
            section(nose * 0.5 - slope * 0.3, 1.0, 1.0, 0.0),
            section(nose - slope * 0.5, 1.0 - taper * 0.4, 1.0 - taper * 0.5, h * taper * 0.5),
            section(nose, 0.97 - taper, 0.95 - taper * 1.5, h * taper * 1.4),
        ],
        Vec3::Z,
        [0.0, 0.18],
    )
    .columns(28);
    object.add(BODY, body, loft.mesh());
    let count = 1 + dice.below(2);
    for number in 1..=count {
        let gap = (length * 0.6 + 0.05) * number as f32;
        let middle = -nose - gap + length * 0.3;
        let ends = [middle - length * 0.3, middle, middle + length * 0.3].map(|x| section(x, 1.0, 1.0, 0.0));
        object.add(CARRIAGE, carriage, Loft::straight(&ends, Vec3::Z, [0.0, 0.0]).columns(28).mesh());
    }
    let back = -nose - (length * 0.6 + 0.05) * count as f32;
    let mut at = nose * 0.7;
    while at > back {
        object.add(
            BOGIE,
            dark,
            Mesh::rounded_box(Vec3::new(0.13, floor * 0.55, w * 0.8)).at(Vec3::new(at, floor * 0.55, 0.0)),
        );
        at -= length * 0.42;
    }
    let bumper = Vec3::new(nose + 0.02, floor * 0.9, 0.0);
    object.add(COUPLER, dark, Mesh::superellipsoid(Vec3::new(0.05, floor * 0.5, w * 0.75), 0.4).at(bumper));

    let facing = Some(Vec3::X);
    let [low, high] = screen;
    object.mark_both(9, 8, loft.on_dome(high, 0.83), facing);
    object.mark_both(11, 10, loft.on_dome(low, 0.87), facing);
    object.mark_both(13, 12, loft.on_dome(high, 0.52), facing);
    object.mark_both(15, 14, loft.on_dome(low, 0.52), facing);
    let outward = Some(Vec3::new(0.8, 0.0, 0.6));
    object.mark_both(1, 0, loft.point(0.86, 0.62), outward);
    object.mark_both(3, 2, loft.point(0.96, 2.45), outward);
    let end = |y: f32| Vec3::new(back, y, w * 0.97);
    let aside = Some(Vec3::Z);
    object.mark_both(5, 4, end(y + h * 0.8), aside);
    object.mark_both(7, 6, end(y - h * 0.85), aside);
    let light = loft.on_dome(0.3, 0.8);
    object.add_both(HEADLIGHT, lamp, Mesh::ellipsoid(Vec3::new(0.03, 0.028, 0.034)).at(light));
    object.mark_both(17, 16, light + Vec3::X * 0.025, facing);
    object
}
