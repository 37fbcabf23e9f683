//! A z-buffer for triangles.
//!
//! Our own: the crates that rasterise triangles on a CPU either fill flat colours (tiny-skia) or are whole pipelines that
//! keep no face per sample (euc), and the face of every sample is what truth and shading are made of here.

use glam::{Vec2, Vec3};

/// No face.
pub(crate) const NOTHING: u32 = u32::MAX;

/// Nearness and face of every sample.
#[derive(Clone, Debug)]
pub(crate) struct Buffer {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Greater is nearer; 0 where there is nothing.
    pub(crate) near: Vec<f32>,
    pub(crate) face: Vec<u32>,
}

impl Buffer {
    /// An empty buffer.
    pub(crate) fn new(width: usize, height: usize) -> Buffer {
        Buffer { width, height, near: vec![0.0; width * height], face: vec![NOTHING; width * height] }
    }

    /// Draws a triangle. Its corners are pixel coordinates times `scale` and nearness, which is linear over the
    /// image (the inverse of depth is). A triangle that reaches behind the viewer is left out.
    pub(crate) fn draw(&mut self, face: u32, corners: [Vec3; 3], scale: f32) {
        if corners.iter().any(|corner| corner.z <= 1e-4 || !corner.is_finite()) {
            return;
        }
        let [a, b, c] = corners.map(|corner| Vec3::new(corner.x * scale, corner.y * scale, corner.z));
        let doubled = (b.x - a.x) * (c.y - a.y) - (c.x - a.x) * (b.y - a.y);
        if doubled.abs() < 1e-9 {
            return;
        }
        let (low, high) = (a.min(b).min(c), a.max(b).max(c));
        let first = |v: f32| up((v - 0.5).max(0.0));
        let end = |v: f32, size: usize| (v + 0.5).clamp(0.0, size as f32) as usize;
        let (x0, x1) = (first(low.x), end(high.x, self.width));
        let (y0, y1) = (first(low.y), end(high.y, self.height));
        if x0 >= x1 {
            return;
        }
        // weights of b and c are linear in x and y
        let step_b = Vec2::new(c.y - a.y, -(c.x - a.x)) / doubled;
        let step_c = Vec2::new(-(b.y - a.y), b.x - a.x) / doubled;
        let slope = (b.z - a.z) * step_b.x + (c.z - a.z) * step_c.x;
        for y in y0..y1 {
            let from = Vec2::new(x0 as f32 + 0.5 - a.x, y as f32 + 0.5 - a.y);
            let (wb, wc) = (step_b.dot(from), step_c.dot(from));
            // where along the row all three weights are at least 0; a hair more, so that neighbours leave no crack
            let (mut first, mut last) = (0.0_f32, (x1 - x0) as f32 - 1.0);
            for (weight, step) in [(wb, step_b.x), (wc, step_c.x), (1.0 - wb - wc, -step_b.x - step_c.x)] {
                let zero = -(weight + 1e-5) / step;
                if step > 0.0 {
                    first = first.max(zero);
                } else if step < 0.0 {
                    last = last.min(zero);
                } else if weight < 0.0 {
                    last = -1.0;
                }
            }
            if last < first {
                continue;
            }
            let (first, last) = (up(first), last as usize);
            let mut near = a.z + wb * (b.z - a.z) + wc * (c.z - a.z) + slope * first as f32;
            let row = y * self.width + x0;
            for at in row + first..row + last + 1 {
                if near > self.near[at] {
                    self.near[at] = near;
                    self.face[at] = face;
                }
                near += slope;
            }
        }
    }
}

/// The least whole number that is not below `v`, which is not negative.
fn up(v: f32) -> usize {
    let whole = v as usize;
    whole + usize::from((whole as f32) < v)
}

/// Weights of a triangle's corners at a pixel, corrected for perspective; at a pixel beside it, those of its nearest edge.
pub(crate) fn weights(corners: [Vec3; 3], pixel: Vec2) -> Vec3 {
    let [a, b, c] = corners;
    let doubled = (b.x - a.x) * (c.y - a.y) - (c.x - a.x) * (b.y - a.y);
    let from = pixel - Vec2::new(a.x, a.y);
    let inverse = if doubled.abs() < 1e-9 { 0.0 } else { 1.0 / doubled };
    let wb = ((c.y - a.y) * from.x - (c.x - a.x) * from.y) * inverse;
    let wc = ((b.x - a.x) * from.y - (b.y - a.y) * from.x) * inverse;
    let flat = Vec3::new(1.0 - wb - wc, wb, wc).clamp(Vec3::ZERO, Vec3::ONE);
    let weighted = flat * Vec3::new(a.z, b.z, c.z);
    weighted / (weighted.x + weighted.y + weighted.z).max(1e-12)
}
