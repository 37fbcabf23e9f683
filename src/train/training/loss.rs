//! The losses, as a part of the training graph.
//!
//! All begin with descriptors `D [images, h, w, channels]` and pairs of points. The query of a point is read from the raw map of
//! its source by bilinear weights, and then brought to length one, as a match is made; so are the tokens of the target. One loss
//! is of tokens rather than of pairs: [`prototypes`].

mod prototypes;

use homolog_adapt::Losses;
use homolog_backbone::{
    Error,
    checkpoint::Tensor,
    onnx::{Attribute, GraphBuilder, Value, proto::data_type},
};

/// Added to a squared length before its root.
const NORM_EPSILON: f32 = 1e-12;
/// Added to a squared distance before its root, which has no slope at zero.
const DISTANCE_EPSILON: f32 = 1e-6;
/// The parameter of the contrastive loss: the logarithm of what cosines are multiplied with.
pub const LOGIT_SCALE: &str = "logit_scale";
/// The parameter of the loss over prototypes, `[classes, channels]`.
pub const PROTOTYPES: &str = "prototypes";

/// Whether a parameter is the losses' own: no descriptor depends on it.
pub fn owns(parameter: &str) -> bool {
    [LOGIT_SCALE, PROTOTYPES].contains(&parameter)
}

/// Names of the graph's inputs beside those of the network; P pairs of at most K points among I images, T tokens an image.
pub mod input {
    /// `[P, I]`: one at the source.
    pub const SOURCE: &str = "source";
    /// `[P, I]`: one at the target.
    pub const TARGET: &str = "target";
    /// `[P, K, T]`: bilinear weights of the points in the source.
    pub const QUERY: &str = "query";
    /// `[P, K, 1]`: a point's share of the loss, zero where there is none.
    pub const WEIGHT: &str = "weight";
    /// `[P, K, T]`: the Gaussian-smoothed truth of the cross entropy.
    pub const SMOOTHED: &str = "smoothed";
    /// `[P, K, 2]`: the truth in token units.
    pub const PLACE: &str = "place";
    /// `[1, T, 2]`: centres of the tokens.
    pub const CENTRES: &str = "centres";
    /// `[P, K, T]`: bilinear weights of the points in the target.
    pub const ANSWER: &str = "answer";
    /// `[P, 1, K]`: far below zero where there is no point.
    pub const MASK: &str = "mask";
    /// `[P, K, K]`: the points' shares on the diagonal.
    pub const DIAGONAL: &str = "diagonal";
    /// `[I · T, 1]`: the class of each token.
    pub const CLASS: &str = "class";
    /// `[I · T, 1]`: a token's share of the loss, zero where its class is not known.
    pub const SHARE: &str = "share";
}

/// What the losses come to: `loss` and each that has a weight, by its name.
pub(super) struct Emitted {
    pub loss: Value,
    pub parts: Vec<(&'static str, Value)>,
}

/// Emits the losses that have a weight. `extent` is the longer side of the grid, in tokens; `classes` those of the labels.
pub(super) fn emit(
    graph: &mut GraphBuilder,
    descriptors: &str,
    channels: usize,
    extent: usize,
    losses: &Losses,
    classes: usize,
) -> Result<Emitted, Error> {
    let mut pairs = Pairs::new(graph, descriptors, channels);
    let mut parts = Vec::new();
    if losses.cross_entropy > 0.0 {
        parts.push(("cross_entropy", pairs.cross_entropy(losses.temperature), losses.cross_entropy));
    }
    if losses.soft_argmax > 0.0 {
        let loss = pairs.soft_argmax(losses.soft_argmax_temperature, extent);
        parts.push(("soft_argmax", loss, losses.soft_argmax));
    }
    if losses.contrastive > 0.0 {
        parts.push(("contrastive", pairs.contrastive(losses.logit_scale)?, losses.contrastive));
    }
    if losses.prototypes > 0.0 {
        let loss = prototypes::emit(&mut pairs, descriptors, classes, losses.prototype_temperature)?;
        parts.push(("prototypes", loss, losses.prototypes));
    }
    let mut sum: Option<Value> = None;
    for (_, part, weight) in &parts {
        let weight = pairs.graph.float(*weight);
        let weighted = pairs.graph.node("Mul", &[part, &weight], &[]);
        sum = Some(match sum {
            Some(sum) => pairs.graph.aligned("Add", &[&sum, &weighted]),
            None => weighted,
        });
    }
    let none = || Error::Option { field: "losses", reason: "one of the weights must be above 0".into() };
    let loss = sum.ok_or_else(none)?;
    Ok(Emitted { loss, parts: parts.into_iter().map(|(name, part, _)| (name, part)).collect() })
}

/// What the losses share.
struct Pairs<'g> {
    graph: &'g mut GraphBuilder,
    /// `[I, T · C]`: the raw maps.
    maps: Value,
    /// `[P, T, C]`: the targets' raw maps.
    targets: Value,
    /// `[P, K, C]`, of length one.
    queries: Value,
    /// `[P, K, T]`: cosines, once they are needed.
    cosines: Option<Value>,
    channels: i64,
}

