//! Learned tables brought to another size inside the graph, exactly as PyTorch's `interpolate` does it.
//!
//! Interpolation is linear in the table: each function emits the `[n, m]` weights of the m learned places in each of n output
//! places, from n as it comes at run time. One graph then serves every size, on every provider, without a table per resolution
//! and without `Resize`, whose border rules differ from PyTorch's. At n = m the weights are the identity, to the bit.

use crate::{
    Error,
    checkpoint::Tensor,
    onnx::{Attribute, GraphBuilder, Value, proto::data_type},
};

/// Bicubic, a = −0.75, `align_corners=False`, not antialiased (`upsample_bicubic2d`): place i reads around
/// `(i + 0.5) · m / (n + offset) − 0.5`, and taps beyond the border read the border.
pub(crate) fn bicubic(graph: &mut GraphBuilder, m: usize, n: &str, offset: Option<&str>) -> Result<Value, Error> {
    let (cells, size) = (cells(graph, n), float(graph, n));
    let size = match offset {
        Some(offset) => graph.node("Add", &[&size, offset], &[]),
        None => size,
    };
    let source = source(graph, m, &cells, &size);
    // The four taps of a cell reach at most two places beyond either border.
    let taps: Vec<f32> = (-2..m as i64 + 2).map(|tap| tap as f32).collect();
    let clamped = taps
        .iter()
        .flat_map(|tap| (0..m).map(|place| f32::from(tap.clamp(0.0, m as f32 - 1.0) as usize == place)))
        .collect();
    let clamped = Tensor::new(vec![taps.len(), m], clamped)?;
    let distances = distances(graph, &source, taps)?;
    let weights = cubic(graph, &distances, -0.75);
    let clamped = graph.exact(&clamped);
    Ok(graph.node("MatMul", &[&weights, &clamped], &[]))
}

/// Bicubic, antialiased: the kernel around `(i + 0.5) · m / n`, stretched by m / n when shrinking, the weights inside the table
/// brought to a sum of one (`_upsample_bicubic2d_aa`, whose a = −0.5 is Pillow's).
pub(crate) fn bicubic_antialiased(graph: &mut GraphBuilder, m: usize, n: &str) -> Result<Value, Error> {
    let (cells, size) = (cells(graph, n), float(graph, n));
    let side = graph.float(m as f32);
    let step = graph.node("Div", &[&side, &size], &[]);
    let source = graph.node("Mul", &[&cells, &step], &[]);
    let distances = distances(graph, &source, (0..m).map(|tap| tap as f32 + 0.5).collect())?;
    let one = graph.float(1.0);
    let stretch = graph.node("Max", &[&step, &one], &[]);
    let distances = graph.node("Div", &[&distances, &stretch], &[]);
    let weights = cubic(graph, &distances, -0.5);
    let axes = graph.ints(&[1]);
    let sum = graph.node("ReduceSum", &[&weights, &axes], &[Attribute::Int("keepdims", 1)]);
    Ok(graph.node("Div", &[&weights, &sum], &[]))
}

/// Linear, `align_corners=False` (`upsample_linear1d`): between the two places beside `(i + 0.5) · m / n − 0.5`, which is kept
/// inside the table.
pub(crate) fn linear(graph: &mut GraphBuilder, m: usize, n: &str) -> Result<Value, Error> {
    let (cells, size) = (cells(graph, n), float(graph, n));
    let source = source(graph, m, &cells, &size);
    let (first, last) = (graph.float(0.0), graph.float(m as f32 - 1.0));
    let source = graph.node("Clip", &[&source, &first, &last], &[]);
    let distances = distances(graph, &source, (0..m).map(|tap| tap as f32).collect())?;
    let one = graph.float(1.0);
    let weights = graph.node("Sub", &[&one, &distances], &[]);
    Ok(graph.node("Relu", &[&weights], &[]))
}

/// `[1, h · w, c]` of a square table `[m, m · c]`, with the weights `[h, m]` of its rows and `[w, m]` of its columns.
pub(crate) fn resized(graph: &mut GraphBuilder, table: &str, m: usize, c: usize, rows: &str, columns: &str) -> Value {
    // [h, m] · [m, m·c] → [h, m, c]; [w, m] · [h, m, c] → [h, w, c].
    let tall = graph.node("MatMul", &[rows, table], &[]);
    let shape = graph.ints(&[-1, m as i64, c as i64]);
    let tall = graph.node("Reshape", &[&tall, &shape], &[]);
    let full = graph.node("MatMul", &[columns, &tall], &[]);
    let shape = graph.ints(&[1, -1, c as i64]);
    graph.node("Reshape", &[&full, &shape], &[])
}

/// `[n]` whole numbers from 0, of a `[1]` tensor n.
pub(crate) fn range(graph: &mut GraphBuilder, n: &str) -> Value {
    let (zero, one, shape) = (graph.int(0), graph.int(1), graph.ints(&[]));
    let n = graph.node("Reshape", &[n, &shape], &[]);
    graph.node("Range", &[&zero, &n, &one], &[])
}

/// `i + 0.5` for each of n places.
fn cells(graph: &mut GraphBuilder, n: &str) -> Value {
    let cells = range(graph, n);
    let cells = float(graph, &cells);
    let half = graph.float(0.5);
    graph.node("Add", &[&cells, &half], &[])
}

/// `cells · m / size − 0.5`.
fn source(graph: &mut GraphBuilder, m: usize, cells: &str, size: &str) -> Value {
    let (side, half) = (graph.float(m as f32), graph.float(0.5));
    let step = graph.node("Div", &[&side, size], &[]);
    let source = graph.node("Mul", &[cells, &step], &[]);
    graph.node("Sub", &[&source, &half], &[])
}

fn float(graph: &mut GraphBuilder, integer: &str) -> Value {
    graph.node("Cast", &[integer], &[Attribute::Int("to", i64::from(data_type::FLOAT))])
}

/// `|source[i] − taps[j]|`, `[n, taps]`.
fn distances(graph: &mut GraphBuilder, source: &str, taps: Vec<f32>) -> Result<Value, Error> {
    let taps = graph.exact(&Tensor::new(vec![1, taps.len()], taps)?);
    let axes = graph.ints(&[1]);
    let column = graph.node("Unsqueeze", &[source, &axes], &[]);
    let difference = graph.node("Sub", &[&column, &taps], &[]);
    Ok(graph.node("Abs", &[&difference], &[]))
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
