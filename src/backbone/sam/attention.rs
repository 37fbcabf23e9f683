//! Attention with decomposed relative positions: the similarity of query q at (r, c) and key k at (r', c') is
//! `q·k / √d + q·Rh[r − r'] + q·Rw[c − c']`, with unscaled q in the last two (`add_decomposed_rel_pos`).
//!
//! The bias of the whole grid would be a matrix of heads × tokens × tokens, 805 MB at 64×64 tokens and 12 heads. It is never made.
//! Within windows it becomes part of the product: with `q' = [q, rel_h(q), rel_w(q)]` and `k' = [k, hot(r'), hot(c')]`, the fused
//! attention runs as if there were no bias. In global blocks that triples the product's width, and a loop over rows of
//! queries, each with its own bias, is never much slower: on AVX2 it took 1.2 s against 1.6 at 64×64, with AVX-512 as long within a
//! few percent. The whole matrix is no faster, and takes seven times the memory (`make bench` measures all three). A loop is not
//! differentiated: where something is trained, global blocks have the widened product as well.

use super::{
    Config,
    position::Axis,
    window::{self, Windows},
};
use crate::{
    Error,
    emit::Stream,
    onnx::{Attribute, GraphBuilder, Value},
};

/// Queries of a turn in global blocks: 50 MB of bias at 12 heads and 64×64 tokens. Half as many or twice as many are slower.
const QUERIES: i64 = 256;

/// What the attention of a graph's blocks shares.
pub(super) struct Attention<'a> {
    config: &'a Config,
    /// `[1]` tensors.
    batch: Value,
    h: Value,
    w: Value,
    /// Absent when no block of the graph needs it.
    windowed: Option<Windowed>,
    global: Option<Global>,
}

struct Windowed {
    windows: Windows,
    axis: Axis,
}

struct Global {
    h: Axis,
    w: Axis,
    /// `[batch, h · w, heads, h + w]` as [`Windows::hot`], where something is trained.
    hot: Option<Value>,
}

