//! From a number to a picture and the truth about it.

use crate::Category;
use crate::object::Part;
use crate::scene;

/// Part of the benchmark. No instance stands in two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Split {
    /// For training.
    Trn,
    /// For choosing settings.
    Val,
    /// For the numbers that are reported.
    Test,
}

impl Split {
    /// All three.
    pub const ALL: [Split; 3] = [Split::Trn, Split::Val, Split::Test];

    /// SPair-71k's name.
    pub const fn name(self) -> &'static str {
        match self {
            Split::Trn => "trn",
            Split::Val => "val",
            Split::Test => "test",
        }
    }
}

/// Which picture. The same sample gives the same picture, byte for byte; samples that differ in anything but `strength` show
/// different instances.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// What is seen.
    pub category: Category,
    /// The split it belongs to.
    pub split: Split,
    /// Its number in category and split.
    pub index: u64,
    /// The seed of the whole benchmark.
    pub seed: u64,
    /// How much viewpoint, scale, colours, light and surroundings vary, from 0 (mild) to 1 (the benchmark).
    pub strength: f32,
}

/// The size of a picture, px.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Exactly this size; the object is fitted into it.
    Exact {
        /// Width.
        width: u32,
        /// Height.
        height: u32,
    },
    /// A photo's: the long side within these bounds, and an aspect ratio that suits the object.
    Photo {
        /// Least long side.
        low: u32,
        /// Greatest long side.
        high: u32,
    },
}

/// What a pixel of the object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Semantic {
    /// Which part.
    pub part: Part,
    /// Where on the part, from 0 to 255 in each coordinate: the same place on every instance of the category.
    pub place: [u8; 3],
}

/// A keypoint in the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Keypoint {
    /// SPair-71k's number.
    pub id: u8,
    /// Continuous pixels, which may be outside the picture.
    pub x: f32,
    /// Downward.
    pub y: f32,
    /// Whether nothing is in front of it and it is inside the picture.
    pub visible: bool,
}

/// A picture with all that is known about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// What is seen.
    pub category: Category,
    /// Width, px.
    pub width: u32,
    /// Height, px.
    pub height: u32,
    /// Red, green and blue of every pixel, row by row.
    pub rgb: Vec<u8>,
    /// What every pixel of the object is, row by row; none beside it and where something else is in front.
    pub semantic: Vec<Option<Semantic>>,
    /// All keypoints of the instance by number, those that are not visible included.
    pub keypoints: Vec<Keypoint>,
    /// The box around the object's visible pixels: left, top, right, bottom, px.
    pub bounds: [u32; 4],
    /// Where the camera stands around the object, radians: 0 in front of it; at a quarter of a turn its front is at the
    /// picture's left.
    pub azimuth: f32,
    /// How far the camera is above it, radians.
    pub elevation: f32,
    /// Whether it goes beyond the picture.
    pub truncated: bool,
    /// Whether something is in front of it.
    pub occluded: bool,
}

impl Rendered {
    /// Whether each pixel shows the object.
    pub fn mask(&self) -> Vec<bool> {
        self.semantic.iter().map(Option::is_some).collect()
    }

    /// The keypoints that can be seen.
    pub fn visible(&self) -> impl Iterator<Item = &Keypoint> {
        self.keypoints.iter().filter(|keypoint| keypoint.visible)
    }

    /// Eighth of a turn that the object is seen from: 0 from the front, 2 with its front at the left, 4 from behind.
    pub fn azimuth_id(&self) -> u8 {
        (self.azimuth / std::f32::consts::FRAC_PI_4).round().rem_euclid(8.0) as u8 % 8
    }
}

impl Sample {
    /// Draws the picture.
    pub fn render(&self, frame: Frame) -> Rendered {
        scene::render(self, frame)
    }
}
