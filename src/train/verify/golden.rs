//! Tensors of another implementation.

use crate::Error;
use homolog_core::{
    bundle::{Feature, Manifest},
    geometry::Size,
    image::Pixels,
};
use safetensors::SafeTensors;
use std::path::Path;

/// An input and the descriptors that belong to it.
pub(super) struct Golden {
    /// What the network takes.
    pub input: Pixels,
    /// `[h, w, channels]`.
    pub expected: Vec<f32>,
}

impl Golden {
    /// Reads the file for the descriptors that `manifest` tells of.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn read(path: &Path, manifest: &Manifest) -> Result<Golden, Error> {
        let wrong = |reason: String| Error::File { path: path.into(), reason };
        let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|error| wrong(error.to_string()))?;
        let tensor = |name: &str| -> Result<(Vec<usize>, Vec<f32>), Error> {
            let view = tensors.tensor(name).map_err(|error| wrong(format!("{name}: {error}")))?;
            if view.dtype() != safetensors::Dtype::F32 {
                return Err(wrong(format!("{name} is {:?}, not F32", view.dtype())));
            }
            let values = view.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            Ok((view.shape().to_vec(), values))
        };
        let (shape, input) = tensor("input")?;
        let [1, 3, height, width] = shape[..] else {
            return Err(wrong(format!("input is {shape:?}, not [1, 3, H, W]")));
        };
        let (_, expected) = tensor(match manifest.feature {
            Feature::PreNorm => "prenorm",
            Feature::PostNorm => "postnorm",
            Feature::Neck => "neck",
        })?;
        let input = Pixels::from_chw(Size::new(width as u32, height as u32), input)?;
        Ok(Golden { input, expected })
    }
}
