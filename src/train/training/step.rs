//! A training graph that is run: parameters and a batch in, loss and gradients out.

use super::{
    feed::{self, Fed},
    graph::{TrainingGraph, gradient_name, part_name},
};
use homolog_adapt::{Batch, Error, Gradients, Losses, Parameters};
use homolog_backbone::dropout_name;
use homolog_engine::ProviderChoice;
use ort::{
    session::{Session, SessionInputValue, SessionOutputs},
    value::{Tensor, TensorRef},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::borrow::Cow;

/// A loaded training graph.
pub struct Step {
    session: Session,
    graph: TrainingGraph,
    losses: Losses,
    /// Whether the graph begins with images rather than with tokens.
    from_image: bool,
    /// Pixels on a patch's side.
    patch: usize,
    /// The share of a low-rank product's inputs that is left out.
    dropout: f32,
}

impl Step {
    /// Loads a graph that was written with these losses; `threads` 0: as many as there are cores.
    ///
    /// # Errors
    /// [`homolog_engine::Error`] when it does not load.
    pub fn load(
        graph: TrainingGraph,
        losses: Losses,
        input: Input,
        dropout: f32,
        provider: ProviderChoice,
        threads: usize,
    ) -> Result<Step, homolog_engine::Error> {
        let session = homolog_engine::graph(&graph.path, provider, threads)?;
        let (from_image, patch) = match input {
            Input::Image { patch } => (true, patch),
            Input::Tokens => (false, 1),
        };
        Ok(Step { session, graph, losses, from_image, patch, dropout })
    }

    /// The graph that is run.
    pub fn graph(&self) -> &TrainingGraph {
        &self.graph
    }

    /// Loss and gradients of a batch. `seed` decides what is left out by dropout.
    ///
    /// # Errors
    /// [`Error::Compute`] with what ONNX Runtime says.
    pub fn run(&mut self, parameters: &Parameters, batch: &Batch, seed: u64) -> Result<Gradients, Error> {
        let Step { session, graph, losses, .. } = self;
        let tensors = feed::pairs(batch, losses)?;
        let each = batch.inputs.len() / batch.images.max(1);
        let (name, shape) = if self.from_image {
            let (height, width) = (batch.grid.height * self.patch, batch.grid.width * self.patch);
            ("image", vec![batch.images, 3, height, width])
        } else {
            let width = session_width(session).unwrap_or(1);
            ("tokens", vec![batch.images, each / width, width])
        };
        // One more for every image: what SAM pads its windows with (`dropout_name`).
        let rows = shape[0] * (shape[1] + 1);
        let mut inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = Vec::new();
        inputs.push(self::fed(name, &shape, &batch.inputs)?);
        let grid = Tensor::from_array(([2usize], vec![batch.grid.height as i64, batch.grid.width as i64]));
        inputs.push(("grid".into(), grid.map_err(compute)?.into()));
        for parameter in parameters.iter() {
            inputs.push(self::fed(&parameter.name, &parameter.shape, &parameter.data)?);
        }
        for (index, (module, channels)) in graph.dropouts.iter().enumerate() {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            random.set_stream(index as u64);
            let kept = (1.0 - self.dropout).recip();
            let mask = (0..rows * channels).map(|_| if random.random::<f32>() < self.dropout { 0.0 } else { kept });
            let mask = Tensor::from_array(([rows, *channels], mask.collect::<Vec<f32>>())).map_err(compute)?;
            inputs.push((dropout_name(module).into(), mask.into()));
        }
        for Fed { name, shape, data } in tensors {
            inputs.push((name.into(), Tensor::from_array((shape, data)).map_err(compute)?.into()));
        }
        let outputs = session.run(inputs).map_err(compute)?;
        let mut parts = Vec::with_capacity(graph.losses.len());
        for name in &graph.losses {
            parts.push((*name, scalar(&outputs, &part_name(name))?));
        }
        let loss = scalar(&outputs, "loss")?;
        let mut gradients = Vec::with_capacity(graph.parameters.len());
        for (name, _) in &graph.parameters {
            gradients.push(values(&outputs, &gradient_name(name))?.to_vec());
        }
        Ok(Gradients { loss, parts, gradients })
    }
}

/// What a training graph begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Images, of patches of so many pixels a side.
    Image {
        /// Pixels on a patch's side.
        patch: usize,
    },
    /// Tokens of the frozen blocks.
    Tokens,
}

/// Channels of a token, which the graph declares.
fn session_width(session: &Session) -> Option<usize> {
    let tokens = session.inputs().iter().find(|input| input.name() == "tokens")?;
    let width = *tokens.dtype().tensor_shape()?.last()?;
    usize::try_from(width).ok().filter(|width| *width > 0)
}

/// A tensor that stays where it is, as an input of this name.
pub(super) fn fed<'v>(
    name: &'v str,
    shape: &[usize],
    data: &'v [f32],
) -> Result<(Cow<'v, str>, SessionInputValue<'v>), Error> {
    Ok((name.into(), TensorRef::from_array_view((shape.to_vec(), data)).map_err(compute)?.into()))
}

pub(super) fn values<'o>(outputs: &'o SessionOutputs<'_>, name: &str) -> Result<&'o [f32], Error> {
    let output = outputs.get(name).ok_or_else(|| Error::Compute(format!("the graph has no output {name}").into()))?;
    Ok(output.try_extract_tensor::<f32>().map_err(compute)?.1)
}

fn scalar(outputs: &SessionOutputs<'_>, name: &str) -> Result<f64, Error> {
    Ok(values(outputs, name)?.first().copied().map_or(f64::NAN, f64::from))
}

pub(super) fn compute<T>(error: ort::Error<T>) -> Error {
    compute_text(&error)
}

pub(super) fn compute_text(error: &impl ToString) -> Error {
    Error::Compute(error.to_string().into())
}
