//! The rotary positions for any grid, computed inside the graph as the official code computes them
//! (`dinov3/layers/rope_position_encoding.py`, `normalize_coords="separate"`, no augmentation), in fp32 at any precision
//! and rounded to the network's own at the end.

use super::Config;
use crate::{
    Error, Weights,
    checkpoint::Tensor,
    emit::Rotary,
    onnx::{Attribute, GraphBuilder, Value, proto::data_type},
};
use half::bf16;
use std::f32::consts::TAU;

/// The largest period over the smallest, `pos_embed_rope_base`.
const BASE: f32 = 100.0;

/// Emits the tables for a grid of `h` by `w` (each a `[1]` tensor), `[prefix + h · w, width / heads / 2]`. The angles of the
/// patch in row i and column j are `2π · (2 · (i + 0.5) / h − 1) / period`, for every period, and then the same of its
/// column; CLS and storage tokens have no position and are not turned.
pub(super) fn rotary(
    graph: &mut GraphBuilder,
    weights: &Weights,
    config: &Config,
    h: &str,
    w: &str,
) -> Result<Rotary, Error> {
    let periods = Tensor::new(vec![1, config.periods()], periods(weights, config)?)?;
    let periods = graph.exact(&periods);
    let channels = graph.ints(&[config.periods() as i64]);
    let grid = graph.node("Concat", &[h, w, &channels], &[Attribute::Int("axis", 0)]);
    let mut over_grid = |n: &str, other_axis: i64| {
        let angles = angles(graph, n, &periods);
        let other = graph.ints(&[other_axis]);
        let angles = graph.node("Unsqueeze", &[&angles, &other], &[]);
        graph.node("Expand", &[&angles, &grid], &[])
    };
    let (rows, columns) = (over_grid(h, 1), over_grid(w, 0));
    let angles = graph.node("Concat", &[&rows, &columns], &[Attribute::Int("axis", 2)]);
    let pairs = 2 * config.periods();
    let flat = graph.ints(&[-1, pairs as i64]);
    let angles = graph.node("Reshape", &[&angles, &flat], &[]);
    let mut table = |op: &str, unturned: f32| -> Result<Value, Error> {
        let patches = graph.node(op, &[&angles], &[]);
        let prefix = Tensor::new(vec![config.prefix(), pairs], vec![unturned; config.prefix() * pairs])?;
        let prefix = graph.exact(&prefix);
        let table = graph.node("Concat", &[&prefix, &patches], &[Attribute::Int("axis", 0)]);
        Ok(graph.narrowed(&table))
    };
    Ok(Rotary { cos: table("Cos", 1.0)?, sin: table("Sin", 0.0)? })
}

/// `[n, periods]`: angles of the n cells of an axis, in the official code's order of operations.
fn angles(graph: &mut GraphBuilder, n: &str, periods: &str) -> Value {
    let to_float = || [Attribute::Int("to", i64::from(data_type::FLOAT))];
    let (zero, one, scalar, column) = (graph.int(0), graph.int(1), graph.ints(&[]), graph.ints(&[1]));
    let count = graph.node("Reshape", &[n, &scalar], &[]);
    let cells = graph.node("Range", &[&zero, &count, &one], &[]);
    let mut value = graph.node("Cast", &[&cells], &to_float());
    let size = graph.node("Cast", &[n], &to_float());
    let (half, two, whole, turn) = (graph.float(0.5), graph.float(2.0), graph.float(1.0), graph.float(TAU));
    for (op, operand) in [("Add", &half), ("Div", &size), ("Mul", &two), ("Sub", &whole), ("Mul", &turn)] {
        value = graph.node(op, &[&value, operand], &[]);
    }
    let value = graph.node("Unsqueeze", &[&value, &column], &[]);
    graph.node("Div", &[&value, periods], &[])
}

/// The periods: the checkpoint's own buffer, which the official code loads over its fp32 one, or `100^(i / periods)` as
/// bfloat16 has it.
///
/// The networks were trained with bfloat16 periods, and the original release's files keep them so. Hugging Face's files leave
/// them out, and transformers computes them anew in fp32; the weights are the same, so here the network is, too.
fn periods(weights: &Weights, config: &Config) -> Result<Vec<f32>, Error> {
    const NAME: &str = "rope_embed.periods";
    let count = config.periods();
    if !weights.has(NAME) {
        let rounded = |value| bf16::from_f32(value).to_f32();
        return Ok((0..count).map(|i| rounded(BASE.powf(rounded(i as f32 / count as f32)))).collect());
    }
    let periods = weights.get(NAME)?.data;
    match periods.iter().find(|period| !(period.is_finite() && **period > 0.0)) {
        Some(period) => {
            let reason = format!("{period} is no period: they are finite and above zero");
            Err(Error::Tensor { name: NAME.into(), reason })
        }
        None => Ok(periods),
    }
}
