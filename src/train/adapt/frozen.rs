//! The frozen blocks, run by ONNX Runtime.

use super::AdaptArgs;
use crate::{Error, training::graph::Design};
use homolog_adapt::data::{TokenSource, Tokens};
use homolog_backbone::{Weights, onnx::GraphBuilder};
use homolog_core::{
    bundle::{Precision, Preparation},
    image::{DecodeLimits, Photo},
};
use ort::{session::Session, value::TensorRef};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Everything before the first trained block.
pub struct Frozen {
    session: Mutex<Session>,
    preparation: Preparation,
}

impl Frozen {
    /// Writes `folder/frozen.onnx` and loads it.
    ///
    /// # Errors
    /// Whatever emitting, writing and loading meet.
    pub fn new(
        folder: &Path,
        weights: &Weights,
        design: &Design,
        preparation: Preparation,
        arguments: &AdaptArgs,
    ) -> Result<Frozen, Error> {
        let mut graph = GraphBuilder::create(folder, "frozen", Precision::Fp32)?;
        design.family.backbone(&mut graph, weights, design.frozen.unwrap_or_default())?;
        graph.finish()?;
        let session = homolog_engine::graph(&folder.join("frozen.onnx"), arguments.provider, arguments.threads)?;
        Ok(Frozen { session: Mutex::new(session), preparation })
    }
}

impl TokenSource for Frozen {
    fn tokens(&self, image: &Path, flipped: bool) -> Result<Tokens, homolog_adapt::Error> {
        let wrong = |reason: String| homolog_adapt::Error::File { path: image.into(), reason };
        let bytes = std::fs::read(image).map_err(homolog_adapt::Error::file(image))?;
        let mut photo = Photo::decode(&bytes, &DecodeLimits::default()).map_err(|error| wrong(error.to_string()))?;
        if flipped {
            photo = photo.mirrored();
        }
        let (pixels, _) = self.preparation.prepare(&photo).map_err(|error| wrong(error.to_string()))?;
        let size = pixels.size();
        let shape = [1, 3, size.height as usize, size.width as usize];
        let input = TensorRef::from_array_view((shape, pixels.data())).map_err(|error| wrong(error.to_string()))?;
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = session.run(ort::inputs!["image" => input]).map_err(|error| wrong(error.to_string()))?;
        let tokens = outputs.get("tokens").ok_or_else(|| wrong("the graph gave no tokens".into()))?;
        let (shape, data) = tokens.try_extract_tensor::<f32>().map_err(|error| wrong(error.to_string()))?;
        match shape[..] {
            [1, tokens, width] => Ok(Tokens { shape: [tokens as usize, width as usize], data: data.to_vec() }),
            _ => Err(wrong(format!("the graph gave tokens of {shape:?}"))),
        }
    }
}

/// Tokens of the validation's images, which are few and asked for again and again.
pub struct Kept {
    source: Arc<Frozen>,
    kept: Mutex<HashMap<PathBuf, Arc<Tokens>>>,
}

impl Kept {
    /// None so far.
    pub fn new(source: Arc<Frozen>) -> Kept {
        Kept { source, kept: Mutex::default() }
    }

    /// The tokens of an image as it lies.
    ///
    /// # Errors
    /// As [`TokenSource::tokens`].
    pub fn tokens(&self, image: &Path) -> Result<Arc<Tokens>, homolog_adapt::Error> {
        let known = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(image).cloned();
        if let Some(tokens) = known {
            return Ok(tokens);
        }
        let tokens = Arc::new(self.source.tokens(image, false)?);
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(image.into(), tokens.clone());
        Ok(tokens)
    }
}
