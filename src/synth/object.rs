//! An instance of a category: its surfaces by part, what they look like, and its keypoints.

use glam::Vec3;

use crate::mesh::Mesh;
use crate::paint::Material;

/// A part of a category, the same number on every instance.
///
/// Parts in the middle are below 64; a part of the right side is 64 or above, and its partner of the left side 64 more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Part(pub u8);

impl Part {
    /// A part in the middle.
    pub(crate) const fn middle(number: u8) -> Part {
        Part(number & 63)
    }

    /// A part of the right side; with `left`, its partner.
    pub(crate) const fn sided(number: u8, left: bool) -> Part {
        Part((number & 63) + if left { 128 } else { 64 })
    }

    /// The part that this one changes places with when the object is mirrored; itself in the middle. Mirroring leaves a sided
    /// part's coordinates as they are, and turns the third coordinate `w` of a part in the middle into `1 − w`.
    pub const fn mirrored(self) -> Part {
        match self.0 {
            64..=127 => Part(self.0 + 64),
            128..=191 => Part(self.0 - 64),
            _ => self,
        }
    }
}

/// A triangle of the object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Face {
    pub(crate) vertices: [u32; 3],
    pub(crate) part: Part,
    pub(crate) material: u16,
}

/// A keypoint of the category, on the object's surface.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Landmark {
    /// SPair-71k's number.
    pub(crate) id: u8,
    pub(crate) at: Vec3,
    /// Where the surface looks there, for points that are not to be seen from behind though nothing is in front.
    pub(crate) facing: Option<Vec3>,
}

/// The object: x is forward, y up, z to its right.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object {
    pub(crate) positions: Vec<Vec3>,
    pub(crate) normals: Vec<Vec3>,
    pub(crate) places: Vec<Vec3>,
    pub(crate) faces: Vec<Face>,
    pub(crate) materials: Vec<Material>,
    pub(crate) landmarks: Vec<Landmark>,
}

impl Object {
    /// Keeps a material; its number.
    pub(crate) fn material(&mut self, material: Material) -> u16 {
        self.materials.push(material);
        (self.materials.len() - 1) as u16
    }

    /// Adds a surface.
    pub(crate) fn add(&mut self, part: Part, material: u16, mesh: Mesh) {
        let first = self.positions.len() as u32;
        self.positions.extend(mesh.positions);
        self.normals.extend(mesh.normals);
        self.places.extend(mesh.places);
        let shifted = mesh.triangles.iter().map(|t| t.map(|vertex| vertex + first));
        self.faces.extend(shifted.map(|vertices| Face { vertices, part, material }));
    }

    /// Adds a surface of the right side and its mirror image on the left.
    pub(crate) fn add_both(&mut self, number: u8, material: u16, mesh: Mesh) {
        self.add(Part::sided(number, true), material, mesh.clone().mirrored());
        self.add(Part::sided(number, false), material, mesh);
    }

    /// Adds a surface that is given as it would be on the right.
    pub(crate) fn add_on(&mut self, number: u8, left: bool, material: u16, mesh: Mesh) {
        self.add(Part::sided(number, left), material, if left { mesh.mirrored() } else { mesh });
    }

    /// A keypoint.
    pub(crate) fn mark(&mut self, id: u8, at: Vec3) {
        self.landmarks.push(Landmark { id, at, facing: None });
    }

    /// A keypoint that is seen only from where its surface looks.
    pub(crate) fn mark_facing(&mut self, id: u8, at: Vec3, facing: Vec3) {
        self.landmarks.push(Landmark { id, at, facing: Some(facing.normalize_or_zero()) });
    }

    /// Keypoints of both sides, given as that of the right would be.
    pub(crate) fn mark_both(&mut self, right: u8, left: u8, at: Vec3, facing: Option<Vec3>) {
        let flip = Vec3::new(1.0, 1.0, -1.0);
        self.landmarks.push(Landmark { id: right, at, facing });
        self.landmarks.push(Landmark { id: left, at: at * flip, facing: facing.map(|f| f * flip) });
    }

    /// A keypoint of one side, given as it would be on the right.
    pub(crate) fn mark_on(&mut self, ids: [u8; 2], left: bool, at: Vec3, facing: Option<Vec3>) {
        let flip = if left { Vec3::new(1.0, 1.0, -1.0) } else { Vec3::ONE };
        self.landmarks.push(Landmark { id: ids[usize::from(left)], at: at * flip, facing: facing.map(|f| f * flip) });
    }

    /// Corners of the box around it.
    pub(crate) fn bounds(&self) -> (Vec3, Vec3) {
        let start = (Vec3::splat(f32::MAX), Vec3::splat(f32::MIN));
        self.positions.iter().fold(start, |(low, high), p| (low.min(*p), high.max(*p)))
    }
}
