//! The position embedding for any grid, computed inside the graph exactly as the official code computes it: with `A` of shape
//! `[n, M]` holding the bicubic weights of an axis, the embedding of an h×w grid is `A_h · P · A_wᵀ`.

use super::Config;
use crate::{
    Error, Weights,
    checkpoint::Tensor,
    onnx::{GraphBuilder, Value},
    resample,
};

/// The official code passes `scale_factor = (n + 0.1) / M`, and the resampling uses that factor, not n / M
/// (`interpolate_pos_encoding`; the register variants are made with `interpolate_offset=0.0`).
const OFFSET: f32 = 0.1;
/// Of CLS and the patches of the learned grid, `[1, 1 + M², width]`.
pub(super) const NAME: &str = "pos_embed";

/// Emits `[1, h · w, width]`: the patch part of the position embedding for a grid of `h` by `w` (each a `[1]` tensor).
pub(super) fn interpolated(
    graph: &mut GraphBuilder,
    weights: &Weights,
    config: &Config,
    h: &str,
    w: &str,
) -> Result<Value, Error> {
    let (m, c) = (config.position_grid, config.width);
    let embedding = weights.get(NAME)?;
    // Position 0 is that of the CLS token.
    let patches = if graph.trains(NAME) {
        let all = graph.parameter(NAME, &embedding);
        let (start, end, axis) = (graph.ints(&[1]), graph.ints(&[i64::MAX]), graph.ints(&[1]));
        let patches = graph.node("Slice", &[&all, &start, &end, &axis], &[]);
        let square = graph.ints(&[m as i64, (m * c) as i64]);
        graph.node("Reshape", &[&patches, &square], &[])
    } else {
        let patches = Tensor::new(vec![m, m * c], embedding.data[c..].to_vec())?;
        graph.single_weight("pos_embed.patches", &patches)?
    };
    let (rows, columns) = if config.registers > 0 {
        (resample::bicubic_antialiased(graph, m, h)?, resample::bicubic_antialiased(graph, m, w)?)
    } else {
        // On the learned grid the official code returns the embedding untouched.
        let side = graph.ints(&[m as i64]);
        let (h_same, w_same) = (graph.node("Equal", &[h, &side], &[]), graph.node("Equal", &[w, &side], &[]));
        let same = graph.node("And", &[&h_same, &w_same], &[]);
        let (none, offset) = (graph.float(0.0), graph.float(OFFSET));
        let offset = graph.node("Where", &[&same, &none, &offset], &[]);
        (resample::bicubic(graph, m, h, Some(&offset))?, resample::bicubic(graph, m, w, Some(&offset))?)
    };
    let positions = resample::resized(graph, &patches, m, c, &rows, &columns);
    Ok(graph.narrowed(&positions))
}
