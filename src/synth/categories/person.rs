//! People, standing, walking, and with arms wherever.

use glam::{Affine3A, EulerRot, Quat, Vec3};

use crate::mesh::{Loft, Mesh, Section};
use crate::object::{Object, Part};
use crate::paint::{Material, Texture, any_colour, brown, grey, hsv};
use crate::random::Dice;

const TORSO: Part = Part::middle(0);
const HIPS: Part = Part::middle(1);
const NECK: Part = Part::middle(2);
const HEAD: Part = Part::middle(3);
const HAIR: Part = Part::middle(4);
const NOSE: Part = Part::middle(5);
const MOUTH: Part = Part::middle(6);
const UPPER_ARM: u8 = 0;
const LOWER_ARM: u8 = 1;
const HAND: u8 = 2;
const THIGH: u8 = 3;
const SHIN: u8 = 4;
const FOOT: u8 = 5;
const EYE: u8 = 6;
const EAR: u8 = 7;

struct Clothes {
    skin: u16,
    shirt: u16,
    sleeve: u16,
    trousers: u16,
    shin: u16,
    shoes: u16,
    hair: u16,
    eyes: u16,
    lips: u16,
}

fn clothes(dice: &mut Dice, object: &mut Object) -> Clothes {
    let skin = hsv(dice.range(0.03, 0.08), dice.range(0.3, 0.65), dice.range(0.25, 0.98));
    let fabric = |dice: &mut Dice| match dice.below(3) {
        0 => Material::new(Texture { scale: dice.range(4.0, 12.0), ..Texture::any(dice) }, 0.04),
        1 => Material::plain(grey(dice, 0.04, 0.95), 0.04),
        _ => Material::plain(any_colour(dice), 0.04),
    };
    let (shirt, trousers) = (fabric(dice), fabric(dice));
    let skin = Material::plain(skin, 0.12);
    let sleeve = if dice.chance(0.5) { shirt.clone() } else { skin.clone() };
    let shin = if dice.chance(0.75) { trousers.clone() } else { skin.clone() };
    let hair = if dice.chance(0.7) { brown(dice) * 0.5 } else { grey(dice, 0.03, 0.8) };
    Clothes {
        skin: object.material(skin),
        shirt: object.material(shirt),
        sleeve: object.material(sleeve),
        trousers: object.material(trousers),
        shin: object.material(shin),
        shoes: object
            .material(Material::plain(if dice.chance(0.6) { grey(dice, 0.03, 0.9) } else { any_colour(dice) }, 0.25)),
        hair: object.material(Material::plain(hair, 0.15)),
        eyes: object.material(Material::plain(grey(dice, 0.02, 0.2), 0.9)),
        lips: object.material(Material::plain(hsv(0.98, dice.range(0.3, 0.7), dice.range(0.3, 0.7)), 0.2)),
    }
}

pub(crate) fn build(dice: &mut Dice) -> Object {
    let mut object = Object::default();
    let clothes = clothes(dice, &mut object);
    let fat = dice.about(0.2);
    let child = if dice.chance(0.2) { dice.range(0.75, 0.95) } else { 1.0 };
    let leg = 0.86 * child * dice.about(0.06);
    let seated = dice.chance(0.2);
    let hip = if seated { dice.range(0.42, 0.5) * leg / 0.86 } else { leg };
    let lean: f32 = dice.range(-0.05, 0.2);
    let spine = Vec3::new(lean.sin(), lean.cos(), 0.0);
    let pelvis = Vec3::Y * hip;
    let length = 0.52 * child;
    let at = |t: f32| pelvis + spine * length * t;
    let shoulder = 0.19 * dice.about(0.12) * child.sqrt();
    let ring = |t: f32, across: f32, up: f32| Section { at: at(t), across, up, round: 0.85 };
    let hips = Loft::new(
        &[ring(-0.16, 0.13 * fat, 0.1 * fat), ring(0.0, 0.165 * fat, 0.115 * fat), ring(0.22, 0.145 * fat, 0.1 * fat)],
        Vec3::Z,
        [0.5, 0.2],
    );
    object.add(HIPS, clothes.trousers, hips.mesh());
    let torso = Loft::new(
        &[
            ring(0.14, 0.145 * fat, 0.1 * fat),
            ring(0.45, 0.15 * fat, 0.105 * fat),
            ring(0.78, shoulder * 0.95, 0.115 * fat),
            ring(0.95, shoulder * 0.8, 0.085 * fat),
            ring(1.02, 0.07, 0.06),
        ],
        Vec3::Z,
        [0.2, 0.3],
    );
    object.add(TORSO, clothes.shirt, torso.mesh());
    head(dice, &mut object, &clothes, at(1.0), spine, child);
    for left in [false, true] {
        arm(dice, &mut object, &clothes, at(0.92) + Vec3::Z * shoulder * 0.98, left, child, fat);
        limb(dice, &mut object, &clothes, pelvis + Vec3::Z * 0.085 * fat, left, [leg, fat], seated);
    }
    object
}

