//! The two graphs of a SAM bundle: image to tokens, tokens to descriptors.

use super::{Config, EPSILON, attention::Attention, position};
use crate::{
    Error, Weights,
    emit::{Stream, transposed},
    onnx::{Attribute, GraphBuilder, Value},
    tokens,
};
use homolog_core::bundle::Feature;
use std::ops::Range;

/// Emits `image [batch, 3, height, width]` → `tokens [batch, h·w, width]` after the first `split` blocks.
///
/// # Errors
/// Whatever reading a weight or writing the files meets.
pub fn backbone(graph: &mut GraphBuilder, weights: &Weights, config: &Config, split: usize) -> Result<(), Error> {
    let tokens::Patches { tokens, batch, h, w } = tokens::patches(graph, weights, config.patch, config.width)?;
    let positions = position::absolute(graph, weights, config, &h, &w)?;
    let tokens = graph.node("Add", &[&tokens, &positions], &[]);
    let stream = blocks(graph, weights, config, &tokens, 0..split, [batch, h, w])?;
    let tokens = stream.leave();
    tokens::output(graph, tokens, config.width);
    Ok(())
}

/// Emits `tokens [batch, h·w, width]` and `grid [2]` (h, w) → `descriptors [batch, h, w, channels]`: the remaining blocks, whose
/// last output is [`Feature::PreNorm`] (SAM has no final norm), and for [`Feature::Neck`] the neck, with its own channels.
///
/// # Errors
/// Whatever reading a weight or writing the files meets.
pub fn head(
    graph: &mut GraphBuilder,
    weights: &Weights,
    config: &Config,
    split: usize,
    feature: Feature,
) -> Result<Value, Error> {
    let tokens::HeadInputs { tokens, grid } = tokens::head_inputs(graph, config.width);
    let (h, w) = (graph.ints(&[0]), graph.ints(&[1]));
    let [h, w] = [h, w].map(|axis| graph.node("Gather", &[&grid, &axis], &[]));
    let batch = size(graph, &tokens, 0);
    let stream = blocks(graph, weights, config, &tokens, split..config.depth, [batch.clone(), h, w])?;
    let all = stream.leave();
    let (features, channels) = match feature {
        Feature::Neck => (neck(graph, weights, config, &all, &batch, &grid)?, config.neck),
        Feature::PreNorm | Feature::PostNorm => (all, config.width),
    };
    let channels = channels as i64;
    let rest = graph.ints(&[channels]);
    let shape = graph.node("Concat", &[&batch, &grid, &rest], &[Attribute::Int("axis", 0)]);
    Ok(graph.node("Reshape", &[&features, &shape], &[]))
}

/// Runs some of the blocks over `tokens`; `size` is batch, h and w, each a `[1]` tensor.
fn blocks<'g, 'w>(
    graph: &'g mut GraphBuilder,
    weights: &'g Weights<'w>,
    config: &Config,
    tokens: &str,
    blocks: Range<usize>,
    size: [Value; 3],
) -> Result<Stream<'g, 'w>, Error> {
    let attention = Attention::new(graph, config, blocks.clone(), size)?;
    let mut stream = Stream::enter(graph, weights, tokens, config.width, config.heads, EPSILON);
    for block in blocks {
        let name = |part: &str| format!("blocks.{block}.{part}");
        let normed = stream.norm(&name("norm1"))?;
        let branch = attention.block(&mut stream, block, &normed)?;
        stream.add(branch);
        let normed = stream.norm(&name("norm2"))?;
        let hidden = stream.linear(&name("mlp.lin1"), &normed, None)?;
        let hidden = stream.graph.node("Gelu", &[&hidden], &[]);
        let branch = stream.linear(&name("mlp.lin2"), &hidden, None)?;
        stream.add(branch);
    }
    Ok(stream)
}

/// `tokens [batch, h·w, width]` → `[batch, h·w, neck]`: a 1×1 and a 3×3 convolution without biases, each followed by a norm over
/// the channels of a place (`LayerNorm2d`).
fn neck(
    graph: &mut GraphBuilder,
    weights: &Weights,
    config: &Config,
    tokens: &str,
    batch: &str,
    grid: &str,
) -> Result<Value, Error> {
    let (first, second) = (weights.get("neck.0.weight")?, weights.get("neck.2.weight")?);
    let second = graph.weight("neck.2.weight", &second)?;
    // A 1×1 convolution is a product at every place.
    let x = if graph.trained().is_some() {
        let first = graph.weight("neck.0.weight", &first)?;
        let (matrix, rows) = (graph.ints(&[0, -1]), graph.ints(&[-1, config.width as i64]));
        let first = graph.node("Reshape", &[&first, &matrix], &[]);
        let rows = graph.node("Reshape", &[tokens, &rows], &[]);
        let x = graph.node("Gemm", &[&rows, &first], &[Attribute::Int("transB", 1)]);
        let rest = graph.ints(&[-1, config.neck as i64]);
        let shape = graph.node("Concat", &[batch, &rest], &[Attribute::Int("axis", 0)]);
        graph.node("Reshape", &[&x, &shape], &[])
    } else {
        let first = graph.weight("neck.0.weight", &transposed(&first))?;
        graph.node("MatMul", &[tokens, &first], &[])
    };
    let x = norm(graph, weights, "neck.1", &x)?;

    let channels = graph.ints(&[config.neck as i64]);
    let planes = graph.node("Concat", &[batch, &channels, grid], &[Attribute::Int("axis", 0)]);
    let x = graph.node("Transpose", &[&x], &[Attribute::Ints("perm", &[0, 2, 1])]);
    let x = graph.node("Reshape", &[&x, &planes], &[]);
    let attributes = [Attribute::Ints("kernel_shape", &[3, 3]), Attribute::Ints("pads", &[1, 1, 1, 1])];
    let x = graph.node("Conv", &[&x, &second], &attributes);
    let x = graph.node("Transpose", &[&x], &[Attribute::Ints("perm", &[0, 2, 3, 1])]);
    norm(graph, weights, "neck.3", &x)
}

/// LayerNorm over the last axis.
fn norm(graph: &mut GraphBuilder, weights: &Weights, name: &str, x: &str) -> Result<Value, Error> {
    let gamma = format!("{name}.weight");
    let gamma = graph.weight(&gamma, &weights.get(&gamma)?)?;
    let beta = format!("{name}.bias");
    let beta = graph.weight(&beta, &weights.get(&beta)?)?;
    Ok(graph.node("LayerNormalization", &[x, &gamma, &beta], &[Attribute::Float("epsilon", EPSILON)]))
}

/// A size of a tensor, as a `[1]` tensor.
fn size(graph: &mut GraphBuilder, tensor: &str, axis: i64) -> Value {
    graph.node("Shape", &[tensor], &[Attribute::Int("start", axis), Attribute::Int("end", axis + 1)])
}