impl<'g> Pairs<'g> {
    fn new(graph: &'g mut GraphBuilder, descriptors: &str, channels: usize) -> Pairs<'g> {
        let channels = channels as i64;
        let flat = graph.ints(&[0, -1]);
        let maps = graph.node("Reshape", &[descriptors, &flat], &[]);
        let mut pairs = Pairs { graph, maps, targets: Value::new(), queries: Value::new(), cosines: None, channels };
        let sources = pairs.taken(input::SOURCE);
        pairs.targets = pairs.taken(input::TARGET);
        pairs.queries = pairs.read(input::QUERY, &sources);
        pairs.input(input::WEIGHT, [-1, -1, 1]);
        pairs
    }

    fn input(&mut self, name: &str, [a, b, c]: [i64; 3]) -> Value {
        // A free size goes by a name of its own: T of one input is not T of another to ONNX Runtime unless it has to be.
        let names = ["a", "b", "c"].map(|axis| format!("{name}_{axis}"));
        self.graph.input(name, data_type::FLOAT, &[(&names[0], a), (&names[1], b), (&names[2], c)])
    }

    /// The maps of the pairs' sources or targets, `[P, T, C]`.
    fn taken(&mut self, name: &str) -> Value {
        let hot = self.graph.input(name, data_type::FLOAT, &[("pairs", -1), ("images", -1)]);
        let taken = self.graph.node("MatMul", &[&hot, &self.maps], &[]);
        let shape = self.graph.ints(&[0, -1, self.channels]);
        self.graph.node("Reshape", &[&taken, &shape], &[])
    }

    /// Descriptors at points, `[P, K, C]`, of length one.
    fn read(&mut self, weights: &str, maps: &str) -> Value {
        let weights = self.input(weights, [-1, -1, -1]);
        let read = self.graph.node("MatMul", &[&weights, maps], &[]);
        self.unit(&read)
    }

    fn unit(&mut self, rows: &str) -> Value {
        let square = self.graph.aligned("Mul", &[rows, rows]);
        let sum = self.row_sum(&square);
        let epsilon = self.graph.float(NORM_EPSILON);
        let sum = self.graph.node("Add", &[&sum, &epsilon], &[]);
        let length = self.graph.node("Sqrt", &[&sum], &[]);
        self.graph.node("Div", &[rows, &length], &[])
    }

    fn cosines(&mut self) -> Value {
        if let Some(cosines) = &self.cosines {
            return cosines.clone();
        }
        let targets = self.targets.clone();
        let targets = self.unit(&targets);
        let columns = self.graph.node("Transpose", &[&targets], &[Attribute::Ints("perm", &[0, 2, 1])]);
        let cosines = self.graph.node("MatMul", &[&self.queries, &columns], &[]);
        self.cosines = Some(cosines.clone());
        cosines
    }

    fn over(&mut self, value: &str, temperature: f32) -> Value {
        let sharpness = self.graph.float(temperature.recip());
        self.graph.node("Mul", &[value, &sharpness], &[])
    }

    fn row_sum(&mut self, value: &str) -> Value {
        let axes = self.graph.ints(&[-1]);
        self.graph.node("ReduceSum", &[value, &axes], &[Attribute::Int("keepdims", 1)])
    }

    /// Everything added up, a scalar.
    fn total(&mut self, value: &str) -> Value {
        let axes = self.graph.ints(&[0, 1, 2]);
        let sum = self.graph.node("ReduceSum", &[value, &axes], &[Attribute::Int("keepdims", 1)]);
        let scalar = self.graph.ints(&[]);
        self.graph.node("Reshape", &[&sum, &scalar], &[])
    }

    /// `−Σ y log softmax(cosines / τ)` over the target's tokens, y Gaussian-smoothed (Visual-AI, `src/loss.py`).
    fn cross_entropy(&mut self, temperature: f32) -> Value {
        let cosines = self.cosines();
        let logits = self.over(&cosines, temperature);
        let logarithms = self.graph.node("LogSoftmax", &[&logits], &[Attribute::Int("axis", -1)]);
        let smoothed = self.input(input::SMOOTHED, [-1, -1, -1]);
        let product = self.graph.aligned("Mul", &[&logarithms, &smoothed]);
        let rows = self.row_sum(&product);
        let weighted = self.graph.aligned("Mul", &[&rows, input::WEIGHT]);
        let sum = self.total(&weighted);
        self.graph.node("Neg", &[&sum], &[])
    }

    /// The distance from the expectation of token centres under `softmax(cosines / τ)` to the truth, as a share of `extent`
    /// (GeoAware-SC, `pck_train.py`, its dense objective).
    fn soft_argmax(&mut self, temperature: f32, extent: usize) -> Value {
        let cosines = self.cosines();
        let logits = self.over(&cosines, temperature);
        let share = self.graph.node("Softmax", &[&logits], &[Attribute::Int("axis", -1)]);
        let centres = self.input(input::CENTRES, [1, -1, 2]);
        let place = self.input(input::PLACE, [-1, -1, 2]);
        let expected = self.graph.node("MatMul", &[&share, &centres], &[]);
        let off = self.graph.aligned("Sub", &[&expected, &place]);
        let square = self.graph.aligned("Mul", &[&off, &off]);
        let sum = self.row_sum(&square);
        let epsilon = self.graph.float(DISTANCE_EPSILON);
        let sum = self.graph.node("Add", &[&sum, &epsilon], &[]);
        let distance = self.graph.node("Sqrt", &[&sum], &[]);
        let distance = self.over(&distance, extent as f32);
        let weighted = self.graph.aligned("Mul", &[&distance, input::WEIGHT]);
        self.total(&weighted)
    }

    /// The cross entropy of each point's descriptor among those of the pair's points in the other image, both ways (Radford et
    /// al. 2021, figure 3; GeoAware-SC's sparse objective), with a learned scale.
    fn contrastive(&mut self, first_scale: f32) -> Result<Value, Error> {
        let targets = self.targets.clone();
        let answers = self.read(input::ANSWER, &targets);
        let scale = self.graph.parameter(LOGIT_SCALE, &Tensor::new(vec![1], vec![first_scale.ln()])?);
        let scale = self.graph.node("Exp", &[&scale], &[]);
        let spread = self.graph.ints(&[1, 1, 1]);
        let scale = self.graph.node("Reshape", &[&scale, &spread], &[]);
        let swap = [Attribute::Ints("perm", &[0, 2, 1])];
        let columns = self.graph.node("Transpose", &[&answers], &swap);
        let cosines = self.graph.node("MatMul", &[&self.queries, &columns], &[]);
        let logits = self.graph.node("Mul", &[&cosines, &scale], &[]);
        let back = self.graph.node("Transpose", &[&logits], &swap);
        let mask = self.input(input::MASK, [-1, 1, -1]);
        let diagonal = self.input(input::DIAGONAL, [-1, -1, -1]);
        let mut sums = Vec::with_capacity(2);
        for logits in [logits, back] {
            let masked = self.graph.node("Add", &[&logits, &mask], &[]);
            let logarithms = self.graph.node("LogSoftmax", &[&masked], &[Attribute::Int("axis", -1)]);
            let right = self.graph.aligned("Mul", &[&logarithms, &diagonal]);
            sums.push(self.total(&right));
        }
        let both = self.graph.aligned("Add", &[&sums[0], &sums[1]]);
        let half = self.graph.float(-0.5);
        Ok(self.graph.node("Mul", &[&both, &half], &[]))
    }
}