fn head(dice: &mut Dice, object: &mut Object, clothes: &Clothes, root: Vec3, spine: Vec3, child: f32) {
    let size = 0.115 * dice.about(0.08) / child.sqrt();
    let top = root + spine * 0.07;
    object.add(NECK, clothes.skin, Loft::tube(&[root - spine * 0.04, top], 0.052, Vec3::Z).mesh());
    object.mark(6, root + spine * 0.05 - Vec3::X * 0.05);
    let turn = Quat::from_euler(EulerRot::YZX, dice.range(-0.6, 0.6), dice.range(-0.3, 0.15), dice.range(-0.12, 0.12));
    let place = Affine3A::from_rotation_translation(turn, top + spine * size * 1.0);
    let to = |p: Vec3| place.transform_point3(p * size);
    let turned = |f: Vec3| place.transform_vector3(f);
    // crown to chin
    let ring =
        |y: f32, x: f32, across: f32, up: f32| Section::oval(Vec3::new(x, y, 0.0) * size, across * size, up * size);
    let face = Loft::new(
        &[
            ring(0.75, -0.05, 0.62, 0.75),
            ring(0.3, -0.02, 0.8, 0.98),
            ring(-0.3, 0.06, 0.74, 0.86),
            ring(-0.85, 0.22, 0.42, 0.48),
        ],
        Vec3::Z,
        [0.9, 0.6],
    );
    object.add(HEAD, clothes.skin, face.mesh().transformed(place));
    if dice.chance(0.9) {
        let long = dice.range(0.0, 0.9);
        let cap = Loft::new(
            &[
                ring(0.85, -0.12, 0.66, 0.78),
                ring(0.45, -0.22, 0.88, 0.92),
                ring(-0.2 - long * 0.3, -0.38, 0.86, 0.66),
                ring(-0.45 - long, -0.45, 0.7, 0.45),
            ],
            Vec3::Z,
            [1.0, 0.6],
        );
        object.add(HAIR, clothes.hair, cap.mesh().transformed(place));
    }
    let nose = Vec3::new(1.0, -0.12, 0.0);
    let bump = Mesh::ellipsoid(Vec3::new(0.17, 0.22, 0.12) * size).at(Vec3::new(0.9, -0.12, 0.0) * size);
    object.add(NOSE, clothes.skin, bump.transformed(place));
    object.mark_facing(4, to(nose + Vec3::X * 0.06), turned(Vec3::X));
    let lips = Mesh::ellipsoid(Vec3::new(0.08, 0.07, 0.24) * size).at(Vec3::new(0.86, -0.52, 0.0) * size);
    object.add(MOUTH, clothes.lips, lips.transformed(place));
    object.mark_facing(7, to(Vec3::new(0.92, -0.52, 0.0)), turned(Vec3::X));
    object.mark_facing(5, to(Vec3::new(0.66, -1.02, 0.0)), turned(Vec3::new(1.0, -0.2, 0.0)));
    for left in [false, true] {
        let flip = if left { Vec3::new(1.0, 1.0, -1.0) } else { Vec3::ONE };
        let mut sided = |number: u8, material: u16, mesh: Mesh, at: Vec3| {
            let mesh = mesh.at(at * flip * size).transformed(place);
            object.add(Part::sided(number, left), material, mesh);
        };
        let (eye, ear) = (Vec3::new(0.84, 0.14, 0.34), Vec3::new(-0.02, -0.05, 0.82));
        sided(EYE, clothes.eyes, Mesh::ellipsoid(Vec3::new(0.1, 0.1, 0.15) * size), eye);
        sided(EAR, clothes.skin, Mesh::ellipsoid(Vec3::new(0.16, 0.24, 0.07) * size), ear);
        let side = usize::from(left);
        object.mark_facing([0, 1][side], to((eye + Vec3::X * 0.09) * flip), turned(Vec3::new(1.0, 0.0, 0.35) * flip));
        object.mark_facing([2, 3][side], to((ear + Vec3::Z * 0.07) * flip), turned(Vec3::new(0.1, 0.0, 1.0) * flip));
    }
}

