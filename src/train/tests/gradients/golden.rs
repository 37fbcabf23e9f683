//! The golden tensors of training, which `tests/reference/make_golden_training.py` describes.

use homolog_adapt::{Batch, BatchPair, Losses, PointPair};
use homolog_backbone::{
    Family, Mlp, Weights,
    checkpoint::{Checkpoint, Tensor},
    dinov2, dinov3, sam,
};
use homolog_core::{
    bundle::Feature,
    geometry::{Grid, Point},
};
use std::path::{Path, PathBuf};

/// The weighted sum of the three losses of pairs; constants as in `definitions.json`.
pub const TOTAL: Losses = Losses {
    cross_entropy: 1.0,
    soft_argmax: 0.5,
    contrastive: 0.25,
    temperature: 0.03,
    soft_argmax_temperature: 0.05,
    kernel: 7,
    sigma: 1.5,
    logit_scale: 14.285_714,
    // a loss of tokens, with golden tensors of its own
    prototypes: 0.0,
    prototype_temperature: 0.05,
};

pub const DINOV2: dinov2::Config = dinov2::Config {
    patch: 14,
    width: 16,
    depth: 3,
    heads: 2,
    mlp: Mlp::Gelu,
    hidden: 64,
    registers: 0,
    position_grid: 5,
};

const DINOV3: dinov3::Config =
    dinov3::Config { patch: 4, width: 24, depth: 2, heads: 2, mlp: Mlp::Gelu, hidden: 32, registers: 4 };

const SAM: sam::Config = sam::Config {
    patch: 4,
    width: 16,
    depth: 3,
    heads: 2,
    hidden: 32,
    window: 3,
    global: &[1],
    position_grid: 7,
    neck: 8,
};

/// A tiny network with what PyTorch makes of its training.
pub struct Tiny {
    pub name: &'static str,
    pub family: Family,
    pub depth: usize,
    pub golden: Checkpoint,
    checkpoint: Checkpoint,
}

impl Tiny {
    pub fn open(name: &'static str) -> Tiny {
        let family = match name {
            "dinov2-plain" => Family::DinoV2(DINOV2),
            "dinov2-reg4" => Family::DinoV2(dinov2::Config { registers: 4, ..DINOV2 }),
            "dinov2-swiglu" => {
                Family::DinoV2(dinov2::Config { width: 8, depth: 2, mlp: Mlp::SwiGlu, hidden: 24, ..DINOV2 })
            }
            "dinov3-plain" => Family::DinoV3(DINOV3),
            "dinov3-swiglu" => Family::DinoV3(dinov3::Config { mlp: Mlp::SwiGlu, hidden: 24, ..DINOV3 }),
            "sam-windows" => Family::Sam(SAM),
            "sam-wide" => Family::Sam(sam::Config {
                width: 12,
                hidden: 24,
                window: 5,
                global: &[0, 2],
                position_grid: 4,
                neck: 16,
                ..SAM
            }),
            _ => panic!("no network {name}"),
        };
        let depth = family.info(name).depth;
        let golden = training(name);
        let checkpoint = Checkpoint::open(&folder().join(name).join("original.pth")).unwrap();
        Tiny { name, family, depth, golden, checkpoint }
    }

    pub fn weights(&self) -> Weights<'_> {
        self.family.resolve(&self.checkpoint, self.name).unwrap()
    }

    /// Golden tensors under `prefix`, by the names that the family has for them.
    pub fn under(&self, prefix: &str) -> Vec<(String, Tensor)> {
        let weights = self.weights();
        let names = self.golden.shapes().keys().filter_map(|name| name.strip_prefix(prefix));
        let all = names.flat_map(|name| ours(name, self.golden.read(&format!("{prefix}{name}")).unwrap()));
        // DINOv3 has no bias of k
        all.filter(|(name, _)| !name.ends_with("attn.k.bias") || weights.has(name)).collect()
    }

    pub fn read(&self, name: &str) -> Vec<f32> {
        self.golden.read(name).unwrap().data
    }
}

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden")
}

pub fn training(name: &str) -> Checkpoint {
    Checkpoint::open(&folder().join("training").join(format!("{name}.safetensors"))).unwrap()
}

pub fn feature_name(feature: Feature) -> &'static str {
    match feature {
        Feature::PreNorm => "pre_norm",
        Feature::PostNorm => "post_norm",
        Feature::Neck => "neck",
    }
}

/// The batch of a file, with `inputs` of its images; on another grid, the same points.
pub fn batch(golden: &Checkpoint, grid: Option<Grid>, inputs: Vec<f32>) -> Batch {
    let read = |name: &str| golden.read(name).unwrap().data;
    let size = read("grid");
    let [source, target, weight, count] =
        ["source", "target", "weight", "count"].map(|name| read(&format!("pairs.{name}")));
    let [from, to] = ["source", "target"].map(|name| golden.read(&format!("points.{name}")).unwrap());
    let most = from.shape[1];
    let point = |points: &Tensor, place: usize| {
        let [x, y] = [points.data[2 * place], points.data[2 * place + 1]];
        Point::new(x.into(), y.into())
    };
    let pairs = (0..source.len()).map(|pair| BatchPair {
        source: source[pair] as usize,
        target: target[pair] as usize,
        weight: weight[pair],
        points: (pair * most..pair * most + count[pair] as usize)
            .map(|place| PointPair { source: point(&from, place), target: point(&to, place) })
            .collect(),
    });
    let grid = grid.unwrap_or_else(|| Grid::new(size[0] as usize, size[1] as usize));
    Batch { images: 3, inputs, grid, pairs: pairs.collect(), classes: Vec::new() }
}

/// Ours of a tensor of the official naming: q, k and v apart, and so the halves of DINOv2's `w12`.
fn ours(name: &str, tensor: Tensor) -> Vec<(String, Tensor)> {
    let parts: &[&str] = match name {
        _ if name.contains("attn.qkv.") => &["attn.q.", "attn.k.", "attn.v."],
        _ if name.contains("mlp.w12.") => &["mlp.w1.", "mlp.w2."],
        _ if name.contains(".lora_") => return vec![(format!("{name}.weight"), tensor)],
        _ => return vec![(name.to_owned(), tensor)],
    };
    let mut shape = tensor.shape;
    shape[0] /= parts.len();
    let chunks = tensor.data.chunks(shape.iter().product::<usize>());
    let named = parts.iter().map(|part| name.replace("attn.qkv.", part).replace("mlp.w12.", part));
    named.zip(chunks).map(|(name, chunk)| (name, Tensor::new(shape.clone(), chunk.to_vec()).unwrap())).collect()
}
