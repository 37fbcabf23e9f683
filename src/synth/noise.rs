//! Value noise in three dimensions, the stuff of which textures and grounds are made.

use glam::Vec3;

fn hash(x: i32, y: i32, z: i32, salt: u32) -> f32 {
    let mut h = (x as u32).wrapping_mul(0x8da6_b343)
        ^ (y as u32).wrapping_mul(0xd816_3841)
        ^ (z as u32).wrapping_mul(0xcb1a_b31f)
        ^ salt.wrapping_mul(0x9e37_79b1);
    h ^= h >> 15;
    h = h.wrapping_mul(0x2c1b_3c6d);
    h ^= h >> 13;
    (h >> 8) as f32 / (1 << 24) as f32
}

/// Smooth noise in `[0, 1]` that varies over a length of one.
pub(crate) fn value(p: Vec3, salt: u32) -> f32 {
    // a cast and a correction: `floor` is a call where the target has no instruction for it
    let below = |v: f32| v as i32 - i32::from(v < 0.0);
    let (x, y, z) = (below(p.x), below(p.y), below(p.z));
    let f = p - Vec3::new(x as f32, y as f32, z as f32);
    let s = f * f * (Vec3::splat(3.0) - 2.0 * f);
    let lerp = |a: f32, b: f32, t: f32| a + (b - a) * t;
    let edge = |dy: i32, dz: i32| lerp(hash(x, y + dy, z + dz, salt), hash(x + 1, y + dy, z + dz, salt), s.x);
    lerp(lerp(edge(0, 0), edge(1, 0), s.y), lerp(edge(0, 1), edge(1, 1), s.y), s.z)
}

/// Noise of several lengths, each half the one before and half as strong; in `[0, 1]`.
pub(crate) fn fractal(mut p: Vec3, octaves: u32, salt: u32) -> f32 {
    let (mut sum, mut weight, mut total) = (0.0, 1.0, 0.0);
    for octave in 0..octaves {
        sum += weight * value(p, salt.wrapping_add(octave));
        total += weight;
        weight *= 0.5;
        p = p * 2.03 + Vec3::splat(17.3);
    }
    sum / total
}

/// A random number in `[0, 1)` for a cell of the plane.
pub(crate) fn cell(x: i32, y: i32, salt: u32) -> f32 {
    hash(x, y, 7, salt)
}
