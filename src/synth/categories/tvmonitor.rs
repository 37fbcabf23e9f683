//! Screens: flat ones and tubes. Left and right are as the viewer sees them, who stands at azimuth 0.

use glam::Vec3;

use crate::mesh::{Loft, Mesh, Section};
use crate::object::{Object, Part};
use crate::paint::{Material, Texture, any_colour, grey, hsv};
use crate::random::Dice;

const FRAME: Part = Part::middle(0);
const SCREEN: Part = Part::middle(1);
const BACK: Part = Part::middle(2);
const STAND: Part = Part::middle(3);
const FOOT: Part = Part::middle(4);

pub(crate) fn build(dice: &mut Dice) -> Object {
    let mut object = Object::default();
    let shell = if dice.chance(0.75) { grey(dice, 0.03, 0.85) } else { any_colour(dice) };
    let case = object.material(Material::plain(shell, dice.range(0.2, 0.6)));
    let screen = if dice.chance(0.4) { Material::plain(grey(dice, 0.02, 0.15), 0.9) } else { picture(dice) };
    let screen = object.material(screen);
    let tube = dice.chance(0.4);
    let half = Vec3::new(if tube { 0.09 } else { dice.range(0.02, 0.04) }, dice.range(0.36, 0.5), 0.0);
    let half = Vec3 { z: half.y * if tube { dice.range(1.1, 1.35) } else { dice.range(1.3, 1.85) }, ..half };
    let foot = if tube { dice.range(0.0, 0.08) } else { dice.range(0.06, 0.22) };
    let middle = Vec3::Y * (half.y + foot + 0.02);
    let round = if tube { dice.range(0.15, 0.3) } else { dice.range(0.08, 0.18) };
    object.add(FRAME, case, Mesh::superellipsoid(half, round).at(middle));
    let border = dice.range(0.03, 0.1) * half.z;
    let chin = border * dice.pick([1.0, 1.0, 2.2]);
    let (low, high) = (-half.y + chin, half.y - border);
    let pane = Vec3::new(if tube { 0.035 } else { 0.012 }, (high - low) / 2.0, half.z - border);
    let face = middle + Vec3::new(half.x, (high + low) / 2.0, 0.0);
    object.add(SCREEN, screen, Mesh::superellipsoid(pane, if tube { 0.25 } else { 0.1 }).at(face));
    if tube {
        let bulk = |x: f32, scale: f32| Section {
            at: middle + Vec3::new(-x, 0.0, 0.0),
            across: half.z * scale,
            up: half.y * scale,
            round: 0.35,
        };
        let depth = dice.range(0.35, 0.6);
        object.add(
            BACK,
            case,
            Loft::new(&[bulk(0.03, 0.92), bulk(depth * 0.5, 0.78), bulk(depth, 0.5)], Vec3::Z, [0.0, 0.2]).mesh(),
        );
    }
    if foot > 0.01 {
        let neck = [middle - Vec3::Y * half.y * 0.6 - Vec3::X * 0.05, Vec3::new(-0.06, 0.02, 0.0)];
        let wide = half.z * dice.range(0.1, 0.25);
        let sections = neck.map(|at| Section::oval(at, wide, 0.03));
        object.add(STAND, case, Loft::straight(&sections, Vec3::Z, [0.0, 0.0]).columns(14).mesh());
        let plate = Vec3::new(0.16, 0.014, half.z * dice.range(0.3, 0.55));
        object.add(FOOT, case, Mesh::superellipsoid(plate, 0.6).at(Vec3::new(-0.03, 0.014, 0.0)));
    }
    let front = Some(Vec3::X);
    // z is the viewer's left
    let frame = |y: f32, z: f32| middle + Mesh::on_superellipsoid(half, round, half * Vec3::new(0.8, y, z));
    let pixel = |y: f32, z: f32| face + Vec3::new(pane.x * 0.6, y * pane.y * 0.97, z * pane.z * 0.98);
    object.mark_both(2, 0, frame(1.0, 1.0), front);
    object.mark_facing(1, frame(1.0, 0.0), Vec3::X);
    object.mark_both(3, 7, frame(0.0, 1.0), front);
    object.mark_both(4, 6, frame(-1.0, 1.0), front);
    object.mark_facing(5, frame(-1.0, 0.0), Vec3::X);
    object.mark_both(10, 8, pixel(1.0, 1.0), front);
    object.mark_facing(9, pixel(1.0, 0.0), Vec3::X);
    object.mark_both(11, 15, pixel(0.0, 1.0), front);
    object.mark_both(12, 14, pixel(-1.0, 1.0), front);
    object.mark_facing(13, pixel(-1.0, 0.0), Vec3::X);
    object
}

/// Something that is on: a background with windows.
fn picture(dice: &mut Dice) -> Material {
    let mut screen = Material::new(Texture { scale: dice.range(1.5, 6.0), ..Texture::any(dice) }, 0.8);
    for _ in 0..1 + dice.below(4) {
        let (x, y) = (dice.range(0.05, 0.6), dice.range(0.05, 0.6));
        let (w, h) = (dice.range(0.1, 0.4), dice.range(0.1, 0.4));
        let colour = hsv(dice.unit(), dice.range(0.0, 0.6), dice.range(0.2, 1.0));
        screen = screen.decal([0.0, y, x], [2.0, y + h, x + w], colour, 0.8);
    }
    screen
}
