//! Neck and head of a quadruped.

use std::f32::consts::PI;

use glam::{Affine3A, EulerRot, Quat, Vec3};

use super::{Build, Coat, EAR, EYE, Ears, HEAD, HORN, Ids, MANE, NECK, NOSE, Pose};
use crate::mesh::{Loft, Mesh, Section};
use crate::object::Object;
use crate::random::Dice;

/// Adds neck, head, ears, eyes, nose and what else is there; `root` is where the neck begins.
pub(super) fn add(dice: &mut Dice, object: &mut Object, build: &Build, coat: &Coat, ids: &Ids, root: Vec3) {
    let yaw = dice.range(-0.5, 0.5) * if dice.chance(0.5) { 1.0 } else { 0.2 };
    let rise = build.neck_rise + if build.pose == Pose::Standing { 0.0 } else { 0.25 };
    let direction = Vec3::new(rise.cos() * (yaw * 0.4).cos(), rise.sin(), rise.cos() * (yaw * 0.4).sin());
    let end = root + direction * build.neck;
    let r = build.neck_radius;
    let neck = Loft::new(
        &[
            Section::oval(root, r * 1.35, r * 1.75),
            Section::oval(root.lerp(end, 0.5), r * 1.05, r * 1.25),
            Section::oval(end, r * 0.9, r),
        ],
        Vec3::Z,
        [0.5, 0.8],
    );
    object.add(NECK, coat.body, neck.mesh());
    if let Some(nape) = ids.nape {
        object.mark(nape, neck.point(0.7, 0.0));
    }
    if build.mane {
        let at = |t: f32| neck.point(t, 0.0);
        let width = r * 0.22;
        let sections = [0.0, 0.35, 0.7, 1.0].map(|t| Section::oval(at(t), width, r * 0.5));
        object.add(MANE, coat.hair, Loft::new(&sections, Vec3::Z, [1.0, 1.0]).columns(10).mesh());
    }

    let turn = Quat::from_euler(EulerRot::YZX, -yaw, -build.head_sink, dice.range(-0.12, 0.12));
    let place = Affine3A::from_rotation_translation(turn, end);
    skull(object, build, coat, ids, place);
}

/// The head in its own frame: x along the muzzle, y up, z to its right, the middle of the skull at the origin.
fn skull(object: &mut Object, build: &Build, coat: &Coat, ids: &Ids, place: Affine3A) {
    let s = build.skull;
    let (length, m) = (build.muzzle * s, build.muzzle_radius * s);
    let drop = -0.22 * s;
    let loft = Loft::new(
        &[
            Section::oval(Vec3::new(-0.75 * s, 0.0, 0.0), 0.55 * s, 0.55 * s),
            Section::oval(Vec3::new(0.0, 0.05 * s, 0.0), 0.92 * s, 0.9 * s),
            Section::oval(Vec3::new(0.62 * s, drop * 0.4, 0.0), 0.72 * s, 0.72 * s),
            Section::oval(Vec3::new(0.75 * s + length * 0.45, drop, 0.0), m * 1.05, m * 1.1),
            Section::oval(Vec3::new(0.7 * s + length, drop * 1.2, 0.0), m * 0.92, m * 0.95),
        ],
        Vec3::Z,
        [0.7, 0.55],
    );
    let to = |p: Vec3| place.transform_point3(p);
    let turned = |f: Vec3| place.transform_vector3(f);
    object.add(HEAD, coat.head, loft.mesh().transformed(place));

    let tip = loft.tip(true);
    let nose = Vec3::new(tip.x - m * 0.12, tip.y + m * 0.35, 0.0);
    let pad = Vec3::new(m * 0.4, m * 0.36, m * 0.55);
    object.add(NOSE, coat.nose, Mesh::ellipsoid(pad).at(nose).transformed(place));
    if let Some(id) = ids.nose {
        object.mark_facing(id, to(nose + Vec3::X * pad.x), turned(Vec3::new(1.0, 0.5, 0.0)));
    }
    let mouth = Vec3::new(tip.x - m * 0.15, tip.y - m * 0.5, 0.0);
    object.mark_facing(ids.mouth, to(mouth), turned(Vec3::new(1.0, -0.3, 0.0)));
    if let Some(id) = ids.forehead {
        object.mark(id, to(loft.point(0.36, 0.0)));
    }
    for left in [false, true] {
        let flip = if left { Vec3::new(1.0, 1.0, -1.0) } else { Vec3::ONE };
        let mut sided = |number: u8, material: u16, mesh: Mesh| {
            let mesh = if left { mesh.mirrored() } else { mesh };
            object.add(crate::object::Part::sided(number, left), material, mesh.transformed(place));
        };
        let socket = loft.point(0.47, if build.muzzle > 1.6 { 0.36 * PI } else { 0.3 * PI });
        sided(EYE, coat.eyes, Mesh::ellipsoid(Vec3::splat(build.eye * s)).at(socket - Vec3::X * 0.02 * s));
        let (base, end, ear) = ear(build, &loft);
        sided(EAR, coat.head, ear);
        let horn = build.horns.map(|horn| horn_mesh(&loft, horn * s, s));
        if let Some((_, mesh)) = &horn {
            sided(HORN, coat.horns, mesh.clone());
        }
        let side = usize::from(left);
        let at = |p: Vec3| to(p * flip);
        let outward = Vec3::new(0.35, 0.3, 1.0);
        object.mark_facing(
            [4, 5][side],
            at(socket + outward.normalize() * build.eye * s * 0.8),
            turned(outward * flip),
        );
        object.mark([0, 1][side], at(base));
        object.mark([2, 3][side], at(end));
        if let Some(ids) = ids.nostrils {
            let nostril = nose + Vec3::new(pad.x * 0.75, 0.0, pad.z * 0.6);
            object.mark_facing(ids[side], at(nostril), turned(Vec3::new(1.0, 0.3, 0.7) * flip));
        }
        if let (Some(ids), Some((end, _))) = (ids.horns, horn) {
            object.mark(ids[side], at(end));
        }
    }
}

