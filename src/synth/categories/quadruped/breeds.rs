//! The proportions and coats of five species.

use glam::Vec3;

use super::{Build, Coat, Ears, Ids, Pose, assemble};
use crate::object::Object;
use crate::paint::{Material, Pattern, Texture, brown, grey, hsv};
use crate::random::Dice;

/// Keypoints of cow and sheep, of which those of the others are variations.
const HORNED: Ids = Ids {
    nostrils: Some([6, 7]),
    nose: None,
    mouth: 8,
    forehead: None,
    nape: None,
    front_feet: [9, 10],
    back_feet: [11, 12],
    tail_tip: 13,
    tail_base: 14,
    front_knees: Some([15, 16]),
    back_knees: Some([17, 18]),
    horns: Some([19, 20]),
};

/// Eyes, nose, horns and hair as most have them; the rest is given.
fn coat(dice: &mut Dice, object: &mut Object, body: Material, head: Material, legs: Material, feet: Material) -> Coat {
    let eyes = hsv(dice.range(0.05, 0.35), dice.range(0.3, 0.9), dice.range(0.05, 0.35));
    let nose = hsv(dice.range(0.95, 1.05), dice.range(0.1, 0.5), dice.range(0.08, 0.6));
    let horns = hsv(0.1, dice.range(0.1, 0.4), dice.range(0.3, 0.85));
    let hair = if dice.chance(0.5) { body.clone() } else { Material::plain(brown(dice) * 0.5, 0.1) };
    Coat {
        body: object.material(body),
        head: object.material(head),
        legs: object.material(legs),
        feet: object.material(feet),
        nose: object.material(Material::plain(nose, 0.3)),
        eyes: object.material(Material::plain(eyes, 0.9)),
        horns: object.material(Material::plain(horns, 0.25)),
        hair: object.material(hair),
    }
}

fn fur(dice: &mut Dice, patterns: [Pattern; 4], colours: [Vec3; 2], scale: f32) -> Material {
    let pattern = dice.pick(patterns);
    Material::new(Texture::of(dice, pattern, colours, scale), 0.06)
}

pub(crate) fn cat(dice: &mut Dice) -> Object {
    use Pattern::{Mottled, Patches, Plain, Stripes};
    let mut object = Object::default();
    let colour = if dice.chance(0.4) { grey(dice, 0.08, 0.95) } else { brown(dice) };
    let second = if dice.chance(0.4) { Vec3::splat(0.8) } else { colour * dice.range(0.2, 0.6) };
    let scale = dice.range(6.0, 11.0);
    let body = fur(dice, [Stripes, Mottled, Patches, Plain], [colour, second], scale);
    let paws = if dice.chance(0.4) { Material::plain(Vec3::splat(0.75), 0.05) } else { body.clone() };
    let coat = coat(dice, &mut object, body.clone(), body.clone(), body, paws);
    let pose = dice.pick([Pose::Standing, Pose::Standing, Pose::Sitting, Pose::Sitting, Pose::Lying]);
    let fat = dice.about(0.2);
    let build = Build {
        pose,
        depth: 0.2 * fat,
        width: 0.17 * fat,
        tuck: dice.range(0.7, 1.1),
        leg: 0.36 * dice.about(0.2),
        leg_radius: 0.065 * dice.about(0.15),
        foot: 0.075 * dice.about(0.15),
        neck: 0.2 * dice.about(0.2),
        neck_radius: 0.12 * fat,
        neck_rise: dice.range(0.5, 1.0),
        head_sink: dice.range(-0.05, 0.35),
        skull: 0.2 * dice.about(0.2),
        muzzle: dice.range(0.28, 0.45),
        muzzle_radius: dice.range(0.42, 0.55),
        ears: Ears::Upright,
        ear: [dice.range(0.8, 1.15), dice.range(0.42, 0.6)],
        eye: dice.range(0.17, 0.24),
        horns: None,
        tail: dice.range(0.6, 0.95),
        tail_radius: dice.range(0.03, 0.06),
        tail_rise: dice.range(-0.9, 0.9),
        tail_bend: dice.range(-1.2, 1.8),
        mane: false,
        udder: false,
        tuft: false,
    };
    let ids = Ids { front_knees: None, back_knees: None, horns: None, ..HORNED };
    assemble(dice, &mut object, &build, &coat, &ids);
    object
}

