//! From the z-buffer to colours and to the truth about every pixel.

use glam::{Vec2, Vec3};

use crate::noise;
use crate::paint::hsv;
use crate::random::Dice;
use crate::raster::{NOTHING, weights};
use crate::sample::{Rendered, Semantic};
use crate::scene::{SUPER, Scene};

/// The samples of a pixel in the z-buffer.
pub(crate) fn samples(scene: &Scene, x: usize, y: usize) -> [usize; SUPER * SUPER] {
    let first = y * SUPER * scene.buffer.width + x * SUPER;
    std::array::from_fn(|i| first + (i / SUPER) * scene.buffer.width + i % SUPER)
}

fn interpolated(scene: &Scene, face: u32, pixel: Vec2, of: &[Vec3]) -> Vec3 {
    let vertices = scene.faces[face as usize].vertices;
    let w = weights(vertices.map(|vertex| scene.projected[vertex as usize]), pixel);
    let [a, b, c] = vertices.map(|vertex| of[vertex as usize]);
    a * w.x + b * w.y + c * w.z
}

/// What every pixel of the object is: one of which at least half the samples show it, by the nearest of them.
pub(crate) fn semantic(scene: &Scene, faces: u32) -> Vec<Option<Semantic>> {
    let pixels = (0..scene.height).flat_map(|y| (0..scene.width).map(move |x| (x, y)));
    pixels
        .map(|(x, y)| {
            let seen = samples(scene, x, y).map(|sample| (scene.buffer.near[sample], scene.buffer.face[sample]));
            if seen.iter().filter(|(_, face)| *face < faces).count() < 2 {
                return None;
            }
            let start = (-1.0, NOTHING);
            let nearer =
                |best: (f32, u32), next: (f32, u32)| if next.1 < faces && next.0 > best.0 { next } else { best };
            let (_, face) = seen.into_iter().fold(start, nearer);
            let place = interpolated(scene, face, Vec2::new(x as f32 + 0.5, y as f32 + 0.5), &scene.places);
            let byte = |v: f32| (v * 255.0 + 0.5) as u8;
            let part = scene.faces[face as usize].part;
            Some(Semantic { part, place: [byte(place.x), byte(place.y), byte(place.z)] })
        })
        .collect()
}

/// Light from the face at a pixel.
fn lit(scene: &Scene, face: u32, pixel: Vec2) -> Vec3 {
    let known = &scene.faces[face as usize];
    let vertices = known.vertices;
    let w = weights(vertices.map(|vertex| scene.projected[vertex as usize]), pixel);
    let mix = |of: &[Vec3]| {
        let [a, b, c] = vertices.map(|vertex| of[vertex as usize]);
        a * w.x + b * w.y + c * w.z
    };
    let point = mix(&scene.positions);
    let to_viewer = (scene.camera.eye - point).normalize_or(Vec3::X);
    let normal = mix(&scene.normals).normalize_or(to_viewer);
    let normal = if normal.dot(to_viewer) < 0.0 { -normal } else { normal };
    let (albedo, gloss) = scene.materials[usize::from(known.material)].at(point, mix(&scene.places));
    let cover = match scene.ground {
        Some(ground) => 0.7 + 0.3 * ((point.y - ground) / (0.35 * scene.radius)).clamp(0.0, 1.0),
        None => 1.0,
    };
    scene.light.shade(albedo, gloss, point, normal, to_viewer, cover)
}

/// Paints the picture.
pub(crate) fn finish(scene: &Scene, mut facts: Rendered, dice: &mut Dice, strength: f32) -> Rendered {
    let size = Vec2::new(scene.width as f32, scene.height as f32);
    let mut picture = Vec::with_capacity(scene.width * scene.height);
    for y in 0..scene.height {
        for x in 0..scene.width {
            picture.push(pixel(scene, x, y, size));
        }
    }
    if dice.chance(0.25 * strength) {
        soften(&mut picture, scene.width, scene.height);
    }
    facts.rgb = develop(&picture, scene.width, size, dice, strength);
    facts
}

