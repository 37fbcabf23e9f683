//! Cat, cow, dog, horse and sheep: one body plan, five sets of proportions.

mod breeds;
mod head;

pub(crate) use breeds::{cat, cow, dog, horse, sheep};

use glam::Vec3;

use crate::mesh::{Loft, Mesh, Section};
use crate::object::{Object, Part};
use crate::random::Dice;

pub(super) const BODY: Part = Part::middle(0);
pub(super) const NECK: Part = Part::middle(1);
pub(super) const HEAD: Part = Part::middle(2);
pub(super) const NOSE: Part = Part::middle(3);
const TAIL: Part = Part::middle(4);
pub(super) const MANE: Part = Part::middle(5);
const UDDER: Part = Part::middle(6);
pub(super) const EAR: u8 = 0;
pub(super) const EYE: u8 = 1;
pub(super) const HORN: u8 = 2;
const FRONT_LEG: u8 = 3;
const FRONT_FOOT: u8 = 4;
const BACK_LEG: u8 = 5;
const BACK_FOOT: u8 = 6;

/// How the animal holds itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pose {
    Standing,
    Sitting,
    Lying,
}

/// How its ears are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ears {
    Upright,
    Hanging,
    Sideways,
}

/// Proportions, in units of the trunk's length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Build {
    pub(super) pose: Pose,
    /// Half height and half width of the trunk at the ribs.
    pub(super) depth: f32,
    pub(super) width: f32,
    /// Depth of the belly before the hind legs, relative to that of the ribs.
    pub(super) tuck: f32,
    pub(super) leg: f32,
    pub(super) leg_radius: f32,
    pub(super) foot: f32,
    pub(super) neck: f32,
    pub(super) neck_radius: f32,
    /// How steeply the neck rises, and the muzzle sinks; radians.
    pub(super) neck_rise: f32,
    pub(super) head_sink: f32,
    /// Half size of the skull; length and radius of the muzzle relative to it.
    pub(super) skull: f32,
    pub(super) muzzle: f32,
    pub(super) muzzle_radius: f32,
    pub(super) ears: Ears,
    /// Length and half width, relative to the skull.
    pub(super) ear: [f32; 2],
    pub(super) eye: f32,
    /// Length relative to the skull; none without horns.
    pub(super) horns: Option<f32>,
    pub(super) tail: f32,
    pub(super) tail_radius: f32,
    /// Angle of the tail at its base over the horizontal, and how it bends on.
    pub(super) tail_rise: f32,
    pub(super) tail_bend: f32,
    pub(super) mane: bool,
    pub(super) udder: bool,
    /// Whether the end of the tail is a tuft.
    pub(super) tuft: bool,
}

/// What it is covered with: numbers of materials.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coat {
    pub(super) body: u16,
    pub(super) head: u16,
    pub(super) legs: u16,
    pub(super) feet: u16,
    pub(super) nose: u16,
    pub(super) eyes: u16,
    pub(super) horns: u16,
    pub(super) hair: u16,
}

/// SPair-71k's numbers of keypoints that not all have alike.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids {
    pub(super) nostrils: Option<[u8; 2]>,
    pub(super) nose: Option<u8>,
    pub(super) mouth: u8,
    pub(super) forehead: Option<u8>,
    pub(super) nape: Option<u8>,
    pub(super) front_feet: [u8; 2],
    pub(super) back_feet: [u8; 2],
    pub(super) tail_tip: u8,
    pub(super) tail_base: u8,
    pub(super) front_knees: Option<[u8; 2]>,
    pub(super) back_knees: Option<[u8; 2]>,
    pub(super) horns: Option<[u8; 2]>,
}