pub(crate) fn dog(dice: &mut Dice) -> Object {
    use Pattern::{Fibres, Patches, Plain};
    let mut object = Object::default();
    let colour = if dice.chance(0.35) { grey(dice, 0.06, 0.95) } else { brown(dice) };
    let second = if dice.chance(0.5) { Vec3::splat(0.75) } else { brown(dice) * 0.5 };
    let scale = dice.range(3.0, 8.0);
    let body = fur(dice, [Plain, Patches, Fibres, Plain], [colour, second], scale);
    let head = if dice.chance(0.3) { Material::plain(second, 0.06) } else { body.clone() };
    let paws = if dice.chance(0.3) { Material::plain(second, 0.05) } else { body.clone() };
    let coat = coat(dice, &mut object, body.clone(), head, body, paws);
    let pose = dice.pick([Pose::Standing, Pose::Standing, Pose::Standing, Pose::Sitting, Pose::Lying]);
    let fat = dice.about(0.25);
    let ears = dice.pick([Ears::Upright, Ears::Hanging, Ears::Hanging]);
    let build = Build {
        pose,
        depth: 0.21 * fat,
        width: 0.155 * fat,
        tuck: dice.range(0.45, 0.95),
        leg: 0.5 * dice.about(0.35),
        leg_radius: 0.065 * dice.about(0.25),
        foot: 0.08 * dice.about(0.2),
        neck: 0.3 * dice.about(0.25),
        neck_radius: 0.11 * fat,
        neck_rise: dice.range(0.5, 1.1),
        head_sink: dice.range(-0.1, 0.5),
        skull: 0.165 * dice.about(0.2),
        muzzle: dice.range(0.7, 1.5),
        muzzle_radius: dice.range(0.4, 0.55),
        ears,
        ear: match ears {
            Ears::Upright => [dice.range(0.8, 1.3), dice.range(0.35, 0.5)],
            _ => [dice.range(0.9, 1.6), dice.range(0.4, 0.6)],
        },
        eye: dice.range(0.13, 0.18),
        horns: None,
        tail: dice.range(0.25, 0.7),
        tail_radius: dice.range(0.03, 0.07),
        tail_rise: dice.range(-0.9, 1.1),
        tail_bend: dice.range(0.0, 2.0),
        mane: false,
        udder: false,
        tuft: false,
    };
    let ids = Ids {
        nostrils: None,
        nose: Some(6),
        forehead: Some(7),
        nape: Some(15),
        front_knees: None,
        back_knees: None,
        horns: None,
        ..HORNED
    };
    assemble(dice, &mut object, &build, &coat, &ids);
    object
}

pub(crate) fn cow(dice: &mut Dice) -> Object {
    use Pattern::{Patches, Plain};
    let mut object = Object::default();
    let colour = if dice.chance(0.4) { grey(dice, 0.05, 0.3) } else { brown(dice) };
    let scale = dice.range(2.0, 4.5);
    let body = fur(dice, [Patches, Patches, Plain, Plain], [colour, Vec3::splat(0.75)], scale);
    let head = if dice.chance(0.4) { Material::plain(colour, 0.06) } else { body.clone() };
    let hooves = Material::plain(grey(dice, 0.1, 0.35), 0.15);
    let legs = if dice.chance(0.5) { Material::plain(Vec3::splat(0.7), 0.05) } else { body.clone() };
    let coat = coat(dice, &mut object, body, head, legs, hooves);
    let fat = dice.about(0.15);
    let build = Build {
        pose: if dice.chance(0.15) { Pose::Lying } else { Pose::Standing },
        depth: 0.27 * fat,
        width: 0.21 * fat,
        tuck: dice.range(1.0, 1.25),
        leg: 0.42 * dice.about(0.15),
        leg_radius: 0.06 * dice.about(0.15),
        foot: 0.07 * dice.about(0.1),
        neck: 0.3 * dice.about(0.2),
        neck_radius: 0.13 * fat,
        neck_rise: dice.range(-0.1, 0.7),
        head_sink: dice.range(0.3, 0.9),
        skull: 0.135 * dice.about(0.12),
        muzzle: dice.range(1.4, 1.9),
        muzzle_radius: dice.range(0.6, 0.75),
        ears: Ears::Sideways,
        ear: [dice.range(1.0, 1.4), dice.range(0.35, 0.5)],
        eye: 0.15,
        horns: Some(dice.range(0.5, 1.7)),
        tail: dice.range(0.5, 0.7),
        tail_radius: 0.03,
        tail_rise: dice.range(-1.5, -1.1),
        tail_bend: dice.range(-0.3, 0.1),
        mane: false,
        udder: dice.chance(0.6),
        tuft: true,
    };
    assemble(dice, &mut object, &build, &coat, &HORNED);
    object
}