/// Base, tip and surface of the right ear, in the head's frame.
fn ear(build: &Build, skull: &Loft) -> (Vec3, Vec3, Mesh) {
    let s = build.skull;
    let [length, width] = build.ear.map(|size| size * s);
    let (around, direction, side) = match build.ears {
        Ears::Upright => (0.2 * PI, Vec3::new(-0.1, 1.0, 0.3), Vec3::Z),
        Ears::Hanging => (0.3 * PI, Vec3::new(0.05, -0.75, 0.45), Vec3::X),
        Ears::Sideways => (0.3 * PI, Vec3::new(-0.25, 0.15, 1.0), Vec3::Y),
    };
    let root = skull.point(0.2, around) * Vec3::new(1.0, 0.95, 0.95);
    let direction = direction.normalize();
    let bulge = match build.ears {
        Ears::Hanging => Vec3::new(0.0, 0.12, 0.28) * length,
        _ => Vec3::ZERO,
    };
    let sections = [
        Section::oval(root, width * 0.75, width * 0.4),
        Section::oval(root + direction * length * 0.35 + bulge, width, width * 0.3),
        Section::oval(root + direction * length * 0.72 + bulge * 0.8, width * 0.68, width * 0.22),
        Section::oval(root + direction * length, width * 0.16, width * 0.1),
    ];
    let loft = Loft::new(&sections, side, [0.3, 0.6]).columns(12).flat();
    (root + (direction * length * 0.12 + bulge * 0.3), loft.tip(true), loft.mesh())
}

fn horn_mesh(skull: &Loft, length: f32, s: f32) -> (Vec3, Mesh) {
    let root = skull.point(0.25, 0.16 * PI) * 0.95;
    let radius = 0.17 * s;
    let sections = [
        Section::disc(root, radius),
        Section::disc(root + Vec3::new(-0.05, 0.25, 0.45) * length, radius * 0.75),
        Section::disc(root + Vec3::new(0.05, 0.65, 0.65) * length, radius * 0.45),
        Section::disc(root + Vec3::new(0.15, 1.0, 0.55) * length, radius * 0.12),
    ];
    let loft = Loft::new(&sections, Vec3::X, [0.2, 0.8]).columns(10);
    (loft.tip(true), loft.mesh())
}
