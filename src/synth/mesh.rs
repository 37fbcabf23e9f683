//! Surfaces of which objects are put together: each is a grid of vertices over two parameters.
//!
//! Every vertex carries its *place*: coordinates in `[0, 1]³` that are the same for the same place on every instance of a
//! part, whatever its size and shape.

use std::f32::consts::{PI, TAU};

use glam::{Affine3A, Vec3};

/// How far the places of something thin reach from the middle: enough to tell its two sides apart, and less than what counts
/// as another place.
const THIN: f32 = 0.02;

/// Triangles with a normal and a place at every vertex. Which way normals point does not matter: shading turns them to
/// the viewer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mesh {
    pub(crate) positions: Vec<Vec3>,
    pub(crate) normals: Vec<Vec3>,
    pub(crate) places: Vec<Vec3>,
    pub(crate) triangles: Vec<[u32; 3]>,
}

impl Mesh {
    /// A grid over `u` (rows, open) and `v` (columns, closed in a ring), with normals from neighbouring vertices.
    fn tube_grid(rows: usize, columns: usize, at: impl Fn(usize, f32) -> (Vec3, Vec3)) -> Mesh {
        let mut mesh = Mesh::default();
        for row in 0..rows {
            for column in 0..columns {
                let (position, place) = at(row, TAU * column as f32 / columns as f32);
                mesh.positions.push(position);
                mesh.places.push(place);
            }
        }
        let index = |row: usize, column: usize| row * columns + column % columns;
        for row in 0..rows {
            for column in 0..columns {
                let p = |r: usize, c: usize| mesh.positions[index(r, c)];
                // at a pole the ring has no extent: the ring beside it says which way the surface looks
                let degenerate = (p(row, column) - p(row, column + columns / 2)).length_squared() < 1e-12;
                let ring = match row {
                    0 if degenerate => 1,
                    _ if degenerate => row - 1,
                    _ => row,
                };
                let along = p((row + 1).min(rows - 1), column) - p(row.saturating_sub(1), column);
                let around = p(ring, column + 1) - p(ring, column + columns - 1);
                mesh.normals.push(along.cross(around).normalize_or_zero());
            }
        }
        for row in [0, rows - 1] {
            let ring = index(row, 0)..index(row, 0) + columns;
            if (mesh.positions[ring.start] - mesh.positions[ring.start + columns / 2]).length_squared() < 1e-12 {
                let mean = mesh.normals[ring.clone()].iter().sum::<Vec3>().normalize_or_zero();
                mesh.normals[ring].fill(mean);
            }
        }
        mesh.stitch(rows, columns);
        mesh
    }

    fn stitch(&mut self, rows: usize, columns: usize) {
        let index = |row: usize, column: usize| (row * columns + column % columns) as u32;
        for row in 0..rows - 1 {
            for column in 0..columns {
                let (a, b) = (index(row, column), index(row, column + 1));
                let (c, d) = (index(row + 1, column), index(row + 1, column + 1));
                self.triangles.extend([[a, b, d], [a, d, c]]);
            }
        }
    }

    /// A superellipsoid (Barr, 1981) of these half-sizes; `round` is 1 for an ellipsoid and near 0 for a box. The place is
    /// where a point lies in the box around it.
    pub(crate) fn superellipsoid(half: Vec3, round: f32) -> Mesh {
        let (rows, columns) = if round < 0.5 { (17, 24) } else { (15, 24) };
        let power = |x: f32, e: f32| x.signum() * x.abs().powf(e);
        let mut mesh = Mesh::default();
        for row in 0..rows {
            let latitude = PI * (row as f32 / (rows - 1) as f32 - 0.5);
            for column in 0..columns {
                let longitude = TAU * (column as f32 + 0.5) / columns as f32;
                let (sy, cy) = latitude.sin_cos();
                let (sz, cx) = longitude.sin_cos();
                let cy = if row == 0 || row == rows - 1 { 0.0 } else { cy };
                let unit = |e: f32| {
                    let (ring, lift) = (power(cy, e), power(sy, e));
                    Vec3::new(ring * power(cx, e), lift, ring * power(sz, e))
                };
                let position = unit(round);
                mesh.positions.push(position * half);
                mesh.normals.push((unit(2.0 - round) / half).normalize_or(Vec3::Y * sy));
                mesh.places.push(position * 0.5 + 0.5);
            }
        }
        mesh.stitch(rows, columns);
        mesh
    }

