//! The absolute and the relative positions for any grid, computed in the graph from the learned tables.

use super::Config;
use crate::{
    Error, Weights,
    checkpoint::Tensor,
    onnx::{Attribute, GraphBuilder, Value},
    resample,
};

/// Emits `[1, h · w, width]`: the absolute position embedding for a grid of `h` by `w` (each a `[1]` tensor).
///
/// The official code knows the learned grid alone, where the embedding is taken as it is. For others this is
/// `interpolate(size=(h, w), mode="bicubic")` of the learned one, as in Probe3D (El Banani et al. 2024, `evals/models/sam.py`).
pub(super) fn absolute(
    graph: &mut GraphBuilder,
    weights: &Weights,
    config: &Config,
    h: &str,
    w: &str,
) -> Result<Value, Error> {
    let (m, c) = (config.position_grid, config.width);
    let table = Tensor::new(vec![m, m * c], weights.get("pos_embed")?.data)?;
    let table = graph.single_weight("pos_embed", &table)?;
    let (rows, columns) = (resample::bicubic(graph, m, h, None)?, resample::bicubic(graph, m, w, None)?);
    let positions = resample::resized(graph, &table, m, c, &rows, &columns);
    Ok(graph.narrowed(&positions))
}

/// What relative positions along one axis of `n` tokens need beside a block's table; blocks share it.
pub(super) struct Axis {
    /// `[n, n]`: the table's row for query i and key j, `i − j + n − 1`.
    index: Value,
    /// `[2n − 1, 2M − 1]`, by which a table learned on M tokens is resized; none where n is M whatever the grid.
    resize: Option<Value>,
}

impl Axis {
    /// An axis of `n` tokens, a `[1]` tensor known at run time, with tables of `distances` rows (`get_rel_pos`).
    pub fn of_grid(graph: &mut GraphBuilder, n: &str, distances: usize) -> Result<Axis, Error> {
        let (one, columns) = (graph.ints(&[1]), graph.ints(&[1]));
        let last = graph.node("Sub", &[n, &one], &[]);
        let size = graph.node("Add", &[n, &last], &[]);
        let resize = resample::linear(graph, distances, &size)?;
        let places = resample::range(graph, n);
        let queries = graph.node("Unsqueeze", &[&places, &columns], &[]);
        let difference = graph.node("Sub", &[&queries, &places], &[]);
        let index = graph.node("Add", &[&difference, &last], &[]);
        Ok(Axis { index, resize: Some(resize) })
    }

    /// An axis of a window: `n` tokens, as the tables were learned.
    pub fn of_window(graph: &mut GraphBuilder, n: usize) -> Axis {
        let n = n as i64;
        let index: Vec<i64> = (0..n).flat_map(|query| (0..n).map(move |key| query - key + n - 1)).collect();
        let (index, shape) = (graph.ints(&index), graph.ints(&[n, n]));
        Axis { index: graph.node("Reshape", &[&index, &shape], &[]), resize: None }
    }

    /// Emits `[n, channels of a head, n]`: for query i, what it is multiplied with to give its bias towards each key j.
    pub fn table(&self, graph: &mut GraphBuilder, weights: &Weights, name: &str) -> Result<Value, Error> {
        let mut table = graph.single_weight(name, &weights.get(name)?)?;
        if let Some(resize) = &self.resize {
            table = graph.node("MatMul", &[resize, &table], &[]);
        }
        let table = graph.narrowed(&table);
        let rows = graph.node("Gather", &[&table, &self.index], &[]);
        Ok(graph.node("Transpose", &[&rows], &[Attribute::Ints("perm", &[0, 2, 1])]))
    }
}