fn pixel(scene: &Scene, x: usize, y: usize, size: Vec2) -> Vec3 {
    let centre = Vec2::new(x as f32 + 0.5, y as f32 + 0.5);
    let samples = samples(scene, x, y);
    let faces = samples.map(|sample| scene.buffer.face[sample]);
    let back = |at: Vec2| scene.backdrop.colour(&scene.light, scene.camera.eye, scene.camera.ray(at), at / size);
    if faces.iter().all(|face| *face == NOTHING) {
        return back(centre);
    }
    if faces.iter().all(|face| *face != NOTHING) {
        let known = faces.map(|face| &scene.faces[face as usize]);
        let near = samples.map(|sample| scene.buffer.near[sample]);
        let (low, high) = near.iter().fold((f32::MAX, 0.0_f32), |(l, h), n| (l.min(*n), h.max(*n)));
        let one = known.iter().all(|face| face.material == known[0].material && face.part == known[0].part);
        // one smooth surface: its colour varies little within the pixel
        if faces.iter().all(|face| *face == faces[0]) || (one && high < low * 1.01) {
            return lit(scene, faces[0], centre);
        }
    }
    let mut sum = Vec3::ZERO;
    for (i, face) in faces.iter().enumerate() {
        let offset = Vec2::new((i % SUPER) as f32, (i / SUPER) as f32) / SUPER as f32 + 0.5 / SUPER as f32;
        let at = Vec2::new(x as f32, y as f32) + offset;
        sum += if *face == NOTHING { back(at) } else { lit(scene, *face, at) };
    }
    sum / (SUPER * SUPER) as f32
}

/// The blur of a cheap lens: a 3×3 binomial filter.
fn soften(picture: &mut Vec<Vec3>, width: usize, height: usize) {
    let pass = |from: &[Vec3], step: usize, last: &dyn Fn(usize) -> (bool, bool)| -> Vec<Vec3> {
        (0..from.len())
            .map(|i| {
                let (first, end) = last(i);
                let before = from[if first { i } else { i - step }];
                let after = from[if end { i } else { i + step }];
                before * 0.25 + from[i] * 0.5 + after * 0.25
            })
            .collect()
    };
    let rows = pass(picture, 1, &|i| (i % width == 0, i % width == width - 1));
    *picture = pass(&rows, width, &|i| (i / width == 0, i / width == height - 1));
}

/// Exposure, white balance, contrast, vignette and grain; then bytes.
fn develop(picture: &[Vec3], width: usize, size: Vec2, dice: &mut Dice, strength: f32) -> Vec<u8> {
    let mean = picture.iter().sum::<Vec3>() / picture.len().max(1) as f32;
    let brightness = (mean.x + mean.y + mean.z) / 3.0;
    // cameras expose for the middle, more or less
    let exposure = (0.3 / brightness.max(0.02)).powf(0.7) * dice.about(0.1 + 0.35 * strength);
    let balance = Vec3::ONE.lerp(hsv(dice.unit(), 0.25, 1.0), 0.5 * strength * dice.unit());
    let contrast = 1.15 * dice.about(0.05 + 0.2 * strength);
    let saturation = dice.range(1.05 - 0.5 * strength, 1.1 + 0.2 * strength);
    let vignette = dice.range(0.0, 0.5) * strength;
    let grain = dice.range(0.0, 0.035) * strength;
    let salt = dice.bits() & 0xffff;
    let mut bytes = Vec::with_capacity(picture.len() * 3);
    for (i, colour) in picture.iter().enumerate() {
        let (x, y) = (i % width, i / width);
        let away = (Vec2::new(x as f32, y as f32) / size - 0.5).length_squared();
        let light = *colour * balance * exposure * (1.0 - vignette * away * 1.6);
        let light = Vec3::splat(light.dot(Vec3::new(0.3, 0.6, 0.1))).lerp(light, saturation).max(Vec3::ZERO);
        // a shoulder keeps highlights from clipping hard
        let rolled = light * (Vec3::ONE + light * 0.12) / (Vec3::ONE + light * 0.35);
        let noise = grain * (noise::cell(x as i32, y as i32, salt) + noise::cell(x as i32, y as i32, salt + 1) - 1.0);
        for channel in rolled.to_array() {
            let shown = (channel.sqrt() - 0.5) * contrast + 0.5 + noise;
            bytes.push((shown * 255.0 + 0.5) as u8);
        }
    }
    bytes
}
