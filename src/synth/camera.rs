//! The pinhole camera: from the object's space to pixels and back.

use glam::{Mat3, Vec2, Vec3};

/// A camera that looks at a point.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Camera {
    /// Where it stands.
    pub(crate) eye: Vec3,
    /// Rows: right, down and forward in the image.
    axes: Mat3,
    /// Pixels per unit of slope.
    pub(crate) focal: f32,
    /// Pixel of the optical axis.
    pub(crate) centre: Vec2,
}

impl Camera {
    /// A camera at `distance` from `target`. At azimuth 0 it sees the object's front; as the azimuth grows to a quarter
    /// of a turn the front turns to the image's left. `elevation` is upward, `roll` clockwise; radians.
    pub(crate) fn orbit(target: Vec3, azimuth: f32, elevation: f32, roll: f32, distance: f32) -> Camera {
        let outward = Vec3::new(elevation.cos() * azimuth.cos(), elevation.sin(), -elevation.cos() * azimuth.sin());
        let forward = -outward;
        let right = forward.cross(Vec3::Y).normalize_or(Vec3::Z);
        let down = forward.cross(right);
        let (s, c) = roll.sin_cos();
        let (right, down) = (right * c + down * s, down * c - right * s);
        let axes = Mat3::from_cols(right, down, forward).transpose();
        Camera { eye: target + outward * distance, axes, focal: 1.0, centre: Vec2::ZERO }
    }

    /// Horizontal and vertical pixel, and the inverse of the depth, which is negative behind the camera.
    pub(crate) fn project(&self, point: Vec3) -> Vec3 {
        let seen = self.axes * (point - self.eye);
        let inverse = 1.0 / if seen.z.abs() < 1e-6 { 1e-6 } else { seen.z };
        Vec3::new(self.focal * seen.x * inverse + self.centre.x, self.focal * seen.y * inverse + self.centre.y, inverse)
    }

    /// Direction of the ray through a pixel, such that the depth along it is 1.
    pub(crate) fn ray(&self, pixel: Vec2) -> Vec3 {
        let slope = (pixel - self.centre) / self.focal;
        self.axes.transpose() * slope.extend(1.0)
    }

    /// The direction in space of one in the image: right, down, forward.
    pub(crate) fn in_space(&self, direction: Vec3) -> Vec3 {
        self.axes.transpose() * direction
    }
}