/// Puts the animal together.
pub(super) fn assemble(dice: &mut Dice, object: &mut Object, build: &Build, coat: &Coat, ids: &Ids) {
    let (hips, shoulders) = posture(dice, build);
    let along = (shoulders - hips).normalize_or(Vec3::X);
    let up = Vec3::Z.cross(along);
    let trunk = trunk(build, hips, shoulders);
    object.add(BODY, coat.body, trunk.mesh());
    if build.udder {
        let at = trunk.point(0.28, std::f32::consts::PI);
        object.add(UDDER, coat.nose, Mesh::ellipsoid(Vec3::new(0.1, 0.06, 0.07)).at(at));
    }
    for left in [false, true] {
        leg(dice, object, build, coat, ids, [hips, shoulders], [true, left]);
        leg(dice, object, build, coat, ids, [hips, shoulders], [false, left]);
    }
    tail(dice, object, build, coat, ids, trunk.point(0.04, 0.0) - up * build.tail_radius * 0.5);
    head::add(dice, object, build, coat, ids, shoulders + up * build.depth * 0.25 - along * 0.04);
}

/// Where the middles of hips and shoulders are.
fn posture(dice: &mut Dice, build: &Build) -> (Vec3, Vec3) {
    let height = build.leg + build.depth * 0.6;
    match build.pose {
        Pose::Standing => (Vec3::new(-0.4, height * dice.range(0.97, 1.03), 0.0), Vec3::new(0.4, height, 0.0)),
        Pose::Sitting => {
            let shoulder = build.leg + build.depth * 0.5;
            let hip = build.depth * 0.85;
            let reach = (0.64 - (shoulder - hip).powi(2)).max(0.05).sqrt();
            (Vec3::new(-reach * 0.5, hip, 0.0), Vec3::new(reach * 0.5, shoulder, 0.0))
        }
        Pose::Lying => (Vec3::new(-0.4, build.depth * 0.9, 0.0), Vec3::new(0.4, build.depth * 1.1, 0.0)),
    }
}

fn trunk(build: &Build, hips: Vec3, shoulders: Vec3) -> Loft {
    let along = (shoulders - hips).normalize_or(Vec3::X);
    let up = Vec3::Z.cross(along);
    let (d, w) = (build.depth, build.width);
    let at = |t: f32, lift: f32| hips.lerp(shoulders, t) + up * lift * d;
    let oval = |t: f32, lift: f32, across: f32, height: f32| Section::oval(at(t, lift), across * w, height * d);
    Loft::new(
        &[
            oval(-0.16, 0.12, 0.55, 0.55),
            oval(0.06, 0.05, 0.92, 0.88),
            oval(0.32, 0.1 * build.tuck, 0.95, 0.5 + 0.5 * build.tuck),
            oval(0.68, -0.02, 1.0, 1.0),
            oval(0.96, 0.0, 0.88, 0.95),
            oval(1.14, 0.06, 0.5, 0.6),
        ],
        Vec3::Z,
        [0.6, 0.6],
    )
}

