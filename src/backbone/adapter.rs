//! Adapters: small networks trained over a frozen network's descriptors, emitted as the tail of `head.onnx`. The backbone's
//! bytes stay as they are, so an adapted and an unadapted bundle share one backbone in memory.

mod public;

pub use public::{PUBLIC_ADAPTERS, PublicAdapter};

use crate::{
    Error, Source, Weights,
    checkpoint::{Checkpoint, Tensor},
    onnx::{Attribute, GraphBuilder, Value},
};
use homolog_core::bundle::{Adaptation, AdapterKind};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// Where the one block of an adapter file lies: layer 0 (one feature map), block 0.
const PREFIX: &str = "bottleneck_layers.0.0.";
/// Groups of every norm.
const GROUPS: usize = 32;
/// PyTorch's default for `GroupNorm`, which the public code leaves as it is.
const EPSILON: f32 = 1e-5;
/// What only training reads, and the weights of a mixture that has one member.
const IGNORED: [&str; 3] = ["logit_scale", "self_logit_scale", MIXING];
const MIXING: &str = "mixing_weights";

/// A residual bottleneck over descriptors `[batch, h, w, input]`, as GeoAware-SC trains it and DIY-SC publishes it:
///
/// `relu(s(x) + n₃(c₃(relu(n₂(c₂(relu(n₁(c₁(x)))))))))`
///
/// with convolutions c without bias (1×1, 3×3 padded by one, 1×1), group norms n of 32 groups, and as s the identity where
/// `output` is `input`, else a 1×1 convolution with its norm. The input is taken as it is, without an L2 norm. Sources:
/// odunkel/DIY-SC, `model_utils/projection_network.py` and `resnet.py`; Zhang et al. 2024, Dünkel et al. 2025.
#[derive(Clone, Debug)]
pub struct Adapter {
    input: usize,
    width: usize,
    output: usize,
    tensors: BTreeMap<String, Tensor>,
}

impl Adapter {
    /// Reads an adapter over descriptors of `input` channels; its inner width and its output are told by its shapes.
    ///
    /// # Errors
    /// [`Error::Mismatch`] with every missing, unexpected or misshapen tensor; [`Error::Option`] when it mixes several feature
    /// maps or its widths do not fall into 32 groups; [`Error::Tensor`] when a tensor is damaged.
    pub fn open(checkpoint: &Checkpoint, input: usize) -> Result<Adapter, Error> {
        let refuse = |reason: String| Err(Error::Option { field: "adapter", reason });
        let maps = checkpoint.shapes().get(MIXING).map_or(1, |shape| {
            // shapes in a `.pth` are what the file says, however absurd
            shape.iter().fold(1, |product: usize, size| product.saturating_mul(*size))
        });
        if maps != 1 {
            return refuse(format!(
                "it mixes {maps} feature maps (its {MIXING} has {maps} values); a network gives one"
            ));
        }
        // Without the tensor any size does: the tensor is then listed as missing.
        let rows = |name: &str| {
            let shape = checkpoint.shapes().get(&format!("{PREFIX}{name}"))?;
            shape.first().copied()
        };
        let (width, output) = (rows("conv1.weight").unwrap_or(GROUPS), rows("conv3.weight").unwrap_or(input));
        let sources = shapes(input, width, output)
            .into_iter()
            .map(|(name, shape)| (name.clone(), Source::whole(format!("{PREFIX}{name}"), &shape)))
            .collect();
        let network = format!("a bottleneck adapter over descriptors of {input} channels");
        let weights = Weights::resolve(checkpoint, &network, "", sources, &IGNORED)?;
        for (what, channels) in [("width", width), ("output", output)] {
            if channels == 0 || !channels.is_multiple_of(GROUPS) {
                return refuse(format!("its {what} of {channels} channels does not fall into {GROUPS} groups"));
            }
        }
        let read = |name: String| weights.get(&name).map(|tensor| (name, tensor));
        let tensors = shapes(input, width, output).into_keys().map(read).collect::<Result<_, Error>>()?;
        Ok(Adapter { input, width, output, tensors })
    }

