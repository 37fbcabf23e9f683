//! The two graphs of a DINOv3 bundle: image to tokens, tokens to descriptors.

use super::{Config, EPSILON, rope};
use crate::{
    Error, Weights,
    emit::Stream,
    onnx::{GraphBuilder, Value},
    tokens,
};
use homolog_core::bundle::Feature;

/// Emits `image [batch, 3, height, width]` → `tokens [batch, prefix + h·w, width]` after the first `split` blocks.
///
/// # Errors
/// Whatever reading a weight or writing the files meets.
pub fn backbone(graph: &mut GraphBuilder, weights: &Weights, config: &Config, split: usize) -> Result<(), Error> {
    let patches = tokens::patches(graph, weights, config.patch, config.width)?;
    let mut prefix = weights.get("cls_token")?.data;
    prefix.extend(weights.get("storage_tokens")?.data);
    let tokens = tokens::with_prefix(graph, prefix, config.width, &patches.tokens, &patches.batch)?;
    let rotary = rope::rotary(graph, weights, config, &patches.h, &patches.w)?;
    let mut stream = Stream::enter(graph, weights, &tokens, config.width, config.heads, EPSILON);
    stream.rotary = Some(rotary);
    for block in 0..split {
        stream.block(block)?;
    }
    let tokens = stream.leave();
    tokens::output(graph, tokens, config.width);
    Ok(())
}

/// Emits `tokens [batch, prefix + h·w, width]` and `grid [2]` (h, w) → `descriptors [batch, h, w, width]`: the remaining
/// blocks and, for [`Feature::PostNorm`], the final norm; CLS and storage tokens left out.
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
    let mut side = |axis| {
        let axis = graph.ints(&[axis]);
        graph.node("Gather", &[&inputs.grid, &axis], &[])
    };
    let (h, w) = (side(0), side(1));
    let rotary = rope::rotary(graph, weights, config, &h, &w)?;
    let mut stream = Stream::enter(graph, weights, &inputs.tokens, config.width, config.heads, EPSILON);
    stream.rotary = Some(rotary);
    for block in split..config.depth {
        stream.block(block)?;
    }
    let all = if feature == Feature::PostNorm { stream.leave_normed("norm")? } else { stream.leave() };
    Ok(tokens::descriptors(graph, &all, &inputs, config.prefix(), config.width))
}
