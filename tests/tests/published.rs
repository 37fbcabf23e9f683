//! `make parity-published`: the released DINOv3 weights, which a person must ask Meta for, give the published values.
//!
//! The values are those of transformers' `convert_dinov3_vit_to_hf.py` as it was first written: COCO val2017's 000000039769.jpg
//! at 224 pixels, the CLS token and the first patch after the norm, their first five channels, held to 1e-4 there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use homolog_backbone::{
    catalog::{self, Network},
    checkpoint::Checkpoint,
    export::{self, Options},
};
use homolog_core::bundle::{Bundle, Feature, Precision};
use homolog_tests::{options, parity, tensor};
use std::{env, path::Path};

const SIDE: usize = 224;
/// LayerNorm's epsilon.
const EPSILON: f64 = 1e-5;

struct Published {
    name: &'static str,
    cls: [f32; 5],
    patch: [f32; 5],
}

const PUBLISHED: [Published; 4] = [
    Published {
        name: "dinov3-vits16",
        cls: [0.463_561_83, -0.415_609_36, 0.408_236_9, -0.126_613_36, -0.286_636_92],
        patch: [-0.038_754_22, -0.250_895_44, -0.016_392_905, -0.455_473_63, 0.571_582_2],
    },
    Published {
        name: "dinov3-vits16plus",
        cls: [-0.471_349_42, -1.365_778_9, -0.317_983_24, 0.377_219_4, -0.769_085_7],
        patch: [0.144_551_89, -0.388_117_46, -0.393_433_96, -0.157_695_49, -0.600_380_1],
    },
    Published {
        name: "dinov3-vitb16",
        cls: [1.034_643_2, -0.180_609_29, -0.341_018_26, -0.066_376_954, -0.011_383_97],
        patch: [-0.082_523_74, -0.456_272_78, -0.728_029_97, -0.430_680_25, -0.152_880_19],
    },
    Published {
        name: "dinov3-vitl16",
        cls: [0.484_527_1, -0.582_214_7, 0.480_636_12, 0.592_040_36, 0.945_166_47],
        patch: [-0.211_367_38, -0.490_863_56, -0.257_131_5, 0.101_763_934, 0.154_511_24],
    },
];

fn bundle(network: &Network, checkpoint: &Checkpoint, folder: &Path, split: usize) -> Bundle {
    let out = folder.join(format!("split-{split}"));
    let options = Options { resolutions: vec![SIDE as u32], ..options(split, Feature::PostNorm, Precision::Fp32) };
    export::export(network, checkpoint, &out, &options, |_| {}).unwrap();
    Bundle::open(&out).unwrap()
}

/// `(x − mean) / √(variance + ε) · γ + β`.
fn layer_norm(x: &[f32], gamma: &[f32], beta: &[f32]) -> Vec<f32> {
    let count = x.len() as f64;
    let mean = x.iter().map(|x| f64::from(*x)).sum::<f64>() / count;
    let variance = x.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / count;
    let scale = (variance + EPSILON).sqrt().recip();
    let normed = x
        .iter()
        .zip(gamma)
        .zip(beta)
        .map(|((x, gamma), beta)| (f64::from(*x) - mean) * scale * f64::from(*gamma) + f64::from(*beta));
    normed.map(|x| x as f32).collect()
}

/// Whether `found` is published, as near as transformers' own script asks.
fn agrees(what: &str, found: &[f32], published: [f32; 5]) -> bool {
    eprintln!("{what}: {found:.5?}, published {published:.5?}");
    let near = |(found, published): (&f32, &f32)| (found - published).abs() <= 1e-4 + 1e-4 * published.abs();
    found.iter().zip(&published).all(near)
}

#[test]
#[ignore = "needs the gated weights: HOMOLOG_DINOV3=FILE make parity-published"]
fn the_released_weights_give_the_published_values() {
    let file = |name: &str| env::var_os(name).unwrap_or_else(|| panic!("{name} is not set: use make parity-published"));
    let checkpoint = Checkpoint::open(Path::new(&file("HOMOLOG_DINOV3"))).unwrap();
    let (shape, input) = tensor(Path::new(&file("HOMOLOG_COCO_TENSOR")), "input");
    assert_eq!(shape, [1, 3, SIDE, SIDE]);

    let fits = |published: &&Published| {
        let family = catalog::find(published.name).unwrap().family;
        family.resolve(&checkpoint, published.name).is_ok()
    };
    let published =
        PUBLISHED.iter().find(fits).expect("HOMOLOG_DINOV3 holds none of the networks with published values");
    let network = catalog::find(published.name).unwrap();
    eprintln!("{}", published.name);
    let depth = network.family.info(published.name).depth;

    let folder = tempfile::tempdir().unwrap();
    let engine = parity::engine(bundle(&network, &checkpoint, folder.path(), depth - 4), 0);
    let (grid, descriptors) = parity::describe(&engine, &format!("split-{}", depth - 4), (SIDE, SIDE), input.clone());
    assert_eq!(grid, [SIDE / 16, SIDE / 16]);
    drop(engine);

    // The bundle's descriptors leave CLS out: all blocks into the backbone, and the norm by hand.
    let (shape, tokens) = parity::run_backbone(&bundle(&network, &checkpoint, folder.path(), depth), &shape, input);
    let weights = network.family.resolve(&checkpoint, published.name).unwrap();
    let [gamma, beta] = ["norm.weight", "norm.bias"].map(|name| weights.get(name).unwrap().data);
    let cls = layer_norm(&tokens[..shape[2]], &gamma, &beta);

    let patch = agrees("first patch", &descriptors[..5], published.patch);
    let cls = agrees("CLS", &cls[..5], published.cls);
    assert!(patch && cls, "these are not the published values");
}
