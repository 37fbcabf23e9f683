//! The two graphs of a DINOv2 bundle: image to tokens, tokens to descriptors.

use super::{Config, EPSILON, position};
use crate::{
    Error, Weights,
    checkpoint::Tensor,
    emit::Stream,
    onnx::{Attribute, GraphBuilder, Value, proto::data_type},
};
use homolog_core::bundle::Feature;

/// Emits `image [batch, 3, height, width]` → `tokens [batch, prefix + h·w, width]` after the first `split` blocks.
///
/// # Errors
/// Whatever reading a weight or writing the files meets.
pub fn backbone(graph: &mut GraphBuilder, weights: &Weights, config: &Config, split: usize) -> Result<(), Error> {
    let image =
        graph.input("image", data_type::FLOAT, &[("batch", -1), ("channels", 3), ("height", -1), ("width", -1)]);
    let tokens = embed(graph, weights, config, &image)?;
    let mut stream = Stream::enter(graph, weights, &tokens, config.width, config.heads, EPSILON);
    for block in 0..split {
        stream.block(block)?;
    }
    let tokens = stream.leave();
    graph.output(tokens, "tokens", &[("batch", -1), ("tokens", -1), ("width", config.width as i64)]);
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
    let width = config.width as i64;
    let tokens = graph.input("tokens", data_type::FLOAT, &[("batch", -1), ("tokens", -1), ("width", width)]);
    let grid = graph.input("grid", data_type::INT64, &[("axes", 2)]);
    let mut stream = Stream::enter(graph, weights, &tokens, config.width, config.heads, EPSILON);
    for block in split..config.depth {
        stream.block(block)?;
    }
    let all = match feature {
        Feature::PreNorm => stream.leave(),
        Feature::PostNorm => stream.leave_normed("norm")?,
    };
    let (start, end, axis) = (graph.ints(&[config.prefix() as i64]), graph.ints(&[i64::MAX]), graph.ints(&[1]));
    let patches = graph.node("Slice", &[&all, &start, &end, &axis], &[]);
    let batch = graph.node("Shape", &[&tokens], &[Attribute::Int("end", 1)]);
    let channels = graph.ints(&[width]);
    let shape = graph.node("Concat", &[&batch, &grid, &channels], &[Attribute::Int("axis", 0)]);
    Ok(graph.node("Reshape", &[&patches, &shape], &[]))
}

/// Patch embedding, position embedding, CLS and registers: `[batch, prefix + h·w, width]`.
fn embed(graph: &mut GraphBuilder, weights: &Weights, config: &Config, image: &str) -> Result<Value, Error> {
    let (c, patch) = (config.width, i64::from(config.patch));
    let kernel = graph.weight("patch_embed.proj.weight", &weights.get("patch_embed.proj.weight")?)?;
    let bias = graph.weight("patch_embed.proj.bias", &weights.get("patch_embed.proj.bias")?)?;
    let square = [patch, patch];
    let attributes = [Attribute::Ints("kernel_shape", &square), Attribute::Ints("strides", &square)];
    let patches = graph.node("Conv", &[image, &kernel, &bias], &attributes);
    let mut size =
        |start| graph.node("Shape", &[&patches], &[Attribute::Int("start", start), Attribute::Int("end", start + 1)]);
    let (batch, h, w) = (size(0), size(2), size(3));
    let flat = graph.ints(&[0, c as i64, -1]);
    let patches = graph.node("Reshape", &[&patches, &flat], &[]);
    let patches = graph.node("Transpose", &[&patches], &[Attribute::Ints("perm", &[0, 2, 1])]);

    let positions = position::interpolated(graph, weights, config, &h, &w)?;
    let patches = graph.node("Add", &[&patches, &positions], &[]);

    // CLS takes position 0; registers come after the position embedding and have none.
    let positions = weights.get("pos_embed")?;
    let cls = weights.get("cls_token")?;
    let mut prefix: Vec<f32> = cls.data.iter().zip(&positions.data).map(|(token, position)| token + position).collect();
    if config.registers > 0 {
        prefix.extend(weights.get("register_tokens")?.data);
    }
    let prefix = graph.weight("prefix_tokens", &Tensor::new(vec![1, config.prefix(), c], prefix)?)?;
    let rest = graph.ints(&[config.prefix() as i64, c as i64]);
    let shape = graph.node("Concat", &[&batch, &rest], &[Attribute::Int("axis", 0)]);
    let prefix = graph.node("Expand", &[&prefix, &shape], &[]);
    Ok(graph.node("Concat", &[&prefix, &patches], &[Attribute::Int("axis", 1)]))
}