pub(crate) fn horse(dice: &mut Dice) -> Object {
    use Pattern::{Mottled, Patches, Plain};
    let mut object = Object::default();
    let colour = if dice.chance(0.25) { grey(dice, 0.08, 0.9) } else { brown(dice) };
    let second = if dice.chance(0.4) { Vec3::splat(0.75) } else { colour * 0.7 };
    let scale = dice.range(2.0, 5.0);
    let body = fur(dice, [Plain, Plain, Mottled, Patches], [colour, second], scale);
    let hooves = Material::plain(grey(dice, 0.1, 0.4), 0.2);
    let legs = if dice.chance(0.3) { Material::plain(colour * 0.35, 0.06) } else { body.clone() };
    let coat = coat(dice, &mut object, body.clone(), body, legs, hooves);
    let fat = dice.about(0.12);
    let build = Build {
        pose: Pose::Standing,
        depth: 0.215 * fat,
        width: 0.165 * fat,
        tuck: dice.range(0.75, 1.0),
        leg: 0.68 * dice.about(0.12),
        leg_radius: 0.06 * dice.about(0.12),
        foot: 0.065,
        neck: 0.5 * dice.about(0.15),
        neck_radius: 0.115 * fat,
        neck_rise: dice.range(0.5, 1.05),
        head_sink: dice.range(0.5, 1.0),
        skull: 0.12 * dice.about(0.1),
        muzzle: dice.range(2.0, 2.6),
        muzzle_radius: dice.range(0.55, 0.68),
        ears: Ears::Upright,
        ear: [dice.range(0.8, 1.1), dice.range(0.24, 0.34)],
        eye: 0.15,
        horns: None,
        tail: dice.range(0.6, 0.85),
        tail_radius: dice.range(0.05, 0.08),
        tail_rise: dice.range(-1.2, -0.4),
        tail_bend: dice.range(-0.8, -0.2),
        mane: true,
        udder: false,
        tuft: false,
    };
    let ids = Ids {
        forehead: Some(9),
        front_feet: [10, 11],
        back_feet: [12, 13],
        tail_tip: 14,
        tail_base: 15,
        front_knees: Some([16, 17]),
        back_knees: Some([18, 19]),
        horns: None,
        ..HORNED
    };
    assemble(dice, &mut object, &build, &coat, &ids);
    object
}

pub(crate) fn sheep(dice: &mut Dice) -> Object {
    let mut object = Object::default();
    let wool = hsv(0.1, dice.range(0.02, 0.25), dice.range(0.55, 0.95));
    let scale = dice.range(9.0, 16.0);
    let body = Material::new(Texture::of(dice, Pattern::Mottled, [wool * 0.45, wool * 1.1], scale), 0.0);
    let face = if dice.chance(0.5) { grey(dice, 0.05, 0.3) } else { wool };
    let face = Material::plain(face, 0.06);
    let hooves = Material::plain(grey(dice, 0.08, 0.3), 0.15);
    let coat = coat(dice, &mut object, body, face.clone(), face, hooves);
    let fat = dice.about(0.15);
    let build = Build {
        pose: if dice.chance(0.15) { Pose::Lying } else { Pose::Standing },
        depth: 0.3 * fat,
        width: 0.27 * fat,
        tuck: dice.range(0.95, 1.15),
        leg: 0.34 * dice.about(0.2),
        leg_radius: 0.05 * dice.about(0.15),
        foot: 0.055,
        neck: 0.26 * dice.about(0.2),
        neck_radius: 0.14 * fat,
        neck_rise: dice.range(0.1, 0.8),
        head_sink: dice.range(0.3, 0.8),
        skull: 0.125 * dice.about(0.12),
        muzzle: dice.range(1.1, 1.5),
        muzzle_radius: dice.range(0.5, 0.6),
        ears: Ears::Sideways,
        ear: [dice.range(1.0, 1.4), dice.range(0.3, 0.42)],
        eye: 0.15,
        horns: dice.chance(0.4).then(|| dice.range(0.7, 1.5)),
        tail: dice.range(0.2, 0.35),
        tail_radius: dice.range(0.05, 0.08),
        tail_rise: dice.range(-1.5, -1.0),
        tail_bend: 0.0,
        mane: false,
        udder: false,
        tuft: false,
    };
    assemble(dice, &mut object, &build, &coat, &HORNED);
    object
}