    /// Where the ray from the middle of a superellipsoid towards a point leaves it.
    pub(crate) fn on_superellipsoid(half: Vec3, round: f32, toward: Vec3) -> Vec3 {
        let unit = (toward / half).abs();
        let sum: f32 = unit.to_array().iter().map(|v| v.powf(2.0 / round)).sum();
        toward * sum.powf(-round / 2.0)
    }

    /// An ellipsoid.
    pub(crate) fn ellipsoid(half: Vec3) -> Mesh {
        Mesh::superellipsoid(half, 1.0)
    }

    /// A box with rounded edges.
    pub(crate) fn rounded_box(half: Vec3) -> Mesh {
        Mesh::superellipsoid(half, 0.18)
    }

    /// A ring around the z axis: `major` to the middle of the tube, `minor` its radius, `flat` stretches it along z. The
    /// place is where a point lies in the box around it.
    pub(crate) fn torus(major: f32, minor: f32, flat: f32) -> Mesh {
        let (rows, columns) = (33, 10);
        Mesh::tube_grid(rows, columns, |row, v| {
            let (s, c) = (TAU * row as f32 / (rows - 1) as f32).sin_cos();
            let radius = major + minor * v.cos();
            let position = Vec3::new(radius * c, radius * s, minor * flat * v.sin());
            let outer = major + minor;
            (position, Vec3::new(position.x / outer, position.y / outer, v.sin()) * 0.5 + 0.5)
        })
    }

    /// Moves, turns and stretches the mesh; places stay.
    pub(crate) fn transformed(mut self, by: Affine3A) -> Mesh {
        let normal = by.matrix3.inverse().transpose();
        for position in &mut self.positions {
            *position = by.transform_point3(*position);
        }
        for n in &mut self.normals {
            *n = (normal * *n).normalize_or_zero();
        }
        self
    }

    /// Moves the mesh.
    pub(crate) fn at(mut self, by: Vec3) -> Mesh {
        self.positions.iter_mut().for_each(|position| *position += by);
        self
    }

    /// The mirror image, left for right (z).
    pub(crate) fn mirrored(mut self) -> Mesh {
        for v in self.positions.iter_mut().chain(&mut self.normals) {
            v.z = -v.z;
        }
        self
    }

    /// Draws the places together along the axes where the factor is 0: what is thin there has its two faces at one place.
    pub(crate) fn flattened(mut self, keep: Vec3) -> Mesh {
        let factor = keep.max(Vec3::splat(2.0 * THIN));
        self.places.iter_mut().for_each(|place| *place = 0.5 + (*place - 0.5) * factor);
        self
    }

    /// New places: where a vertex lies between two corners.
    pub(crate) fn placed(mut self, low: Vec3, high: Vec3) -> Mesh {
        self.places = self.positions.iter().map(|p| ((*p - low) / (high - low)).clamp(Vec3::ZERO, Vec3::ONE)).collect();
        self
    }
}

/// A cross-section of a [`Loft`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Section {
    /// Its centre.
    pub(crate) at: Vec3,
    /// Half its extent along the loft's side.
    pub(crate) across: f32,
    /// Half its extent across the side.
    pub(crate) up: f32,
    /// 1 for an ellipse, near 0 for a rectangle.
    pub(crate) round: f32,
}

impl Section {
    /// A round section.
    pub(crate) fn disc(at: Vec3, radius: f32) -> Section {
        Section { at, across: radius, up: radius, round: 1.0 }
    }

    /// An elliptical section.
    pub(crate) fn oval(at: Vec3, across: f32, up: f32) -> Section {
        Section { at, across, up, round: 1.0 }
    }

    fn mix(a: &Section, b: &Section, mix: impl Fn(Vec3, Vec3) -> Vec3) -> Section {
        let at = mix(a.at, b.at);
        let sizes = mix(Vec3::new(a.across, a.up, a.round), Vec3::new(b.across, b.up, b.round));
        Section { at, across: sizes.x.max(0.0), up: sizes.y.max(0.0), round: sizes.z }
    }
}

