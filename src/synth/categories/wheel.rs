//! Wheels, which stand in the plane of x and y: tyre, rim and spokes are one part.

use std::f32::consts::TAU;

use glam::Vec3;

use crate::mesh::{Loft, Mesh};
use crate::object::{Object, Part};

/// Sizes of a wheel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wheel {
    pub(crate) radius: f32,
    /// Radius of the tyre's tube.
    pub(crate) tyre: f32,
    /// Half width, relative to the tyre's radius.
    pub(crate) flat: f32,
    /// Spokes that one can see through; with 0 the rim is a disc.
    pub(crate) spokes: usize,
    /// Radius of a spoke.
    pub(crate) spoke: f32,
}

impl Wheel {
    /// Adds the wheel to a part; `turn` is how far it has rolled.
    pub(crate) fn add(&self, object: &mut Object, part: Part, [tyre, rim]: [u16; 2], centre: Vec3, turn: f32) {
        let half = Vec3::new(self.radius, self.radius, self.tyre * self.flat * 1.4);
        let mut keep = |material: u16, mesh: Mesh| {
            object.add(part, material, mesh.placed(-half, half).flattened(Vec3::new(1.0, 1.0, 0.0)).at(centre))
        };
        keep(tyre, Mesh::torus(self.radius - self.tyre, self.tyre, self.flat));
        let inner = self.radius - 1.7 * self.tyre;
        if self.spokes == 0 {
            keep(rim, Mesh::superellipsoid(Vec3::new(inner, inner, half.z * 0.62), 0.6));
            let hub = inner * 0.28;
            keep(tyre, Mesh::ellipsoid(Vec3::new(hub, hub, half.z * 0.75)));
            return;
        }
        keep(rim, Mesh::torus(inner, self.tyre * 0.5, self.flat));
        let hub = self.radius * 0.1;
        keep(rim, Mesh::ellipsoid(Vec3::new(hub, hub, half.z * 1.0)));
        for spoke in 0..self.spokes {
            let (s, c) = (turn + TAU * spoke as f32 / self.spokes as f32).sin_cos();
            let end = Vec3::new(c, s, 0.0) * inner;
            keep(rim, Loft::tube(&[Vec3::ZERO, end], self.spoke, Vec3::Z).columns(5).mesh());
        }
    }
}