impl<'a> Attention<'a> {
    /// For `blocks` of a graph, a grid of `h` by `w` and `batch` images, each a `[1]` tensor.
    pub fn new(
        graph: &mut GraphBuilder,
        config: &'a Config,
        mut blocks: std::ops::Range<usize>,
        [batch, h, w]: [Value; 3],
    ) -> Result<Attention<'a>, Error> {
        let global = match blocks.clone().find(|block| config.is_global(*block)) {
            Some(block) => {
                let distances = config.distances(block);
                let hot = graph.trained().is_some().then(|| window::hot_over_grid(graph, config, [&batch, &h, &w]));
                Some(Global { h: Axis::of_grid(graph, &h, distances)?, w: Axis::of_grid(graph, &w, distances)?, hot })
            }
            None => None,
        };
        let windowed = if blocks.any(|block| !config.is_global(block)) {
            let windows = Windows::of_grid(graph, config, &batch, &h, &w)?;
            Some(Windowed { windows, axis: Axis::of_window(graph, config.window) })
        } else {
            None
        };
        Ok(Attention { config, windowed, global, batch, h, w })
    }

    /// The branch of a block: `normed [batch · tokens, width]` → the same shape.
    pub fn block(&self, stream: &mut Stream, block: usize, normed: &str) -> Result<Value, Error> {
        let name = format!("blocks.{block}.attn");
        let attended = match (&self.windowed, &self.global) {
            (_, Some(global)) if self.config.is_global(block) => self.global(stream, &name, normed, global)?,
            (Some(windowed), _) => self.windowed(stream, &name, normed, windowed)?,
            _ => {
                let reason = format!("block {block} is none of those that this graph was begun for");
                return Err(Error::Option { field: "network", reason });
            }
        };
        let rows = stream.graph.ints(&[-1, self.config.width as i64]);
        let attended = stream.graph.node("Reshape", &[&attended, &rows], &[]);
        stream.linear(&format!("{name}.proj"), &attended, None)
    }

    /// `[batch, tokens, width]`, within windows.
    fn windowed(&self, stream: &mut Stream, name: &str, normed: &str, shared: &Windowed) -> Result<Value, Error> {
        let Windowed { windows, axis } = shared;
        let (heads, d, side) = (self.config.heads as i64, self.config.head() as i64, self.config.window as i64);
        let (c, places) = (self.config.width as i64, side * side);

        // Padding is zero after the norm and takes part, as in the official code: its q, k and v are the bias.
        let tokens = stream.graph.node("Reshape", &[normed, &stream.shape], &[]);
        let tokens = stream.graph.node("Concat", &[&tokens, &windows.padding], &[Attribute::Int("axis", 1)]);
        let rows = stream.graph.ints(&[-1, c]);
        let tokens = stream.graph.node("Reshape", &[&tokens, &rows], &[]);
        let images = self.shape(stream.graph, &[&self.batch], &[-1, c]);
        let mut dealt = |part: &str| -> Result<Value, Error> {
            let all = stream.linear(&format!("{name}.{part}"), &tokens, None)?;
            let all = stream.graph.node("Reshape", &[&all, &images], &[]);
            let dealt = stream.graph.node("Gather", &[&all, &windows.partition], &[Attribute::Int("axis", 1)]);
            let shape = stream.graph.ints(&[-1, places, c]);
            Ok(stream.graph.node("Reshape", &[&dealt, &shape], &[]))
        };
        let (q, k, v) = (dealt("q")?, dealt("k")?, dealt("v")?);

        let table_h = axis.table(stream.graph, stream.weights, &format!("{name}.rel_pos_h"))?;
        let table_w = axis.table(stream.graph, stream.weights, &format!("{name}.rel_pos_w"))?;
        let graph = &mut *stream.graph;
        let biased = graph.ints(&[-1, places, heads, side]);
        let mut bias = |table: &str, shape: &[i64]| {
            let table = of_rank(graph, table, shape.len());
            let shape = graph.ints(shape);
            let q = graph.node("Reshape", &[&q, &shape], &[]);
            let bias = graph.node("MatMul", &[&q, &table], &[]);
            graph.node("Reshape", &[&bias, &biased], &[])
        };
        let rel_h = bias(&table_h, &[-1, side, side * heads, d]);
        let rel_w = bias(&table_w, &[-1, side, side, heads, d]);
        let attended = self.widened(graph, [&q, &k, &v], [&rel_h, &rel_w], &windows.hot);
        let attended = graph.node("Reshape", &[&attended, &images], &[]);
        Ok(graph.node("Gather", &[&attended, &windows.unpartition], &[Attribute::Int("axis", 1)]))
    }

    /// Attention of `q`, `k` and `v [n, places, width]` with `q' = [q, rel_h(q), rel_w(q)]` and `k' = [k, hot]`, whose last axes are
    /// `[n, places, heads, …]`.
    fn widened(&self, graph: &mut GraphBuilder, [q, k, v]: [&str; 3], [rel_h, rel_w]: [&str; 2], hot: &str) -> Value {
        let (heads, d) = (self.config.heads as i64, self.config.head() as i64);
        let (apart, together) = (graph.ints(&[0, 0, heads, d]), graph.ints(&[0, 0, -1]));
        let mut widened = |narrow: &str, more: &[&str]| {
            let narrow = graph.node("Reshape", &[narrow, &apart], &[]);
            let wide = graph.node("Concat", &[&[narrow.as_str()], more].concat(), &[Attribute::Int("axis", 3)]);
            graph.node("Reshape", &[&wide, &together], &[])
        };
        let (q, k) = (widened(q, &[rel_h, rel_w]), widened(k, &[hot]));
        let attributes = [Attribute::Int("num_heads", heads), Attribute::Float("scale", (d as f32).sqrt().recip())];
        graph.fused("MultiHeadAttention", &[&q, &k, v], &attributes)
    }

    /// `[batch, tokens, width]`, over the whole grid.
    fn global(&self, stream: &mut Stream, name: &str, normed: &str, shared: &Global) -> Result<Value, Error> {
        let (heads, d, c) = (self.config.heads as i64, self.config.head() as i64, self.config.width as i64);
        let mut projected = |part: &str| -> Result<Value, Error> {
            let flat = stream.linear(&format!("{name}.{part}"), normed, None)?;
            Ok(stream.graph.node("Reshape", &[&flat, &stream.shape], &[]))
        };
        let (q, k, v) = (projected("q")?, projected("k")?, projected("v")?);

        let table_h = shared.h.table(stream.graph, stream.weights, &format!("{name}.rel_pos_h"))?;
        let table_w = shared.w.table(stream.graph, stream.weights, &format!("{name}.rel_pos_w"))?;
        let graph = &mut *stream.graph;
        let by_row = self.shape(graph, &[&self.batch, &self.h], &[-1, d]);
        let by_column = self.shape(graph, &[&self.batch, &self.h, &self.w], &[heads, d]);
        if let Some(hot) = &shared.hot {
            let mut bias = |table: &str, shape: &str, n: &str, rank: usize| {
                let table = of_rank(graph, table, rank);
                let q = graph.node("Reshape", &[&q, shape], &[]);
                let bias = graph.node("MatMul", &[&q, &table], &[]);
                let rest = graph.ints(&[-1, heads]);
                let shape = graph.node("Concat", &[&self.batch, &rest, n], &[Attribute::Int("axis", 0)]);
                graph.node("Reshape", &[&bias, &shape], &[])
            };
            let (rel_h, rel_w) = (bias(&table_h, &by_row, &self.h, 4), bias(&table_w, &by_column, &self.w, 5));
            return Ok(self.widened(graph, [&q, &k, &v], [&rel_h, &rel_w], hot));
        }

        // The two parts of the bias, [batch, heads, tokens, h, 1] and [batch, heads, tokens, 1, w].
        let mut bias = |table: &str, shape: &str, n: &str, unit_axis: i64| {
            let q = graph.node("Reshape", &[&q, shape], &[]);
            let bias = graph.node("MatMul", &[&q, table], &[]);
            let rest = graph.ints(&[-1, heads]);
            let shape = graph.node("Concat", &[&self.batch, &rest, n], &[Attribute::Int("axis", 0)]);
            let bias = graph.node("Reshape", &[&bias, &shape], &[]);
            let bias = graph.node("Transpose", &[&bias], &[Attribute::Ints("perm", &[0, 2, 1, 3])]);
            let axis = graph.ints(&[unit_axis]);
            graph.node("Unsqueeze", &[&bias, &axis], &[])
        };
        let (rel_h, rel_w) = (bias(&table_h, &by_row, &self.h, 4), bias(&table_w, &by_column, &self.w, 3));

        // turns = ⌈tokens / queries⌉; the last turn repeats the last query where there are no more.
        let tokens = graph.node("Mul", &[&self.h, &self.w], &[]);
        let (most, one) = (graph.ints(&[QUERIES]), graph.ints(&[1]));
        let queries = graph.node("Min", &[&tokens, &most], &[]);
        let last = graph.node("Sub", &[&tokens, &one], &[]);
        let turns = graph.node("Div", &[&last, &queries], &[]);
        let turns = graph.node("Add", &[&turns, &one], &[]);
        let places = crate::resample::range(graph, &queries);
        let flat = graph.ints(&[0, 0, 0, -1]);
        let stacked = graph.repeat(&turns, |graph, turn| {
            let start = graph.node("Mul", &[turn, &queries], &[]);
            let index = graph.node("Add", &[&start, &places], &[]);
            let index = graph.node("Min", &[&index, &last], &[]);
            let q = graph.node("Gather", &[&q, &index], &[Attribute::Int("axis", 1)]);
            let rel_h = graph.node("Gather", &[&rel_h, &index], &[Attribute::Int("axis", 2)]);
            let rel_w = graph.node("Gather", &[&rel_w, &index], &[Attribute::Int("axis", 2)]);
            let bias = graph.node("Add", &[&rel_h, &rel_w], &[]);
            let bias = graph.node("Reshape", &[&bias, &flat], &[]);
            let attributes = [Attribute::Int("num_heads", heads)];
            Ok(graph.fused("MultiHeadAttention", &[&q, &k, &v, "", "", &bias], &attributes))
        })?;
        // [turns, batch, queries, width] → [batch, turns · queries, width] → without the repeated ones.
        let attended = graph.node("Transpose", &[&stacked], &[Attribute::Ints("perm", &[1, 0, 2, 3])]);
        let images = self.shape(graph, &[&self.batch], &[-1, c]);
        let attended = graph.node("Reshape", &[&attended, &images], &[]);
        let start = graph.ints(&[0]);
        Ok(graph.node("Slice", &[&attended, &start, &tokens, &one], &[]))
    }

    /// A shape that begins with sizes known at run time.
    fn shape(&self, graph: &mut GraphBuilder, sizes: &[&str], rest: &[i64]) -> Value {
        let rest = graph.ints(rest);
        graph.node("Concat", &[sizes, &[rest.as_str()]].concat(), &[Attribute::Int("axis", 0)])
    }
}

/// `table [n, channels of a head, n]` with as many axes as what it is multiplied with, which the gradient asks for.
fn of_rank(graph: &mut GraphBuilder, table: &str, rank: usize) -> Value {
    if graph.trained().is_none() {
        return table.into();
    }
    let axes: Vec<i64> = (0..rank as i64 - 3).collect();
    let axes = graph.ints(&axes);
    graph.node("Unsqueeze", &[table, &axes], &[])
}
