//! The position embedding for any grid, computed inside the graph exactly as the official code computes it.
//!
//! Bicubic interpolation is linear and separable: with `A` of shape `[n, M]` holding, for each of n output cells, the weights of
//! the M learned ones, the embedding of an h×w grid is `A_h · P · A_wᵀ`. `A` follows from n by a few operators on small
//! tensors, so one graph serves every grid, on every provider, without a table per resolution and without `Resize`, whose
//! border rule with antialiasing differs from PyTorch's.

use super::Config;
use crate::{
    Error, Weights,
    checkpoint::Tensor,
    onnx::{Attribute, GraphBuilder, Value, proto::data_type},
};

/// The official code passes `scale_factor = (n + 0.1) / M`, and the resampling uses that factor, not n / M
/// (`interpolate_pos_encoding`; the register variants are made with `interpolate_offset=0.0`).
const OFFSET: f32 = 0.1;

/// Emits `[1, h · w, width]`: the patch part of the position embedding for a grid of `h` by `w` (each a `[1]` tensor).
pub(super) fn interpolated(
    graph: &mut GraphBuilder,
    weights: &Weights,
    config: &Config,
    h: &str,
    w: &str,
) -> Result<Value, Error> {
    let (m, c) = (config.position_grid, config.width);
    let embedding = weights.get("pos_embed")?;
    // Position 0 is that of the CLS token.
    let patches = Tensor::new(vec![m, m * c], embedding.data[c..].to_vec())?;
    let patches = graph.weight("pos_embed.patches", &patches)?;

    let side = graph.ints(&[m as i64]);
    let (h_same, w_same) = (graph.node("Equal", &[h, &side], &[]), graph.node("Equal", &[w, &side], &[]));
    let same = graph.node("And", &[&h_same, &w_same], &[]);
    let rows = axis_weights(graph, config, h, &same)?;
    let columns = axis_weights(graph, config, w, &same)?;

    // [h, M] · [M, M·C] → [h, M, C]; [w, M] · [h, M, C] → [h, w, C].
    let tall = graph.node("MatMul", &[&rows, &patches], &[]);
    let shape = graph.ints(&[-1, m as i64, c as i64]);
    let tall = graph.node("Reshape", &[&tall, &shape], &[]);
    let full = graph.node("MatMul", &[&columns, &tall], &[]);
    let shape = graph.ints(&[1, -1, c as i64]);
    Ok(graph.node("Reshape", &[&full, &shape], &[]))
}

/// `[n, M]`: the weights of the M learned positions in each of the n output cells. `same` is true where the grid is the
/// learned one: then the official code returns the embedding untouched, and the weights are the identity.
fn axis_weights(graph: &mut GraphBuilder, config: &Config, n: &str, same: &str) -> Result<Value, Error> {
    let m = config.position_grid;
    let to_float = Attribute::Int("to", i64::from(data_type::FLOAT));
    let size = graph.node("Cast", &[n], &[to_float]);
    let side = graph.float(m as f32);
    let half = graph.float(0.5);
    let (zero, one) = (graph.int(0), graph.int(1));
    let shape = graph.ints(&[]);
    let n_scalar = graph.node("Reshape", &[n, &shape], &[]);
    let cells = graph.node("Range", &[&zero, &n_scalar, &one], &[]);
    let to_float = Attribute::Int("to", i64::from(data_type::FLOAT));
    let cells = graph.node("Cast", &[&cells], &[to_float]);
    let centres = graph.node("Add", &[&cells, &half], &[]);

    if config.registers == 0 {
        // src = (i + 0.5) · M / (n + 0.1) − 0.5; taps beyond the border read the border (PyTorch's `upsample_bicubic2d`).
        let (none, offset) = (graph.float(0.0), graph.float(OFFSET));
        let offset = graph.node("Where", &[same, &none, &offset], &[]);
        let size = graph.node("Add", &[&size, &offset], &[]);
        let step = graph.node("Div", &[&side, &size], &[]);
        let source = graph.node("Mul", &[&centres, &step], &[]);
        let source = graph.node("Sub", &[&source, &half], &[]);
        // The four taps of a cell reach at most two places beyond either border.
        let taps: Vec<f32> = (-2..m as i64 + 2).map(|tap| tap as f32).collect();
        let clamped = Tensor::new(
            vec![taps.len(), m],
            taps.iter()
                .flat_map(|tap| (0..m).map(|place| f32::from(tap.clamp(0.0, m as f32 - 1.0) as usize == place)))
                .collect(),
        )?;
        let taps = graph.exact(&Tensor::new(vec![1, taps.len()], taps)?);
        let distances = distances(graph, &source, &taps);
        let weights = cubic(graph, &distances, -0.75);
        let clamped = graph.exact(&clamped);
        Ok(graph.node("MatMul", &[&weights, &clamped], &[]))
    } else {
        // Antialiased: centre = (i + 0.5) · M / n, kernel stretched by M / n when shrinking, the weights inside the image
        // brought to a sum of one (PyTorch's `_upsample_bicubic2d_aa`, whose a is Pillow's).
        let step = graph.node("Div", &[&side, &size], &[]);
        let source = graph.node("Mul", &[&centres, &step], &[]);
        let taps = graph.exact(&Tensor::new(vec![1, m], (0..m).map(|tap| tap as f32 + 0.5).collect())?);
        let distances = distances(graph, &source, &taps);
        let one = graph.float(1.0);
        let stretch = graph.node("Max", &[&step, &one], &[]);
        let distances = graph.node("Div", &[&distances, &stretch], &[]);
        let weights = cubic(graph, &distances, -0.5);
        let axes = graph.ints(&[1]);
        let sum = graph.node("ReduceSum", &[&weights, &axes], &[Attribute::Int("keepdims", 1)]);
        Ok(graph.node("Div", &[&weights, &sum], &[]))
    }
}

/// `|source[i] − taps[j]|`, `[n, taps]`.
fn distances(graph: &mut GraphBuilder, source: &str, taps: &str) -> Value {
    let axes = graph.ints(&[1]);
    let column = graph.node("Unsqueeze", &[source, &axes], &[]);
    let difference = graph.node("Sub", &[&column, taps], &[]);
    graph.node("Abs", &[&difference], &[])
}

/// Keys' cubic convolution kernel at distances `d ≥ 0`:
/// `((a+2)d − (a+3))d² + 1` up to 1, `((d − 5)d + 8)d·a − 4a` up to 2, and 0 beyond.
fn cubic(graph: &mut GraphBuilder, d: &str, a: f32) -> Value {
    let mut polynomial = |coefficients: [f32; 4]| {
        let mut value = graph.float(coefficients[0]);
        for coefficient in &coefficients[1..] {
            let scaled = graph.node("Mul", &[&value, d], &[]);
            let coefficient = graph.float(*coefficient);
            value = graph.node("Add", &[&scaled, &coefficient], &[]);
        }
        value
    };
    let near = polynomial([a + 2.0, -(a + 3.0), 0.0, 1.0]);
    let far = polynomial([a, -5.0 * a, 8.0 * a, -4.0 * a]);
    let (one, two, zero) = (graph.float(1.0), graph.float(2.0), graph.float(0.0));
    let is_near = graph.node("LessOrEqual", &[d, &one], &[]);
    let is_far = graph.node("Less", &[d, &two], &[]);
    let far = graph.node("Where", &[&is_far, &far, &zero], &[]);
    graph.node("Where", &[&is_near, &near, &far], &[])
}