    /// One to be trained, over descriptors of `input` channels: kernels are drawn as PyTorch draws them (uniform within 1/√inputs,
    /// Kaiming with a = √5), norms are neutral but for the branch's last, whose scale of zero leaves the shortcut alone at first.
    ///
    /// # Errors
    /// [`Error::Option`] when the widths do not fall into 32 groups.
    pub fn initial(input: usize, width: usize, output: usize, seed: u64) -> Result<Adapter, Error> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut tensors = BTreeMap::new();
        for (name, shape) in shapes(input, width, output) {
            let count: usize = shape.iter().product();
            let bound = (shape.iter().skip(1).product::<usize>() as f32).sqrt().recip();
            let data = match name.as_str() {
                "conv3.norm.weight" => vec![0.0; count],
                name if name.ends_with("norm.weight") => vec![1.0; count],
                name if name.ends_with("bias") => vec![0.0; count],
                _ => (0..count).map(|_| bound * (2.0 * random.random::<f32>() - 1.0)).collect(),
            };
            tensors.insert(format!("{PREFIX}{name}"), Tensor { shape, data });
        }
        Adapter::open(&Checkpoint::from_tensors(tensors), input)
    }

    /// Names of its weights in a graph.
    pub fn weight_names(&self) -> Vec<String> {
        self.tensors.keys().map(|name| format!("adapter.{name}")).collect()
    }

    /// The same with trained weights, which go by [`Adapter::weight_names`] and may have more axes of one.
    ///
    /// # Errors
    /// [`Error::Tensor`] for a weight of another length.
    pub fn with(&self, trained: &BTreeMap<String, Tensor>) -> Result<Adapter, Error> {
        let mut adapter = self.clone();
        for (name, tensor) in &mut adapter.tensors {
            if let Some(trained) = trained.get(&format!("adapter.{name}")) {
                *tensor = Tensor::new(tensor.shape.clone(), trained.data.clone())?;
            }
        }
        Ok(adapter)
    }

    /// Channels of the descriptors that it takes.
    pub fn input(&self) -> usize {
        self.input
    }

    /// Channels of the descriptors that it gives.
    pub fn output(&self) -> usize {
        self.output
    }

    /// What a manifest says of it.
    pub fn adaptation(&self) -> Adaptation {
        Adaptation::Adapter { architecture: AdapterKind::Bottleneck, width: self.width }
    }

    /// Emits descriptors `[batch, h, w, input]` → `[batch, h, w, output]`, none of them negative.
    ///
    /// # Errors
    /// Whatever writing a weight meets.
    pub fn emit(&self, graph: &mut GraphBuilder, descriptors: &str) -> Result<Value, Error> {
        let x = graph.node("Transpose", &[descriptors], &[Attribute::Ints("perm", &[0, 3, 1, 2])]);
        let inner = self.convolve(graph, "conv1", &x)?;
        let inner = graph.node("Relu", &[&inner], &[]);
        let inner = self.convolve(graph, "conv2", &inner)?;
        let inner = graph.node("Relu", &[&inner], &[]);
        let branch = self.convolve(graph, "conv3", &inner)?;
        let shortcut = if self.input == self.output { x } else { self.convolve(graph, "shortcut", &x)? };
        let sum = graph.aligned("Add", &[&branch, &shortcut]);
        let sum = graph.node("Relu", &[&sum], &[]);
        Ok(graph.node("Transpose", &[&sum], &[Attribute::Ints("perm", &[0, 2, 3, 1])]))
    }

    /// A convolution that keeps h and w, and its group norm; `x` is `[batch, channels, h, w]`.
    fn convolve(&self, graph: &mut GraphBuilder, name: &str, x: &str) -> Result<Value, Error> {
        let kernel = self.tensor(&format!("{name}.weight"))?;
        let side = kernel.shape.last().map_or(1, |side| *side as i64);
        let kernel = graph.weight(&format!("adapter.{name}.weight"), kernel)?;
        let (square, pads) = ([side; 2], [side / 2; 4]);
        let attributes = [Attribute::Ints("kernel_shape", &square), Attribute::Ints("pads", &pads)];
        let x = graph.node("Conv", &[x, &kernel], &attributes);
        // Sums over a whole group of channels.
        let x = graph.widened(&x);

        // An instance norm over groups laid out as channels: ONNX Runtime's CPU runs it in less than half the time that it
        // takes for GroupNormalization (opset 21), to the same 3e-7; the affine part is per channel and comes after.
        let shape = graph.node("Shape", &[&x], &[]);
        let groups = graph.ints(&[0, GROUPS as i64, -1]);
        let x = graph.node("Reshape", &[&x, &groups], &[]);
        let one = graph.exact(&Tensor::new(vec![GROUPS], vec![1.0; GROUPS])?);
        let zero = graph.exact(&Tensor::new(vec![GROUPS], vec![0.0; GROUPS])?);
        let x = graph.node("InstanceNormalization", &[&x, &one, &zero], &[Attribute::Float("epsilon", EPSILON)]);
        let x = graph.node("Reshape", &[&x, &shape], &[]);
        let gamma = self.per_channel(graph, &format!("{name}.norm.weight"))?;
        let x = graph.node("Mul", &[&x, &gamma], &[]);
        let beta = self.per_channel(graph, &format!("{name}.norm.bias"))?;
        let x = graph.node("Add", &[&x, &beta], &[]);
        Ok(graph.narrowed(&x))
    }

    /// `[channels]` as `[1, channels, 1, 1]`, which spreads over `[batch, channels, h, w]`.
    fn per_channel(&self, graph: &mut GraphBuilder, name: &str) -> Result<Value, Error> {
        let tensor = self.tensor(name)?;
        let spread = Tensor { shape: vec![1, tensor.data.len(), 1, 1], data: tensor.data.clone() };
        graph.single_weight(&format!("adapter.{name}"), &spread)
    }

    fn tensor(&self, name: &str) -> Result<&Tensor, Error> {
        let absent = || Error::Tensor { name: name.into(), reason: "the adapter has no tensor of this name".into() };
        self.tensors.get(name).ok_or_else(absent)
    }
}

/// The tensors of a block, without its prefix.
fn shapes(input: usize, width: usize, output: usize) -> BTreeMap<String, Vec<usize>> {
    let mut convolutions = vec![("conv1", width, input, 1), ("conv2", width, width, 3), ("conv3", output, width, 1)];
    if input != output {
        convolutions.push(("shortcut", output, input, 1));
    }
    let mut shapes = BTreeMap::new();
    for (name, rows, columns, side) in convolutions {
        shapes.insert(format!("{name}.weight"), vec![rows, columns, side, side]);
        shapes.insert(format!("{name}.norm.weight"), vec![rows]);
        shapes.insert(format!("{name}.norm.bias"), vec![rows]);
    }
    shapes
}
