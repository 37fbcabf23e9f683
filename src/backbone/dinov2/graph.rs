//! The two graphs of a DINOv2 bundle: image to tokens, tokens to descriptors.

use super::{Config, EPSILON, position};
use crate::{
    Error, Weights,
    emit::Stream,
    onnx::{Attribute, GraphBuilder, Value},
    tokens,
};
use homolog_core::bundle::Feature;

/// Emits `image [batch, 3, height, width]` → `tokens [batch, prefix + h·w, width]` after the first `split` blocks.
///
/// # Errors
/// Whatever reading a weight or writing the files meets.
pub fn backbone(graph: &mut GraphBuilder, weights: &Weights, config: &Config, split: usize) -> Result<(), Error> {
    let tokens = embed(graph, weights, config)?;
    let mut stream = Stream::enter(graph, weights, &tokens, config.width, config.heads, EPSILON);
    for block in 0..split {
        stream.block(block)?;
    }
    let tokens = stream.leave();
    tokens::output(graph, tokens, config.width);
    Ok(())
}

/// Emits `tokens [batch, prefix + h·w, width]` and `grid [2]` (h, w) → descriptors `[batch, h, w, width]`, which it returns:
/// the remaining blocks and, for [`Feature::PostNorm`], the final norm; CLS and registers left out.
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
    let inputs = tokens::head_inputs(graph, config.width);
    tail(graph, weights, config, split, feature, &inputs)
}

/// Emits `image [batch, 3, height, width]` and `grid [2]` (h, w) → descriptors `[batch, h, w, width]`: both graphs as one, to be
/// trained as one.
///
/// # Errors
/// Whatever reading a weight or writing the files meets.
pub fn whole(graph: &mut GraphBuilder, weights: &Weights, config: &Config, feature: Feature) -> Result<Value, Error> {
    let tokens = embed(graph, weights, config)?;
    let inputs = tokens::HeadInputs { tokens, grid: tokens::grid(graph) };
    tail(graph, weights, config, 0, feature, &inputs)
}

/// Blocks from `first` on, and what makes descriptors of their tokens.
fn tail(
    graph: &mut GraphBuilder,
    weights: &Weights,
    config: &Config,
    first: usize,
    feature: Feature,
    inputs: &tokens::HeadInputs,
) -> Result<Value, Error> {
    let mut stream = Stream::enter(graph, weights, &inputs.tokens, config.width, config.heads, EPSILON);
    for block in first..config.depth {
        stream.block(block)?;
    }
    let all = if feature == Feature::PostNorm { stream.leave_normed("norm")? } else { stream.leave() };
    Ok(tokens::descriptors(graph, &all, inputs, config.prefix(), config.width))
}

/// Patch embedding, position embedding, CLS and registers: `[batch, prefix + h·w, width]`.
fn embed(graph: &mut GraphBuilder, weights: &Weights, config: &Config) -> Result<Value, Error> {
    let patches = tokens::patches(graph, weights, config.patch, config.width)?;
    let positions = position::interpolated(graph, weights, config, &patches.h, &patches.w)?;
    let placed = graph.node("Add", &[&patches.tokens, &positions], &[]);

    if graph.trains(position::NAME) {
        return trained_prefix(graph, weights, config, &placed, &patches.batch);
    }
    // CLS takes position 0; registers come after the position embedding and have none.
    let positions = weights.get("pos_embed")?;
    let cls = weights.get("cls_token")?;
    let mut prefix: Vec<f32> = cls.data.iter().zip(&positions.data).map(|(token, position)| token + position).collect();
    if config.registers > 0 {
        prefix.extend(weights.get("register_tokens")?.data);
    }
    tokens::with_prefix(graph, prefix, config.width, &placed, &patches.batch)
}

/// CLS with its position, and registers, as trained tensors before the patches.
fn trained_prefix(
    graph: &mut GraphBuilder,
    weights: &Weights,
    config: &Config,
    patches: &str,
    batch: &str,
) -> Result<Value, Error> {
    let positions = graph.weight(position::NAME, &weights.get(position::NAME)?)?;
    let cls = graph.weight("cls_token", &weights.get("cls_token")?)?;
    let (start, end, axis) = (graph.ints(&[0]), graph.ints(&[1]), graph.ints(&[1]));
    let first = graph.node("Slice", &[&positions, &start, &end, &axis], &[]);
    let mut prefix = graph.aligned("Add", &[&cls, &first]);
    if config.registers > 0 {
        let registers = graph.weight("register_tokens", &weights.get("register_tokens")?)?;
        prefix = graph.node("Concat", &[&prefix, &registers], &[Attribute::Int("axis", 1)]);
    }
    Ok(tokens::before(graph, &prefix, [config.prefix(), config.width], patches, batch))
}
