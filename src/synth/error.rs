//! What can go wrong in this crate, each variant a sentence that a user can act on.

use std::path::PathBuf;

/// Every failure of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A word that names none of the categories.
    #[error("`{found}` is no category; choose one of {}", crate::category::names())]
    UnknownCategory {
        /// What was written.
        found: String,
    },
    /// A folder that holds something already.
    #[error("{} is not empty; choose a new folder, or empty it", .0.display())]
    NotEmpty(PathBuf),
    /// More pairs than the images of a split have.
    #[error(
        "{pairs} pairs of each category were asked for in {split}, and {images} images make at most {most}; ask for more images or fewer pairs"
    )]
    TooManyPairs {
        /// The split.
        split: &'static str,
        /// Pairs a category.
        pairs: usize,
        /// Images a category.
        images: usize,
        /// Ordered pairs of different images.
        most: usize,
    },
    /// Sides of images that cannot be drawn.
    #[error(
        "images of {low} to {high} px were asked for; the long side must be from 64 to 4096 px, the smaller number first"
    )]
    Sides {
        /// The least long side.
        low: u32,
        /// The greatest.
        high: u32,
    },
    /// A strength beyond its range.
    #[error("the strength of variation is from 0 to 1, not {0}")]
    Strength(f32),
    /// No category to draw.
    #[error("no category was named; name at least one, or none to have all 18")]
    NoCategory,
    /// A file or folder that cannot be written.
    #[error("{} cannot be written: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// An image that its encoder refused.
    #[error("{} cannot be encoded: {reason}", path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// What the encoder says.
        reason: String,
    },
}
