//! Descriptors of a network whose weights are still being trained.

use super::{graph::Design, step};
use crate::Error;
use homolog_adapt::Parameters;
use homolog_backbone::{
    Weights,
    onnx::{GraphBuilder, proto::data_type},
};
use homolog_core::{bundle::Precision, features::FeatureMap, geometry::Grid};
use homolog_engine::ProviderChoice;
use ort::{session::Session, value::Tensor};
use std::path::Path;

/// The network of a [`Design`] without its losses.
pub struct Describer {
    session: Session,
    /// `tokens` or `image`.
    input: &'static str,
}

impl Describer {
    /// Writes `folder/describe.onnx` and loads it; `threads` 0: as many as there are cores.
    ///
    /// # Errors
    /// Whatever emitting, writing and loading meet.
    pub fn new(
        folder: &Path,
        weights: &Weights,
        design: &Design,
        provider: ProviderChoice,
        threads: usize,
    ) -> Result<Describer, Error> {
        let mut graph = GraphBuilder::create(folder, "describe", Precision::Fp32)?;
        let mut design = design.clone();
        // Nothing is dropped out here.
        design.trained.lora.iter_mut().for_each(|lora| lora.has_dropout = false);
        graph.train(design.trained.clone());
        let (descriptors, channels) = design.descriptors(&mut graph, weights)?;
        let dims = [("batch", -1), ("h", -1), ("w", -1), ("channels", channels as i64)];
        graph.output(descriptors, "descriptors", data_type::FLOAT, &dims);
        graph.finish()?;
        let session = homolog_engine::graph(&folder.join("describe.onnx"), provider, threads)?;
        let input = if design.frozen.is_some() { "tokens" } else { "image" };
        Ok(Describer { session, input })
    }

    /// The descriptors of one image: what the network takes of it, `[1, …]`, and its grid.
    ///
    /// # Errors
    /// [`homolog_adapt::Error::Compute`] with what ONNX Runtime says.
    pub fn run(
        &mut self,
        parameters: &Parameters,
        shape: &[usize],
        data: &[f32],
        grid: Grid,
    ) -> Result<FeatureMap<'static>, homolog_adapt::Error> {
        let mut inputs = vec![step::fed(self.input, shape, data)?];
        let sides = Tensor::from_array(([2usize], vec![grid.height as i64, grid.width as i64]));
        inputs.push(("grid".into(), sides.map_err(step::compute)?.into()));
        for parameter in parameters.iter().filter(|parameter| !super::loss::owns(&parameter.name)) {
            inputs.push(step::fed(&parameter.name, &parameter.shape, &parameter.data)?);
        }
        let outputs = self.session.run(inputs).map_err(step::compute)?;
        let values = step::values(&outputs, "descriptors")?;
        FeatureMap::new(grid, values.len() / grid.len().max(1), values.to_vec())
            .map_err(|error| step::compute_text(&error))
    }
}
