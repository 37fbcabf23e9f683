//! Pieces of graphs around the blocks, which ViTs share: image to patch tokens, tokens before the patches, tokens to descriptors.

use crate::{
    Error, Weights,
    checkpoint::Tensor,
    onnx::{Attribute, GraphBuilder, Value, proto::data_type},
};

/// The patches of an image.
pub(crate) struct Patches {
    /// `[batch, h · w, width]`.
    pub tokens: Value,
    /// Images, a `[1]` tensor like `h` and `w`.
    pub batch: Value,
    /// Rows of patches.
    pub h: Value,
    /// Columns of patches.
    pub w: Value,
}

/// Declares `image [batch, 3, height, width]` and emits its patches by `patch_embed.proj`.
pub(crate) fn patches(graph: &mut GraphBuilder, weights: &Weights, patch: u32, width: usize) -> Result<Patches, Error> {
    let image =
        graph.input("image", data_type::FLOAT, &[("batch", -1), ("channels", 3), ("height", -1), ("width", -1)]);
    let image = graph.narrowed(&image);
    let kernel = graph.weight("patch_embed.proj.weight", &weights.get("patch_embed.proj.weight")?)?;
    let bias = graph.weight("patch_embed.proj.bias", &weights.get("patch_embed.proj.bias")?)?;
    if graph.trained().is_some() {
        return Ok(unfolded(graph, &image, &kernel, &bias, i64::from(patch), width as i64));
    }
    let square = [i64::from(patch); 2];
    let attributes = [Attribute::Ints("kernel_shape", &square), Attribute::Ints("strides", &square)];
    let patches = graph.node("Conv", &[&image, &kernel, &bias], &attributes);
    let mut size =
        |start| graph.node("Shape", &[&patches], &[Attribute::Int("start", start), Attribute::Int("end", start + 1)]);
    let (batch, h, w) = (size(0), size(2), size(3));
    let flat = graph.ints(&[0, width as i64, -1]);
    let patches = graph.node("Reshape", &[&patches, &flat], &[]);
    let tokens = graph.node("Transpose", &[&patches], &[Attribute::Ints("perm", &[0, 2, 1])]);
    Ok(Patches { tokens, batch, h, w })
}

/// The same as one product of `[batch · h · w, 3 · patch²]`, whose gradient is a product as well.
fn unfolded(graph: &mut GraphBuilder, image: &str, kernel: &str, bias: &str, patch: i64, width: i64) -> Patches {
    let size = |graph: &mut GraphBuilder, axis| {
        graph.node("Shape", &[image], &[Attribute::Int("start", axis), Attribute::Int("end", axis + 1)])
    };
    let (batch, height, across) = (size(graph, 0), size(graph, 2), size(graph, 3));
    let (side, channels) = (graph.ints(&[patch]), graph.ints(&[3]));
    let (h, w) = (graph.node("Div", &[&height, &side], &[]), graph.node("Div", &[&across, &side], &[]));
    let shape = graph.node("Concat", &[&batch, &channels, &h, &side, &w, &side], &[Attribute::Int("axis", 0)]);
    let cut = graph.node("Reshape", &[image, &shape], &[]);
    let cut = graph.node("Transpose", &[&cut], &[Attribute::Ints("perm", &[0, 2, 4, 1, 3, 5])]);
    let rows = graph.ints(&[-1, 3 * patch * patch]);
    let cut = graph.node("Reshape", &[&cut, &rows], &[]);
    let kernel = graph.node("Reshape", &[kernel, &rows], &[]);
    let tokens = graph.node("Gemm", &[&cut, &kernel, bias], &[Attribute::Int("transB", 1)]);
    let (inner, last) = (graph.ints(&[-1]), graph.ints(&[width]));
    let shape = graph.node("Concat", &[&batch, &inner, &last], &[Attribute::Int("axis", 0)]);
    let tokens = graph.node("Reshape", &[&tokens, &shape], &[]);
    Patches { tokens, batch, h, w }
}

/// Puts constant tokens, rows of `width` values, before `patches` in every image: `[batch, prefix + h · w, width]`.
pub(crate) fn with_prefix(
    graph: &mut GraphBuilder,
    prefix: Vec<f32>,
    width: usize,
    patches: &str,
    batch: &str,
) -> Result<Value, Error> {
    let count = prefix.len() / width;
    let prefix = graph.weight("prefix_tokens", &Tensor::new(vec![1, count, width], prefix)?)?;
    Ok(before(graph, &prefix, [count, width], patches, batch))
}

/// Puts `prefix [1, count, width]` before `patches` in every image.
pub(crate) fn before(
    graph: &mut GraphBuilder,
    prefix: &str,
    [count, width]: [usize; 2],
    patches: &str,
    batch: &str,
) -> Value {
    let rest = graph.ints(&[count as i64, width as i64]);
    let shape = graph.node("Concat", &[batch, &rest], &[Attribute::Int("axis", 0)]);
    let prefix = graph.node("Expand", &[prefix, &shape], &[]);
    graph.node("Concat", &[&prefix, patches], &[Attribute::Int("axis", 1)])
}

/// Makes `tokens [batch, tokens, width]` the output of a backbone, in the network's own type.
pub(crate) fn output(graph: &mut GraphBuilder, tokens: Value, width: usize) {
    let dims = [("batch", -1), ("tokens", -1), ("width", width as i64)];
    graph.output(tokens, "tokens", graph.dtype(), &dims);
}

/// The inputs of a head.
pub(crate) struct HeadInputs {
    /// `[batch, prefix + h · w, width]`.
    pub tokens: Value,
    /// `[2]`: h, w.
    pub grid: Value,
}

/// Declares `tokens [batch, tokens, width]` and `grid [2]`.
pub(crate) fn head_inputs(graph: &mut GraphBuilder, width: usize) -> HeadInputs {
    let tokens = [("batch", -1), ("tokens", -1), ("width", width as i64)];
    let tokens = graph.input("tokens", graph.dtype(), &tokens);
    HeadInputs { tokens, grid: grid(graph) }
}

/// Declares `grid [2]`: h, w.
pub(crate) fn grid(graph: &mut GraphBuilder) -> Value {
    graph.input("grid", data_type::INT64, &[("axes", 2)])
}

/// Leaves the first `prefix` tokens of `all` out and makes `descriptors [batch, h, w, width]` an output.
pub(crate) fn descriptors(
    graph: &mut GraphBuilder,
    all: &str,
    inputs: &HeadInputs,
    prefix: usize,
    width: usize,
) -> Value {
    let (start, end, axis) = (graph.ints(&[prefix as i64]), graph.ints(&[i64::MAX]), graph.ints(&[1]));
    let patches = graph.node("Slice", &[all, &start, &end, &axis], &[]);
    let batch = graph.node("Shape", &[&inputs.tokens], &[Attribute::Int("end", 1)]);
    let channels = graph.ints(&[width as i64]);
    let shape = graph.node("Concat", &[&batch, &inputs.grid, &channels], &[Attribute::Int("axis", 0)]);
    graph.node("Reshape", &[&patches, &shape], &[])
}