/// A surface through cross-sections along a curve. Its places are (how far along, up, side): the first runs evenly from section
/// to section, so that a section is the same place on every instance.
#[derive(Clone, Debug)]
pub(crate) struct Loft {
    rings: Vec<(f32, Section)>,
    side: Vec3,
    columns: usize,
    /// How far places reach from the middle, up and sideways.
    depth: [f32; 2],
}

impl Loft {
    /// A smooth curve through the sections, `side` being the direction of their widths, with domes of the given
    /// lengths over the ends, in units of the end's smaller half-size (0 is a flat end).
    pub(crate) fn new(sections: &[Section], side: Vec3, domes: [f32; 2]) -> Loft {
        Loft::through(sections, side, domes, true)
    }

    /// The same with straight lines between the sections.
    pub(crate) fn straight(sections: &[Section], side: Vec3, domes: [f32; 2]) -> Loft {
        Loft::through(sections, side, domes, false)
    }

    /// A tube of one radius, closed with half spheres.
    pub(crate) fn tube(path: &[Vec3], radius: f32, side: Vec3) -> Loft {
        let sections: Vec<Section> = path.iter().map(|at| Section::disc(*at, radius)).collect();
        Loft::new(&sections, side, [1.0, 1.0]).columns(10).thin()
    }

    /// A body of revolution around the y axis: pairs of radius and height, from below to above, closed at both ends.
    pub(crate) fn lathe(profile: &[[f32; 2]]) -> Loft {
        let sections: Vec<Section> =
            profile.iter().map(|[radius, height]| Section::disc(Vec3::Y * *height, *radius)).collect();
        Loft::straight(&sections, Vec3::Z, [0.0, 0.0])
    }

    /// Of a tube so thin that its front and its back are one place.
    pub(crate) fn thin(mut self) -> Loft {
        self.depth = [THIN; 2];
        self
    }

    /// Of a plate so thin that its two faces are one place.
    pub(crate) fn flat(mut self) -> Loft {
        self.depth[0] = THIN;
        self
    }

    /// With so many vertices around.
    pub(crate) fn columns(mut self, columns: usize) -> Loft {
        self.columns = columns;
        self
    }

    fn through(sections: &[Section], side: Vec3, domes: [f32; 2], smooth: bool) -> Loft {
        let last = sections.len() - 1;
        let steps = if smooth { 4 } else { 3 };
        let mut rings = Vec::new();
        for (i, pair) in sections.windows(2).enumerate() {
            let (before, after) = (&sections[i.saturating_sub(1)], &sections[(i + 2).min(last)]);
            for step in 0..steps + usize::from(i + 1 == last) {
                let t = step as f32 / steps as f32;
                // Catmull and Rom's spline, 1974
                let curve = |p0: Vec3, p1: Vec3, p2: Vec3, p3: Vec3| {
                    0.5 * (2.0 * p1
                        + (p2 - p0) * t
                        + (2.0 * p0 - 5.0 * p1 + 4.0 * p2 - p3) * t * t
                        + (3.0 * p1 - p0 - 3.0 * p2 + p3) * t * t * t)
                };
                let section = if smooth {
                    let of = |f: fn(&Section) -> Vec3| curve(f(before), f(&pair[0]), f(&pair[1]), f(after));
                    let sizes = of(|s| Vec3::new(s.across, s.up, s.round));
                    Section { at: of(|s| s.at), across: sizes.x.max(0.0), up: sizes.y.max(0.0), round: sizes.z }
                } else {
                    Section::mix(&pair[0], &pair[1], |a, b| a.lerp(b, t))
                };
                rings.push(((i as f32 + t) / last as f32, section));
            }
        }
        let mut loft = Loft { rings, side, columns: 20, depth: [0.5, 0.5] };
        loft.cap(domes);
        loft
    }

    /// Closes both ends: rings that shrink to a point, over a quarter of an ellipse.
    fn cap(&mut self, domes: [f32; 2]) {
        for (end, dome) in domes.into_iter().enumerate() {
            let (t, section) = self.rings[if end == 0 { 0 } else { self.rings.len() - 1 }];
            let tangent = self.tangent(if end == 0 { 0 } else { self.rings.len() - 1 });
            let outward = if end == 0 { -tangent } else { tangent };
            let length = dome * section.across.min(section.up);
            let steps = if dome > 0.0 { 4 } else { 1 };
            for step in 1..=steps {
                let (s, c) = (PI / 2.0 * step as f32 / steps as f32).sin_cos();
                let scale = if step == steps { 0.0 } else { c };
                let ring = Section {
                    at: section.at + outward * length * s,
                    across: section.across * scale,
                    up: section.up * scale,
                    round: section.round,
                };
                if end == 0 {
                    self.rings.insert(0, (t, ring));
                } else {
                    self.rings.push((t, ring));
                }
            }
        }
    }

