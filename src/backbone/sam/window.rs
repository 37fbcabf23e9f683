//! The cutting of the grid into windows, as lists of places computed from the grid at run time.

use super::Config;
use crate::{
    Error,
    checkpoint::Tensor,
    onnx::{Attribute, GraphBuilder, Value, proto::data_type},
    resample,
};

/// How the tokens of an image are dealt out to windows.
pub(super) struct Windows {
    /// `[windows · window²]`: the token at each place of each window, row by row; h · w, one beyond the last, for padding.
    pub partition: Value,
    /// `[h · w]`: the place of each token.
    pub unpartition: Value,
    /// `[batch, 1, width]` zeros: the padding, after the norm.
    pub padding: Value,
    /// `[batch · windows, window², heads, 2 · window]`: the row of each key and its column, one-hot, times the root of a head's
    /// channels, which the attention's scale takes away again.
    pub hot: Value,
}

impl Windows {
    /// For a grid of `h` by `w` and `batch` images, each a `[1]` tensor (`window_partition`, `window_unpartition`).
    pub fn of_grid(graph: &mut GraphBuilder, config: &Config, batch: &str, h: &str, w: &str) -> Result<Windows, Error> {
        let side = config.window as i64;
        let (one, less_one) = (graph.ints(&[side]), graph.ints(&[side - 1]));
        let mut count = |n: &str| {
            let n = graph.node("Add", &[n, &less_one], &[]);
            graph.node("Div", &[&n, &one], &[])
        };
        let (down, across) = (count(h), count(w));

        // A place is (window's row, window's column, row, column); its token lies at row · w + column, where there is one.
        let tokens = graph.node("Mul", &[h, w], &[]);
        let rows = coordinates(graph, &down, &one, &[-1, 1, side, 1]);
        let columns = coordinates(graph, &across, &one, &[1, -1, 1, side]);
        let inside_h = graph.node("Less", &[&rows, h], &[]);
        let inside_w = graph.node("Less", &[&columns, w], &[]);
        let inside = graph.node("And", &[&inside_h, &inside_w], &[]);
        let token = graph.node("Mul", &[&rows, w], &[]);
        let token = graph.node("Add", &[&token, &columns], &[]);
        let token = graph.node("Where", &[&inside, &token, &tokens], &[]);
        let flat = graph.ints(&[-1]);
        let partition = graph.node("Reshape", &[&token, &flat], &[]);

        // The other way: token (row, column) lies in window (row / side, column / side) at (row % side, column % side).
        let (tall, wide) = (graph.ints(&[-1, 1]), graph.ints(&[1, -1]));
        let mut parts = |n: &str, shape: &str| {
            let places = resample::range(graph, n);
            let places = graph.node("Reshape", &[&places, shape], &[]);
            (graph.node("Div", &[&places, &one], &[]), graph.node("Mod", &[&places, &one], &[]))
        };
        let ((window_row, row), (window_column, column)) = (parts(h, &tall), parts(w, &wide));
        let mut place = window_row;
        for (factor, part) in [(&across, &window_column), (&one, &row), (&one, &column)] {
            place = graph.node("Mul", &[&place, factor], &[]);
            place = graph.node("Add", &[&place, part], &[]);
        }
        let unpartition = graph.node("Reshape", &[&place, &flat], &[]);

        let zeros = graph.exact(&Tensor::new(vec![1, 1, config.width], vec![0.0; config.width])?);
        let zeros = graph.narrowed(&zeros);
        let rest = graph.ints(&[1, config.width as i64]);
        let shape = graph.node("Concat", &[batch, &rest], &[Attribute::Int("axis", 0)]);
        let padding = graph.node("Expand", &[&zeros, &shape], &[]);

        let hot = graph.exact(&one_hot(config)?);
        let hot = graph.narrowed(&hot);
        let windows = graph.node("Mul", &[&down, &across], &[]);
        let windows = graph.node("Mul", &[batch, &windows], &[]);
        let rest = graph.ints(&[side * side, config.heads as i64, 2 * side]);
        let shape = graph.node("Concat", &[&windows, &rest], &[Attribute::Int("axis", 0)]);
        let hot = graph.node("Expand", &[&hot, &shape], &[]);
        Ok(Windows { partition, unpartition, padding, hot })
    }
}

/// `[batch, h · w, heads, h + w]`: [`Windows::hot`] for one window over a whole grid.
pub(super) fn hot_over_grid(graph: &mut GraphBuilder, config: &Config, [batch, h, w]: [&str; 3]) -> Value {
    let heads = graph.ints(&[config.heads as i64]);
    let root = graph.float((config.head() as f32).sqrt());
    let column = graph.ints(&[-1, 1]);
    let mut hot = |n: &str, spread: &[i64]| {
        let places = resample::range(graph, n);
        let keys = graph.node("Reshape", &[&places, &column], &[]);
        let hit = graph.node("Equal", &[&keys, &places], &[]);
        let hit = graph.node("Cast", &[&hit], &[Attribute::Int("to", i64::from(data_type::FLOAT))]);
        let hit = graph.node("Mul", &[&hit, &root], &[]);
        let axes = graph.ints(spread);
        let hit = graph.node("Unsqueeze", &[&hit, &axes], &[]);
        let shape = graph.node("Concat", &[batch, h, w, &heads, n], &[Attribute::Int("axis", 0)]);
        let hit = graph.node("Expand", &[&hit, &shape], &[]);
        let rest = graph.ints(&[-1, config.heads as i64]);
        let shape = graph.node("Concat", &[batch, &rest, n], &[Attribute::Int("axis", 0)]);
        graph.node("Reshape", &[&hit, &shape], &[])
    };
    // [h, h] → [1, h, 1, 1, h]; [w, w] → [1, 1, w, 1, w]
    let (rows, columns) = (hot(h, &[0, 2, 3]), hot(w, &[0, 1, 3]));
    graph.node("Concat", &[&rows, &columns], &[Attribute::Int("axis", 3)])
}

/// Coordinates of `count · side` places, in a shape of four axes.
fn coordinates(graph: &mut GraphBuilder, count: &str, side: &str, shape: &[i64]) -> Value {
    let size = graph.node("Mul", &[count, side], &[]);
    let range = resample::range(graph, &size);
    let shape = graph.ints(shape);
    graph.node("Reshape", &[&range, &shape], &[])
}

/// See [`Windows::hot`]: `[1, window², 1, 2 · window]`.
fn one_hot(config: &Config) -> Result<Tensor, Error> {
    let side = config.window;
    let root = (config.head() as f32).sqrt();
    let hot = |place: usize, at: usize| if place == at { root } else { 0.0 };
    let data = (0..side * side).flat_map(|key| {
        (0..2 * side).map(move |i| if i < side { hot(key / side, i) } else { hot(key % side, i - side) })
    });
    Tensor::new(vec![1, side * side, 1, 2 * side], data.collect())
}