fn segment(from: Vec3, to: Vec3, radii: [f32; 3]) -> Mesh {
    let sections =
        [Section::disc(from, radii[0]), Section::disc(from.lerp(to, 0.45), radii[1]), Section::disc(to, radii[2])];
    Loft::new(&sections, Vec3::Z, [0.9, 0.9]).columns(14).mesh()
}

fn arm(dice: &mut Dice, object: &mut Object, clothes: &Clothes, shoulder: Vec3, left: bool, child: f32, fat: f32) {
    let (upper, lower) = (0.29 * child, 0.25 * child);
    let thick = fat.sqrt();
    let raised = dice.chance(0.25);
    let swing = if raised { dice.range(0.5, 2.6) } else { dice.range(-0.5, 0.6) };
    let aside: f32 = if dice.chance(0.2) { dice.range(0.5, 1.4) } else { dice.range(0.08, 0.4) };
    let down = |swing: f32, aside: f32| {
        Vec3::new(swing.sin() * aside.cos(), -swing.cos() * aside.cos(), aside.sin()).normalize_or(-Vec3::Y)
    };
    let elbow = shoulder + down(swing, aside) * upper;
    let bend = dice.range(0.1, 1.6) * if dice.chance(0.6) { 0.4 } else { 1.0 };
    let wrist = elbow + down(swing + bend, aside * dice.range(-0.5, 0.7)) * lower;
    object.add_on(
        UPPER_ARM,
        left,
        clothes.shirt,
        segment(shoulder, elbow, [0.058 * thick, 0.05 * thick, 0.042 * thick]),
    );
    object.add_on(LOWER_ARM, left, clothes.sleeve, segment(elbow, wrist, [0.043 * thick, 0.04 * thick, 0.029 * thick]));
    let hand = wrist + (wrist - elbow).normalize_or(-Vec3::Y) * 0.055;
    object.add_on(HAND, left, clothes.skin, Mesh::ellipsoid(Vec3::new(0.045, 0.055, 0.035)).at(hand));
    object.mark_on([8, 9], left, shoulder + Vec3::new(0.0, 0.03, 0.035), None);
    object.mark_on([10, 11], left, elbow + Vec3::new(-0.03, 0.0, 0.015), None);
    object.mark_on([12, 13], left, hand, None);
}

fn limb(
    dice: &mut Dice,
    object: &mut Object,
    clothes: &Clothes,
    hip: Vec3,
    left: bool,
    [leg, fat]: [f32; 2],
    seated: bool,
) {
    let (upper, lower) = (leg * 0.5, leg * 0.44);
    let thick = fat.sqrt();
    let forward = if seated { dice.range(1.25, 1.6) } else { dice.range(-0.3, 0.4) };
    let bend = if seated { dice.range(1.1, 1.7) } else { dice.range(0.0, 0.35) + forward.max(0.0) * 0.5 };
    let knee = hip + Vec3::new(forward.sin(), -forward.cos(), dice.range(0.0, 0.12)).normalize() * upper;
    let shin = forward - bend;
    let ankle = knee + Vec3::new(shin.sin(), -shin.cos(), 0.0) * lower;
    object.add_on(THIGH, left, clothes.trousers, segment(hip, knee, [0.092 * thick, 0.08 * thick, 0.06 * thick]));
    object.add_on(SHIN, left, clothes.shin, segment(knee, ankle, [0.06 * thick, 0.057 * thick, 0.038 * thick]));
    let toe = ankle + Vec3::new(0.06, -0.035, 0.0);
    object.add_on(FOOT, left, clothes.shoes, Mesh::superellipsoid(Vec3::new(0.115, 0.042, 0.048), 0.8).at(toe));
    object.mark_on([14, 15], left, knee + Vec3::X * 0.055 * thick, None);
    object.mark_on([16, 17], left, ankle + Vec3::Z * 0.03, None);
    object.mark_on([18, 19], left, toe + Vec3::new(0.09, 0.01, 0.0), None);
}
