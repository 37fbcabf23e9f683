//! Every token to the prototype of its class.

use super::{PROTOTYPES, Pairs, input};
use homolog_adapt::data::random;
use homolog_backbone::{
    Error,
    checkpoint::Tensor,
    onnx::{Attribute, Value, proto::data_type},
};
use rand::RngExt;

/// `−log softmax(cosines with all prototypes / τ)` at the class of each token: a cross entropy of normalised descriptors and
/// learned, normalised class vectors (Zhai and Wu, "Classification is a Strong Baseline for Deep Metric Learning", 2019, §3.1).
/// Unlike the losses of pairs it says something about every token, and does not rest where all descriptors are alike.
pub(super) fn emit(pairs: &mut Pairs, descriptors: &str, classes: usize, temperature: f32) -> Result<Value, Error> {
    if classes < 2 {
        return Err(Error::Option {
            field: "losses.prototypes",
            reason: "the data say nothing of tokens' classes: only rendered pictures do".into(),
        });
    }
    let channels = pairs.channels as usize;
    let flat = pairs.graph.ints(&[-1, pairs.channels]);
    let tokens = pairs.graph.node("Reshape", &[descriptors, &flat], &[]);
    let tokens = pairs.unit(&tokens);
    let first = first(classes, channels);
    let prototypes = pairs.graph.parameter(PROTOTYPES, &Tensor::new(vec![classes, channels], first)?);
    let prototypes = pairs.unit(&prototypes);
    let cosines = pairs.graph.node("Gemm", &[&tokens, &prototypes], &[Attribute::Int("transB", 1)]);
    let logits = pairs.over(&cosines, temperature);
    let logarithms = pairs.graph.node("LogSoftmax", &[&logits], &[Attribute::Int("axis", -1)]);
    let [class, share] = [input::CLASS, input::SHARE].map(|name| {
        let axis = format!("{name}_tokens");
        pairs.graph.input(name, data_type::FLOAT, &[(&axis, -1), ("one", 1)])
    });
    let numbers = Tensor::new(vec![1, classes], (0..classes).map(|number| number as f32).collect())?;
    let numbers = pairs.graph.exact(&numbers);
    let right = pairs.graph.node("Equal", &[&class, &numbers], &[]);
    let right = pairs.graph.node("Cast", &[&right], &[Attribute::Int("to", data_type::FLOAT.into())]);
    let right = pairs.graph.aligned("Mul", &[&logarithms, &right]);
    let right = pairs.row_sum(&right);
    let weighted = pairs.graph.aligned("Mul", &[&right, &share]);
    let axes = pairs.graph.ints(&[0, 1]);
    let sum = pairs.graph.node("ReduceSum", &[&weighted, &axes], &[Attribute::Int("keepdims", 1)]);
    let scalar = pairs.graph.ints(&[]);
    let sum = pairs.graph.node("Reshape", &[&sum, &scalar], &[]);
    Ok(pairs.graph.node("Neg", &[&sum], &[]))
}

/// Directions that are spread over the sphere and the same in every run: they are moved from there.
fn first(classes: usize, channels: usize) -> Vec<f32> {
    let bound = (3.0 / channels as f32).sqrt();
    let mut draw = random::stream(PROTOTYPES, &[]);
    (0..classes * channels).map(|_| draw.random_range(-bound..bound)).collect()
}