/// One leg with its foot and keypoints. `which` says whether it is a front leg and whether it is on the left.
fn leg(
    dice: &mut Dice,
    object: &mut Object,
    build: &Build,
    coat: &Coat,
    ids: &Ids,
    [hips, shoulders]: [Vec3; 2],
    [front, left]: [bool; 2],
) {
    let (r, length) = (build.leg_radius, build.leg);
    let aside = Vec3::Z * (build.width * 0.62);
    let swing = dice.range(-0.3, 0.3);
    let foot_height = build.foot * 0.55;
    // top, middle of the thigh, knee (the hock of a hind leg), ankle
    let path = match (build.pose, front) {
        (Pose::Standing, _) | (Pose::Sitting, true) => {
            let top = if front { shoulders } else { hips } + aside - Vec3::Y * build.depth * 0.25;
            let swing = if build.pose == Pose::Sitting { 0.05 } else { swing };
            let reach = top.y - foot_height;
            let bend = if front { 0.10 } else { -0.24 } * length;
            let knee = top + Vec3::new(swing * reach * 0.5 + bend * 0.5, -reach * 0.56, -0.02);
            let ankle = top + Vec3::new(swing * reach, -reach, -0.02);
            let thigh = top.lerp(knee, 0.5) + Vec3::X * if front { -0.02 } else { 0.12 * length };
            [top, thigh, knee, ankle]
        }
        (Pose::Lying, true) => {
            let top = shoulders + aside - Vec3::Y * build.depth * 0.3;
            let knee = Vec3::new(top.x + length * 0.28, r * 1.6, top.z + 0.02);
            let ankle = Vec3::new(knee.x + length * dice.range(0.3, 0.5), foot_height * 1.2, top.z);
            [top, top.lerp(knee, 0.5), knee, ankle]
        }
        (_, false) => {
            let top = hips + aside;
            let knee = Vec3::new(top.x + length * 0.5, build.depth * dice.range(0.8, 1.1), top.z + 0.07);
            let hock = Vec3::new(top.x + length * 0.08, r * 1.5, top.z + 0.06);
            let ankle = Vec3::new(top.x + length * 0.45, foot_height * 1.2, top.z + 0.08);
            [top.lerp(knee, 0.3), knee, hock, ankle]
        }
    };
    let bulk = if front { 1.0 } else { 1.35 };
    let [top, thigh, knee, ankle] = path;
    let folded = build.pose != Pose::Standing && !front;
    let middle = if folded { 1.9 } else { 1.25 * bulk };
    let loft = Loft::new(
        &[
            Section::oval(top, r * 1.3, r * 2.0 * bulk),
            Section::oval(thigh, r * 1.15, r * middle),
            Section::disc(knee, r * 0.82),
            Section::disc(knee.lerp(ankle, 0.5), r * 0.66),
            Section::disc(ankle, r * 0.7),
        ],
        Vec3::Z,
        [0.8, 0.5],
    )
    .columns(12);
    let (leg_part, foot_part) = if front { (FRONT_LEG, FRONT_FOOT) } else { (BACK_LEG, BACK_FOOT) };
    object.add_on(leg_part, left, coat.legs, loft.mesh());
    let foot = Vec3::new(build.foot, foot_height, build.foot * 0.75);
    let sole = Vec3::new(ankle.x + build.foot * 0.35, ankle.y.max(foot_height), ankle.z);
    object.add_on(foot_part, left, coat.feet, Mesh::superellipsoid(foot, 0.75).at(sole));
    let feet = if front { ids.front_feet } else { ids.back_feet };
    object.mark_on(feet, left, sole + Vec3::new(foot.x * 0.75, foot.y * 0.5, 0.0), None);
    if let Some(knees) = if front { ids.front_knees } else { ids.back_knees } {
        let ahead = if front { r * 0.8 } else { -r * 0.8 };
        object.mark_on(knees, left, knee + Vec3::X * ahead, None);
    }
}

fn tail(dice: &mut Dice, object: &mut Object, build: &Build, coat: &Coat, ids: &Ids, base: Vec3) {
    let steps = 5;
    let turn = dice.range(-0.35, 0.35);
    let (mut at, mut angle) = (base, build.tail_rise);
    let step = build.tail / steps as f32;
    let mut sections = Vec::new();
    for i in 0..=steps {
        let t = i as f32 / steps as f32;
        let radius = match build.tuft {
            true if i + 1 >= steps => build.tail_radius * 1.6,
            true => build.tail_radius * 0.7,
            false => build.tail_radius * (1.15 - 0.5 * t),
        };
        sections.push(Section::disc(at, radius));
        at += Vec3::new(-angle.cos(), angle.sin(), turn * t) * step;
        at.y = at.y.max(build.tail_radius * 0.8);
        angle += build.tail_bend / steps as f32;
    }
    let loft = Loft::new(&sections, Vec3::Z, [0.5, 1.2]).columns(10);
    object.add(TAIL, if build.tuft { coat.hair } else { coat.body }, loft.mesh());
    object.mark(ids.tail_tip, loft.tip(true));
    object.mark(ids.tail_base, loft.point(0.06, 0.0));
}
