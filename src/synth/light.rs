//! The sun, the sky's light, and the shadows of the sun.

use glam::Vec3;

use crate::paint::hsv;
use crate::random::Dice;
use crate::raster::Buffer;

const SIDE: usize = 160;

/// Light from one direction, light from all around, and what stands in the first one's way.
#[derive(Clone, Debug)]
pub(crate) struct Light {
    to_sun: Vec3,
    sun: Vec3,
    sky: Vec3,
    bounce: Vec3,
    across: Vec3,
    along: Vec3,
    middle: Vec3,
    scale: f32,
    bias: f32,
    shadows: Buffer,
}

impl Light {
    /// Light for a scene around `middle`, of which `radius` is shadowed. With `strength` 0 it comes from above and behind the
    /// camera; with 1 from anywhere above and in any tint.
    pub(crate) fn new(dice: &mut Dice, to_camera: Vec3, middle: Vec3, radius: f32, strength: f32) -> Light {
        let turn = dice.range(-1.0, 1.0) * (0.5 + 2.2 * strength);
        let height = dice.range(0.9 - 0.45 * strength, 1.25);
        let (s, c) = turn.sin_cos();
        let level = Vec3::new(to_camera.x, 0.0, to_camera.z).normalize_or(Vec3::X);
        let level = Vec3::new(level.x * c - level.z * s, 0.0, level.x * s + level.z * c);
        let to_sun = level * height.cos() + Vec3::Y * height.sin();
        let tint = |dice: &mut Dice, most: f32, value: f32| hsv(dice.unit(), dice.range(0.0, most), 1.0) * value;
        let hardness = dice.range(0.35, 1.0);
        let sun = tint(dice, 0.1 + 0.3 * strength, 1.15 * hardness);
        let sky = tint(dice, 0.1 + 0.3 * strength, 0.9 - 0.62 * hardness);
        let across = to_sun.cross(Vec3::Y).normalize_or(Vec3::Z);
        Light {
            to_sun,
            sun,
            sky,
            bounce: sky * dice.range(0.35, 0.7) + sun * 0.12,
            across,
            along: across.cross(to_sun),
            middle,
            scale: SIDE as f32 / (2.0 * radius),
            bias: 0.035 * radius,
            shadows: Buffer::new(SIDE, SIDE),
        }
    }

    fn shadow_place(&self, point: Vec3) -> Vec3 {
        let p = point - self.middle;
        let half = SIDE as f32 / 2.0;
        // nearness to the sun must stay positive: nothing that is drawn lies 100 below the middle
        Vec3::new(
            p.dot(self.across) * self.scale + half,
            p.dot(self.along) * self.scale + half,
            p.dot(self.to_sun) + 100.0,
        )
    }

    /// Lets a triangle cast its shadow.
    pub(crate) fn cast(&mut self, corners: [Vec3; 3]) {
        let placed = corners.map(|corner| self.shadow_place(corner));
        self.shadows.draw(0, placed, 1.0);
    }

    /// How much of the sun reaches a point, from 0 to 1.
    fn sunlit(&self, point: Vec3) -> f32 {
        let p = self.shadow_place(point);
        if !(1.0..SIDE as f32 - 2.0).contains(&p.x) || !(1.0..SIDE as f32 - 2.0).contains(&p.y) {
            return 1.0;
        }
        let (x, y) = (p.x - 0.5, p.y - 0.5);
        let (fx, fy) = (x - x.floor(), y - y.floor());
        let at = y.floor() as usize * SIDE + x.floor() as usize;
        let free = |offset: usize| f32::from(u8::from(self.shadows.near[at + offset] <= p.z + self.bias));
        let upper = free(0) * (1.0 - fx) + free(1) * fx;
        let lower = free(SIDE) * (1.0 - fx) + free(SIDE + 1) * fx;
        upper * (1.0 - fy) + lower * fy
    }

    /// Light that leaves a surface towards the viewer. `normal` and `to_viewer` are unit vectors, `cover` in `[0, 1]` is how
    /// much of the sky the surroundings leave free.
    pub(crate) fn shade(
        &self,
        albedo: Vec3,
        gloss: f32,
        point: Vec3,
        normal: Vec3,
        to_viewer: Vec3,
        cover: f32,
    ) -> Vec3 {
        let toward = normal.dot(self.to_sun);
        // half of Valve's half Lambert: soft terminators, as under an open sky
        let lambert = (0.8 * toward + 0.2).max(0.0);
        let sun = if lambert > 0.0 { lambert * self.sunlit(point) } else { 0.0 };
        let up = 0.5 + 0.5 * normal.y;
        let ambient = self.bounce.lerp(self.sky, up) * cover;
        let mut light = albedo * (self.sun * sun + ambient);
        if gloss > 0.02 {
            let half = (self.to_sun + to_viewer).normalize_or_zero();
            let shine = normal.dot(half).max(0.0).powf(8.0 + 70.0 * gloss) * sun.min(1.0);
            let mirrored = 2.0 * normal.dot(to_viewer) * normal - to_viewer;
            let grazing = (1.0 - normal.dot(to_viewer).max(0.0)).powi(4);
            let horizon = (mirrored.y * 6.0 + 0.5).clamp(0.0, 1.0);
            let around = self.bounce.lerp(self.sky * 1.6, horizon);
            light += self.sun * shine * gloss + around * gloss * (0.08 + 0.55 * grazing);
        }
        light
    }

    /// What reaches level ground at a point.
    pub(crate) fn on_ground(&self, albedo: Vec3, point: Vec3) -> Vec3 {
        let sun = self.to_sun.y.max(0.0) * self.sunlit(point);
        albedo * (self.sun * sun + self.sky)
    }

    /// The light of a wall or a sky, by which what is far is lit.
    pub(crate) fn overall(&self) -> Vec3 {
        self.sun * 0.55 + self.sky * 0.9
    }
}
