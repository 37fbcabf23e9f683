//! Potted plants. A pot has no front: left, right, front and back are as the viewer sees them, who stands at azimuth 0.

use std::f32::consts::TAU;

use glam::Vec3;

use crate::mesh::{Loft, Mesh, Section};
use crate::object::{Object, Part};
use crate::paint::{Material, Pattern, Texture, any_colour, brown, hsv};
use crate::random::Dice;

const POT: Part = Part::middle(0);
const RIM: Part = Part::middle(1);
const SOIL: Part = Part::middle(2);
const LEAVES: Part = Part::middle(3);
const STEM: Part = Part::middle(4);

pub(crate) fn build(dice: &mut Dice) -> Object {
    let mut object = Object::default();
    let clay = match dice.below(3) {
        0 | 1 => hsv(dice.range(0.02, 0.08), dice.range(0.4, 0.8), dice.range(0.4, 0.85)),
        _ => any_colour(dice),
    };
    let mut pot = Material::plain(clay, dice.range(0.05, 0.6));
    if dice.chance(0.4) {
        let low = dice.range(0.2, 0.6);
        pot = pot.decal([low, 0.0, 0.0], [low + dice.range(0.08, 0.25), 1.0, 1.0], any_colour(dice), 0.3);
    }
    let pot = object.material(pot);
    let rim = object.material(Material::plain(clay * dice.range(0.7, 1.1), 0.2));
    let earth = [Vec3::splat(0.01), brown(dice) * 0.4];
    let soil = object.material(Material::new(Texture::of(dice, Pattern::Mottled, earth, 30.0), 0.0));
    let (base, top) = (dice.range(0.2, 0.34), dice.range(0.34, 0.46));
    let height = dice.range(0.4, 0.75);
    let belly = (base + top) / 2.0 + dice.range(-0.01, 0.09);
    let wall = Loft::lathe(&[[base, 0.0], [base * 1.02, 0.03], [belly, height * 0.5], [top * 0.97, height * 0.93]]);
    object.add(POT, pot, wall.columns(32).mesh());
    let lip = dice.range(0.02, 0.05);
    let band = height * dice.range(0.08, 0.2);
    let profile = [
        [top * 0.9, height - band],
        [top + lip, height - band],
        [top + lip, height],
        [top - 0.03, height],
        [top - 0.04, height - 0.05],
    ];
    object.add(RIM, rim, Loft::lathe(&profile).columns(32).mesh());
    object.add(SOIL, soil, Mesh::ellipsoid(Vec3::new(top - 0.02, 0.03, top - 0.02)).at(Vec3::Y * (height - 0.045)));
    let edge = top + lip * 0.5;
    // the viewer's right is at negative z
    object.mark_both(2, 0, Vec3::new(0.0, height, edge), None);
    object.mark(1, Vec3::new(-edge, height, 0.0));
    object.mark(3, Vec3::new(edge, height, 0.0));
    object.mark_both(5, 4, Vec3::new(belly * 0.15, height * 0.5, belly * 0.985), None);
    object.mark_both(8, 6, Vec3::new(base * 0.2, 0.02, base * 0.98), None);
    object.mark(7, Vec3::new(base, 0.015, 0.0));
    foliage(dice, &mut object, height - 0.03, top);
    object
}

fn foliage(dice: &mut Dice, object: &mut Object, soil: f32, spread: f32) {
    let green = hsv(dice.range(0.2, 0.42), dice.range(0.35, 0.9), dice.range(0.2, 0.75));
    let leaf = object.material(Material::new(Texture::of(dice, Pattern::Mottled, [green, green * 0.5], 8.0), 0.25));
    let bark = object.material(Material::plain(brown(dice) * 0.6, 0.05));
    let flowers = if dice.chance(0.4) {
        let petal = any_colour(dice);
        Some(object.material(Material::plain(petal, 0.1)))
    } else {
        None
    };
    let tall = dice.range(0.4, 1.1);
    let canopy = Vec3::new(spread * 1.3, tall, spread * 1.3);
    let (low, high) = (Vec3::new(-canopy.x, soil, -canopy.z), Vec3::new(canopy.x, soil + tall * 1.2, canopy.z));
    let kind = dice.below(3);
    let count = if kind == 0 { 14 + dice.below(14) } else { 30 + dice.below(40) };
    for number in 0..count {
        let bearing = TAU * (number as f32 * 0.618 + dice.range(-0.1, 0.1));
        let out = Vec3::new(bearing.cos(), 0.0, bearing.sin());
        let mut keep = |material: u16, mesh: Mesh| object.add(LEAVES, material, mesh.placed(low, high));
        if kind == 0 {
            // blades that bend outward
            let reach = spread * dice.range(0.2, 1.5);
            let height = tall * dice.range(0.6, 1.1);
            let wide = dice.range(0.025, 0.06);
            let at =
                |t: f32| Vec3::Y * (soil + height * (t * 1.25 - 0.45 * t * t * (reach / spread))) + out * reach * t * t;
            let blade = [(0.0, 0.5), (0.4, 1.0), (0.75, 0.7), (1.0, 0.1)]
                .map(|(t, size)| Section::oval(at(t) + out * 0.03, wide * size, 0.006));
            keep(leaf, Loft::new(&blade, out.cross(Vec3::Y), [0.0, 0.3]).columns(6).mesh());
            continue;
        }
        // leaves around the ends of twigs
        let along = dice.range(0.3, 1.0);
        let width = spread * if kind == 1 { dice.range(0.2, 1.1) } else { dice.range(0.1, 0.9) * along };
        let at = Vec3::Y * (soil + tall * along) + out * width;
        let size = dice.range(0.06, 0.13);
        let tip = at + (out + Vec3::Y * dice.range(-0.6, 0.8)).normalize() * size * 2.0;
        let wide = size * dice.range(0.4, 0.7);
        let blade = [(0.0, 0.2), (0.4, 1.0), (1.0, 0.1)].map(|(t, w)| Section::oval(at.lerp(tip, t), wide * w, 0.01));
        keep(leaf, Loft::new(&blade, out.cross(Vec3::Y), [0.0, 0.3]).columns(6).mesh());
        if let Some(flowers) = flowers
            && dice.chance(0.3)
        {
            keep(flowers, Mesh::ellipsoid(Vec3::splat(dice.range(0.03, 0.06))).at(tip));
        }
        if number % 5 == 0 {
            let root = Vec3::Y * soil;
            let twig = [root, root.lerp(at, 0.5) + Vec3::Y * 0.08, at];
            object.add(STEM, bark, Loft::tube(&twig, 0.014, Vec3::Z).columns(6).mesh().placed(low, high));
        }
    }
}
