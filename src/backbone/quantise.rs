//! Products of 8-bit integers: weights with a scale for each output channel, rounded here; activations with a scale for each
//! token, rounded as they come (W8A8, dynamic by token).
//!
//! One scale for all tokens, as ONNX Runtime's `DynamicQuantizeMatMul` has it, is at best a little faster, but then a token that
//! stands out takes all others their digits; `MatMulNBits`, which halves the error, takes more than twice the time (`make bench`).

use crate::{
    Error,
    checkpoint::Tensor,
    onnx::{GraphBuilder, Value, proto::data_type},
};

/// Largest weight. Not 127: without VNNI, ONNX Runtime adds two products of an unsigned and a signed byte in 16 bits, where
/// 2 · 255 · 64 has room and 2 · 255 · 127 is cut off.
const LARGEST_WEIGHT: f32 = 64.0;
/// Largest activation on either side of zero, which is byte 128.
const LARGEST_ACTIVATION: f32 = 127.0;
const ZERO: u8 = 128;
/// In place of the largest magnitude in a row of zeros, as SAM pads with.
const SMALLEST: f32 = 1e-12;

/// Activations `[rows, channels]` in 8 bits: `x ≈ (bytes − 128) / 127 · largest`.
#[derive(Clone, Debug)]
pub struct Quantised {
    /// `[rows, channels]`, unsigned.
    bytes: Value,
    /// `[rows, 1]`: the largest magnitude in each row.
    largest: Value,
}

impl Quantised {
    /// Emits the rounding of `x [rows, channels]`.
    pub fn of(graph: &mut GraphBuilder, x: &str) -> Quantised {
        let (axis, smallest) = (graph.ints(&[1]), graph.float(SMALLEST));
        // Two passes that write nothing, rather than one that writes all magnitudes.
        let highest = graph.node("ReduceMax", &[x, &axis], &[]);
        let lowest = graph.node("ReduceMin", &[x, &axis], &[]);
        let lowest = graph.node("Neg", &[&lowest], &[]);
        let largest = graph.node("Max", &[&highest, &lowest, &smallest], &[]);
        let unit = graph.node("Div", &[x, &largest], &[]);
        let (step, zero) = (graph.float(LARGEST_ACTIVATION.recip()), graph.byte(ZERO));
        let bytes = graph.node("QuantizeLinear", &[&unit, &step, &zero], &[]);
        Quantised { bytes, largest }
    }

    /// Emits `[rows, out]`, the product with `weight [channels, out]`, which is written in 8 bits under `name`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn product(&self, graph: &mut GraphBuilder, name: &str, weight: &Tensor) -> Result<Value, Error> {
        let (integers, scales) = columns(weight)?;
        let integers = graph.initializer(&format!("{name}.int8"), data_type::INT8, &weight.shape, integers)?;
        let scales = graph.single_weight(&format!("{name}.scale"), &scales)?;
        let (step, zero) = (graph.float(LARGEST_ACTIVATION.recip()), graph.byte(ZERO));
        let operands = [&self.bytes, &integers, &step, &scales, &zero].map(String::as_str);
        let product = graph.fused("MatMulIntegerToFloat", &operands, &[]);
        Ok(graph.node("Mul", &[&product, &self.largest], &[]))
    }
}

/// `weight [channels, out]` as bytes of integers from −64 to 64 and the scale of each column: `weight ≈ integers · scales`.
fn columns(weight: &Tensor) -> Result<(Vec<u8>, Tensor), Error> {
    let out = weight.shape.last().copied().unwrap_or(1).max(1);
    let mut scales = vec![0.0f32; out];
    for row in weight.data.chunks_exact(out) {
        for (scale, value) in scales.iter_mut().zip(row) {
            *scale = scale.max(value.abs() / LARGEST_WEIGHT);
        }
    }
    // A column of zeros stays one by any scale.
    scales.iter_mut().filter(|scale| **scale == 0.0).for_each(|scale| *scale = 1.0);
    let round = |(value, scale): (&f32, &f32)| ((value / scale).round() as i8).cast_unsigned();
    let integers = weight.data.chunks_exact(out).flat_map(|row| row.iter().zip(&scales).map(round)).collect();
    Ok((integers, Tensor::new(vec![out], scales)?))
}
