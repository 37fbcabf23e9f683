//! The training graph: what is trained of a network, its losses, and their gradients, in one run.

use super::loss;
use crate::Error;
use homolog_adapt::Losses;
use homolog_backbone::{
    Adapter, Family, Trained, Weights,
    checkpoint::Tensor,
    gradients,
    onnx::{GraphBuilder, Value, proto::data_type},
};
use homolog_core::{
    bundle::{Feature, Precision},
    geometry::Grid,
};
use std::path::{Path, PathBuf};

/// What a training graph computes.
#[derive(Clone, Debug)]
pub struct Design<'a> {
    /// The network.
    pub family: Family,
    /// Blocks before the graph's first, whose tokens are its input; none: the graph begins with the image.
    pub frozen: Option<usize>,
    /// Which features are the descriptors.
    pub feature: Feature,
    /// What is trained.
    pub trained: Trained,
    /// A network over the descriptors.
    pub adapter: Option<&'a Adapter>,
    /// What is minimised.
    pub losses: &'a Losses,
    /// The grid of every image.
    pub grid: Grid,
    /// Classes that tokens are labelled with; 0 where they are not.
    pub classes: usize,
}

impl Design<'_> {
    /// Emits the network: descriptors `[images, h, w, channels]` and their channels.
    pub(super) fn descriptors(
        &self,
        graph: &mut GraphBuilder,
        weights: &Weights,
    ) -> Result<(Value, usize), homolog_backbone::Error> {
        let descriptors = match self.frozen {
            Some(frozen) => self.family.head(graph, weights, frozen, self.feature)?,
            None => self.family.whole(graph, weights, self.feature)?,
        };
        match self.adapter {
            Some(adapter) => Ok((adapter.emit(graph, &descriptors)?, adapter.output())),
            None => Ok((descriptors, self.family.channels(self.feature))),
        }
    }
}

/// A training graph on disk.
#[derive(Clone, Debug)]
pub struct TrainingGraph {
    /// Its file.
    pub path: PathBuf,
    /// What is trained, in the order of the graph's gradients, with the values that it begins with. Low-rank matrices are zero.
    pub parameters: Vec<(String, Tensor)>,
    /// The losses that have a weight.
    pub losses: Vec<&'static str>,
    /// Products whose input is thinned out, with its channels.
    pub dropouts: Vec<(String, usize)>,
}

/// The output that holds the gradient of a parameter, and that of one of the losses.
pub(super) fn gradient_name(parameter: &str) -> String {
    format!("gradient:{parameter}")
}

pub(super) fn part_name(loss: &str) -> String {
    format!("loss:{loss}")
}

impl TrainingGraph {
    /// Writes `folder/training.onnx` and its frozen weights.
    ///
    /// # Errors
    /// Whatever emitting and writing meet; [`homolog_backbone::Error::Gradient`] for what cannot be differentiated.
    pub fn write(folder: &Path, weights: &Weights, design: &Design) -> Result<TrainingGraph, Error> {
        let mut graph = GraphBuilder::create(folder, "training", Precision::Fp32)?;
        let has_dropout = design.trained.lora.as_ref().is_some_and(|lora| lora.has_dropout);
        graph.train(design.trained.clone());
        let (descriptors, channels) = design.descriptors(&mut graph, weights)?;
        let lora = design.trained.lora.iter().filter(|_| has_dropout).flat_map(|lora| &lora.modules);
        let dropouts = lora
            .map(|module| Ok((module.clone(), weights.get(&format!("{module}.weight"))?.shape[1])))
            .collect::<Result<_, homolog_backbone::Error>>()?;
        let Design { grid, losses, classes, .. } = *design;
        let written = TrainingGraph::over(graph, folder, (&descriptors, channels), grid, losses, classes)?;
        Ok(TrainingGraph { dropouts, ..written })
    }

    /// Adds the losses over `descriptors [images, h, w, channels]` (with `channels`) and the gradients of what `graph`, begun as `training` in
    /// `folder`, has declared for trained, and writes it.
    ///
    /// # Errors
    /// As [`TrainingGraph::write`].
    pub fn over(
        mut graph: GraphBuilder,
        folder: &Path,
        (descriptors, channels): (&str, usize),
        grid: Grid,
        losses: &Losses,
        classes: usize,
    ) -> Result<TrainingGraph, Error> {
        let extent = grid.height.max(grid.width);
        let emitted = loss::emit(&mut graph, descriptors, channels, extent, losses, classes)?;
        let parameters = graph.parameters().to_vec();
        let names: Vec<String> = parameters.iter().map(|(name, _)| name.clone()).collect();
        let found = gradients(&mut graph, &emitted.loss, &names)?;
        for ((name, tensor), gradient) in parameters.iter().zip(found) {
            let axes: Vec<String> = (0..tensor.shape.len()).map(|axis| format!("axis_{axis}")).collect();
            let dims: Vec<(&str, i64)> =
                axes.iter().map(String::as_str).zip(tensor.shape.iter().map(|size| *size as i64)).collect();
            graph.output(gradient, &gradient_name(name), data_type::FLOAT, &dims);
        }
        graph.output(emitted.loss, "loss", data_type::FLOAT, &[]);
        let mut parts = Vec::with_capacity(emitted.parts.len());
        for (name, value) in emitted.parts {
            graph.output(value, &part_name(name), data_type::FLOAT, &[]);
            parts.push(name);
        }
        graph.finish()?;
        Ok(TrainingGraph { path: folder.join("training.onnx"), parameters, losses: parts, dropouts: Vec::new() })
    }
}