    fn tangent(&self, ring: usize) -> Vec3 {
        let next = self.rings[(ring + 1).min(self.rings.len() - 1)].1.at;
        let previous = self.rings[ring.saturating_sub(1)].1.at;
        (next - previous).normalize_or(Vec3::X)
    }

    /// Directions of up and side at a ring.
    fn frame(&self, ring: usize) -> (Vec3, Vec3) {
        // flat caps have rings at one point: the nearest rings that differ say where the curve goes
        let mut tangent = Vec3::ZERO;
        for reach in 1..self.rings.len() {
            let next = self.rings[(ring + reach).min(self.rings.len() - 1)].1.at;
            let previous = self.rings[ring.saturating_sub(reach)].1.at;
            if (next - previous).length_squared() > 1e-10 {
                tangent = (next - previous).normalize();
                break;
            }
        }
        let up = self.side.cross(tangent).normalize_or(Vec3::Y);
        (up, tangent.cross(up).normalize_or(self.side))
    }

    /// The point of the surface at `along` in `[0, 1]` and the angle `around`: 0 is up, a quarter of a turn is side.
    pub(crate) fn point(&self, along: f32, around: f32) -> Vec3 {
        let mut best = 0;
        let full = |ring: &(f32, Section)| ring.1.across.max(ring.1.up);
        for (i, ring) in self.rings.iter().enumerate() {
            let (old, new) = ((self.rings[best].0 - along).abs(), (ring.0 - along).abs());
            if new < old - 1e-6 || (new < old + 1e-6 && full(ring) > full(&self.rings[best])) {
                best = i;
            }
        }
        self.on_ring(best, around).0
    }

    /// The very end of the curve, on its dome: the first with `false`, the last with `true`.
    pub(crate) fn tip(&self, last: bool) -> Vec3 {
        self.rings[if last { self.rings.len() - 1 } else { 0 }].1.at
    }

    /// The point of the last end's dome that has these second and third coordinates as its place; beyond the dome, of its edge.
    pub(crate) fn on_dome(&self, up: f32, side: f32) -> Vec3 {
        let (u, s) = (2.0 * up - 1.0, 2.0 * side - 1.0);
        let reach = u.hypot(s).min(1.0);
        let full = |ring: &(f32, Section)| ring.0 == 1.0 && ring.1.across > 0.0;
        let edge = self.rings.iter().position(full).unwrap_or(0);
        let (rim, axis) = (self.rings[edge].1.at, self.tip(true) - self.rings[edge].1.at);
        let outline = self.on_ring(edge, s.atan2(u)).0 - rim;
        rim + outline * reach + axis * (1.0 - reach * reach).sqrt()
    }

    fn on_ring(&self, ring: usize, around: f32) -> (Vec3, Vec3) {
        let (t, section) = self.rings[ring];
        let (up, side) = self.frame(ring);
        let (s, c) = around.sin_cos();
        let power = |x: f32| x.signum() * x.abs().powf(section.round);
        let position = section.at + up * section.up * power(c) + side * section.across * power(s);
        // towards the tip of a dome the place goes to the middle
        let reach = self.shrink(ring);
        (position, Vec3::new(t, 0.5 + self.depth[0] * c * reach, 0.5 + self.depth[1] * s * reach))
    }

    fn shrink(&self, ring: usize) -> f32 {
        let (t, section) = self.rings[ring];
        if t > 0.0 && t < 1.0 {
            return 1.0;
        }
        let largest = self
            .rings
            .iter()
            .filter(|other| other.0 == t)
            .map(|other| other.1.across.max(other.1.up))
            .fold(0.0, f32::max);
        if largest > 0.0 { section.across.max(section.up) / largest } else { 0.0 }
    }

    /// The surface.
    pub(crate) fn mesh(&self) -> Mesh {
        Mesh::tube_grid(self.rings.len(), self.columns, |ring, around| self.on_ring(ring, around))
    }
}
