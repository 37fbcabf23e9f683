//! A synthetic benchmark for semantic correspondence: SPair-71k's 18 categories as procedural objects in three dimensions,
//! each picture with its keypoints, and with a part and a place on it for every pixel of the object.
//!
//! [`Sample::render`] draws one picture into memory, [`correspondences`] gives pairs of pixels of two pictures that show the
//! same place, [`Cells`] numbers places, [`write()`] writes the benchmark in SPair-71k's layout.

mod annotation;
mod backdrop;
mod camera;
mod categories;
mod category;
mod cells;
mod clutter;
mod correspond;
mod error;
mod light;
mod mesh;
mod noise;
mod object;
mod paint;
mod random;
mod raster;
mod sample;
mod scene;
mod shade;
mod sheet;
mod write;

pub use category::Category;
pub use cells::Cells;
pub use correspond::{Correspondence, correspondences};
pub use error::Error;
pub use object::Part;
pub use sample::{Frame, Keypoint, Rendered, Sample, Semantic, Split};
pub use sheet::contact_sheet;
pub use write::{Options, Summary, write};
