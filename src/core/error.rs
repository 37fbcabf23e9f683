//! What can go wrong in this crate, each variant a sentence that a user can act on.

use crate::geometry::{Grid, Size};

/// Every failure of this crate. None of them is a panic in disguise: each follows from an input that the message names.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // ---- geometry
    /// A fit was asked for with a side of zero.
    #[error(
        "an image of {width}×{height} pixels cannot be fitted to resolution {resolution} with patches of {patch}: every number must be above 0"
    )]
    FitZero {
        /// Width of the image, px.
        width: u32,
        /// Height of the image, px.
        height: u32,
        /// Side of the network's canvas, px.
        resolution: u32,
        /// Side of a patch, px.
        patch: u32,
    },
    /// The canvas would not divide into whole patches.
    #[error("resolution {resolution} is not a multiple of the patch size {patch}")]
    FitResolution {
        /// Side of the network's canvas, px.
        resolution: u32,
        /// Side of a patch, px.
        patch: u32,
    },
    /// A photo and a fit that was made for an image of another size.
    #[error("the fit was made for an image of {} pixels, and this one has {}", show(*.expected), show(*.found))]
    FitForAnotherImage {
        /// Size that the fit was made for.
        expected: Size,
        /// Size of the photo.
        found: Size,
    },
    /// A keypoint that is NaN or infinite.
    #[error("keypoint {index} is not a pair of finite numbers")]
    KeypointNotFinite {
        /// Its place in the list, from 0.
        index: usize,
    },
    /// A keypoint beyond the image's edges.
    #[error("keypoint {index} ({x}, {y}) lies outside the source image of {width}×{height} pixels")]
    KeypointOutside {
        /// Its place in the list, from 0.
        index: usize,
        /// Horizontal coordinate, px.
        x: f64,
        /// Vertical coordinate, px.
        y: f64,
        /// Width of the image, px.
        width: u32,
        /// Height of the image, px.
        height: u32,
    },
    /// A word that names none of the choices.
    #[error("`{found}` is no {what}; choose one of {choices}")]
    UnknownChoice {
        /// What was to be chosen.
        what: &'static str,
        /// What was written.
        found: String,
        /// The words that are understood.
        choices: &'static str,
    },

    // ---- images
    /// No bytes at all.
    #[error("the image is empty: 0 bytes were sent")]
    ImageEmpty,
    /// The first bytes are those of no image format.
    #[error("the file is not an image in a known format; send JPEG, PNG or WebP")]
    ImageFormatUnknown,
    /// An image, but in a format that is not decoded here.
    #[error("{format} images are not accepted; send JPEG, PNG or WebP")]
    ImageFormatUnsupported {
        /// The format that was recognised.
        format: String,
    },
    /// The file ends before the image does.
    #[error("the {format} image is truncated: the file ends before the picture does; send it again in full")]
    ImageTruncated {
        /// The format of the file.
        format: &'static str,
    },
    /// The dimensions in the header are beyond the limits.
    #[error(
        "the image is {width}×{height} pixels; at most {max_width}×{max_height} and {max_pixels} pixels in all are accepted"
    )]
    ImageTooLarge {
        /// Width in the header, px.
        width: u32,
        /// Height in the header, px.
        height: u32,
        /// Greatest width accepted, px.
        max_width: u32,
        /// Greatest height accepted, px.
        max_height: u32,
        /// Greatest product of the two that is accepted.
        max_pixels: u64,
    },
    /// Decoding would take more memory than is granted.
    #[error(
        "decoding the image would take more than the {limit} bytes of memory granted to one image; send a smaller image or fewer bits a channel"
    )]
    ImageMemory {
        /// The bound, bytes.
        limit: u64,
    },
    /// The file is damaged, or uses a part of its format that is not supported.
    #[error("the {format} image cannot be decoded: {reason}")]
    ImageUndecodable {
        /// The format of the file.
        format: &'static str,
        /// What the decoder says.
        reason: String,
    },
    /// A pixel buffer that does not fit its dimensions.
    #[error("an RGB image of {} pixels takes {expected} bytes, not {found}", show(*.size))]
    PhotoLength {
        /// The dimensions.
        size: Size,
        /// Width × height × 3.
        expected: u64,
        /// Length of the buffer.
        found: usize,
    },
    /// A resize that the resizer refused, in practice one to or from an empty image.
    #[error("the image of {} pixels cannot be resized to {}: {reason}", show(*.from), show(*.to))]
    Resize {
        /// Size of the photo.
        from: Size,
        /// Size that was asked for.
        to: Size,
        /// What the resizer says.
        reason: String,
    },

    // ---- features and matching
    /// A buffer that does not hold what its shape says, or a shape that holds nothing.
    #[error("a {what} of {rows} × {channels} numbers was expected, and {found} were given")]
    Shape {
        /// What the buffer was to be.
        what: &'static str,
        /// Tokens or queries.
        rows: usize,
        /// Numbers in each.
        channels: usize,
        /// Length of the buffer.
        found: usize,
    },
    /// A number that half precision cannot hold.
    #[error("a descriptor holds {value}, beyond what f16 can hold (65504); take f32, or normalised descriptors")]
    NotHalf {
        /// The first such number.
        value: f32,
    },
    /// A feature map that the safetensors format cannot hold.
    #[error("the descriptors cannot be written as safetensors: {reason}")]
    Safetensors {
        /// What the writer says.
        reason: String,
    },
    /// Descriptors of different models.
    #[error("descriptors of {queries} channels cannot be compared with a feature map of {map} channels")]
    ChannelMismatch {
        /// Channels of the queries.
        queries: usize,
        /// Channels of the map.
        map: usize,
    },
    /// A feature map that did not come from the canvas its fit describes.
    #[error("the feature map has {}×{} tokens and its fit {}×{}", .map.height, .map.width, .fit.height, .fit.width)]
    GridMismatch {
        /// Tokens of the map.
        map: Grid,
        /// Tokens of the fit.
        fit: Grid,
    },
    /// Not one similarity is a finite number, so that there is no best one.
    #[error("no similarity is a finite number: the model gave NaN or infinite descriptors for this pair of images")]
    NoFiniteSimilarity,
    /// A temperature or sigma that is zero, negative or not finite.
    #[error("the {name} must be a finite number above 0, not {value}")]
    NotPositive {
        /// The name of the setting.
        name: &'static str,
        /// What was given.
        value: f32,
    },
    /// A window that has no middle token, or is beyond the bound.
    #[error("the window must be an odd number of tokens from 1 to {max}, not {value}")]
    Window {
        /// What was given.
        value: u32,
        /// The greatest side accepted.
        max: u32,
    },
    /// A matcher on the command line that cannot be read.
    #[error("`{text}` is no matcher: {reason}; write for example window_soft_argmax:window=5,temperature=0.05")]
    MatcherSyntax {
        /// What was written.
        text: String,
        /// What is wrong with it.
        reason: String,
    },

    // ---- bundles
    /// A bundle breaks a rule of the contract, or its files are not those its manifest names.
    #[error("bundle {id} is refused: {reason}")]
    Bundle {
        /// The bundle's name.
        id: String,
        /// The rule it breaks, with the field or file in front.
        reason: String,
    },
    /// The caller is gone.
    #[error("matching was stopped")]
    Cancelled,
}

fn show(size: Size) -> String {
    format!("{}×{}", size.width, size.height)
}
