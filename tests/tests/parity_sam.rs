//! SAM's graphs against the official formula on tiny networks: windows with and without padding, native and resized
//! positions, both namings and features. `tests/reference/make_golden_sam.py` made the expected tensors.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use homolog_backbone::{
    Error, Family,
    catalog::{self, Network, Origin},
    checkpoint::{Checkpoint, Tensor},
    random, sam,
};
use homolog_core::bundle::{Bundle, Feature, Precision};
use homolog_tests::{
    golden, options,
    parity::{Tiny, assert_below},
    tensor,
};
use homolog_train::verify::relative_error;
use ort::{session::Session, session::builder::SessionBuilder, value};
use std::{collections::BTreeMap, path::Path};
use tempfile::TempDir;

/// Grids of 7×7, 4×4, 9×9, 5×3, 3×11, 7×5, 1×2 and 17×16 patches; the last has more tokens than one turn of the loop over
/// queries in global blocks.
const SIZES: [(usize, usize); 8] = [(28, 28), (16, 16), (36, 36), (20, 12), (12, 44), (28, 20), (4, 8), (68, 64)];

/// Windows of 3 on a learned grid of 7.
const WINDOWS: sam::Config = sam::Config {
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

/// One window larger than the learned grid of 4; heads of 6 channels; global blocks first and last.
const WIDE: sam::Config = sam::Config {
    patch: 4,
    width: 12,
    depth: 3,
    heads: 2,
    hidden: 24,
    window: 5,
    global: &[0, 2],
    position_grid: 4,
    neck: 16,
};

// 3e-6, not the 1e-4 that was asked for: rounding stays below 1e-6, an epsilon of 1e-5 in the norms gives 5e-6 and more, a
// tanh GELU 1e-4, and whatever goes wrong with positions or padding above 1e-3.
const FP32: f64 = 3e-6;
// Products of 8 bits over so few channels, where nothing averages out.
const INT8: f64 = 5e-2;

fn tiny(config: sam::Config) -> Tiny {
    let (folder, sizes) = if config == WIDE { ("sam-wide", &SIZES[..7]) } else { ("sam-windows", &SIZES[..]) };
    Tiny {
        network: Network {
            name: "tiny",
            family: Family::Sam(config),
            resolution: 28,
            feature: Feature::PreNorm,
            licence: "MIT",
            origin: Origin::None,
        },
        patch: 4,
        folder,
        inputs: "sam-inputs.safetensors",
        sizes,
    }
}

fn bundle(
    config: sam::Config,
    checkpoint: &str,
    split: usize,
    feature: Feature,
    precision: Precision,
) -> (Bundle, TempDir) {
    let tiny = tiny(config);
    tiny.bundle(&tiny.checkpoint(checkpoint), split, feature, precision)
}

fn errors(config: sam::Config, checkpoint: &str, split: usize, feature: Feature, precision: Precision) -> Vec<f64> {
    let tiny = tiny(config);
    tiny.errors(&tiny.checkpoint(checkpoint), split, feature, precision)
}

#[test]
fn both_namings_give_the_official_descriptors() {
    for config in [WINDOWS, WIDE] {
        for checkpoint in ["original.pth", "hub.safetensors"] {
            assert_below(&errors(config, checkpoint, 1, Feature::PreNorm, Precision::Fp32), FP32);
        }
    }
}

#[test]
fn the_neck_is_the_official_one() {
    for config in [WINDOWS, WIDE] {
        assert_below(&errors(config, "original.pth", 1, Feature::Neck, Precision::Fp32), FP32);
    }
}

#[test]
fn the_split_changes_nothing() {
    for split in [0, 2, 3] {
        assert_below(&errors(WINDOWS, "original.pth", split, Feature::PreNorm, Precision::Fp32), FP32);
        assert_below(&errors(WIDE, "original.pth", split, Feature::Neck, Precision::Fp32), FP32);
    }
}

#[test]
fn half_precision_stays_within_a_hundredth() {
    for config in [WINDOWS, WIDE] {
        tiny(config).assert_half(&[Feature::PreNorm, Feature::Neck], FP32);
    }
}

#[test]
fn eight_bits_stay_near() {
    for config in [WINDOWS, WIDE] {
        tiny(config).assert_int8(&[Feature::PreNorm, Feature::Neck], INT8);
    }
}

fn load(path: &Path) -> Session {
    homolog_engine::library::find().unwrap();
    let environment = homolog_engine::library::environment().unwrap();
    SessionBuilder::new(&environment).unwrap().commit_from_file(path).unwrap()
}

#[test]
fn the_graphs_take_any_batch() {
    let (bundle, _folder) = bundle(WINDOWS, "original.pth", 1, Feature::Neck, Precision::Fp32);
    let (mut backbone, mut head) = (load(&bundle.backbone()), load(&bundle.head()));

    let cases = golden("sam-windows/cases.safetensors");
    let (shape, input) = tensor(&golden("sam-inputs.safetensors"), "20x12.input");
    assert_eq!(shape, [2, 3, 20, 12]);
    let image = value::Tensor::from_array((shape, input)).unwrap();
    let mut outputs = backbone.run(ort::inputs!["image" => image]).unwrap();
    let tokens = outputs.remove("tokens").unwrap();
    let (found_shape, found) = tokens.try_extract_tensor::<f32>().unwrap();
    assert_eq!(**found_shape, [2, 15, 16]);
    assert!(relative_error(found, &tensor(&cases, "20x12.tokens").1).unwrap() <= FP32);

    let grid = value::Tensor::from_array(([2usize], vec![5i64, 3])).unwrap();
    let outputs = head.run(ort::inputs!["tokens" => tokens, "grid" => grid]).unwrap();
    let (found_shape, found) = outputs["descriptors"].try_extract_tensor::<f32>().unwrap();
    assert_eq!(**found_shape, [2, 5, 3, 8]);
    assert!(relative_error(found, &tensor(&cases, "20x12.neck").1).unwrap() <= FP32);
}

#[test]
fn several_turns_of_queries_take_a_batch_too() {
    let (bundle, _folder) = bundle(WINDOWS, "original.pth", 3, Feature::PreNorm, Precision::Fp32);
    let mut backbone = load(&bundle.backbone());
    let (_, first) = tensor(&golden("sam-inputs.safetensors"), "68x64.input");
    // The second image is the first upside down, so that mixing the two shows.
    let second: Vec<f32> = first.iter().rev().copied().collect();
    let mut run = |images: &[&[f32]]| {
        let image = value::Tensor::from_array(([images.len(), 3, 68, 64], images.concat())).unwrap();
        let outputs = backbone.run(ort::inputs!["image" => image]).unwrap();
        outputs["tokens"].try_extract_tensor::<f32>().unwrap().1.to_vec()
    };
    let both = run(&[&first, &second]);
    assert!(relative_error(&both, &[run(&[&first]), run(&[&second])].concat()).unwrap() <= 1e-6);
}

fn tiny_checkpoint(change: impl FnOnce(&mut BTreeMap<String, Tensor>)) -> Checkpoint {
    let random = random::weights(&Family::Sam(WINDOWS), 0);
    let names: Vec<String> = random.shapes().keys().cloned().collect();
    let mut tensors = names.into_iter().map(|name| (name.clone(), random.read(&name).unwrap())).collect();
    change(&mut tensors);
    Checkpoint::from_tensors(tensors)
}

fn refusal(checkpoint: &Checkpoint) -> Error {
    Family::Sam(WINDOWS).resolve(checkpoint, "tiny").err().unwrap()
}

#[test]
fn a_checkpoint_of_other_sizes_is_refused_by_name() {
    let checkpoint = tiny_checkpoint(|tensors| {
        tensors.remove("image_encoder.neck.2.weight");
        tensors.insert("image_encoder.blocks.3.norm1.bias".into(), Tensor::new(vec![16], vec![0.0; 16]).unwrap());
        // The table of a windowed block where a global one's is due.
        tensors.insert("image_encoder.blocks.1.attn.rel_pos_w".into(), Tensor::new(vec![5, 8], vec![0.0; 40]).unwrap());
        tensors.insert("mask_decoder.iou_token.weight".into(), Tensor::new(vec![1], vec![0.0]).unwrap());
    });
    let Error::Mismatch { missing, extra, misshapen, .. } = refusal(&checkpoint) else { panic!() };
    assert_eq!(missing, ["image_encoder.neck.2.weight"]);
    assert_eq!(extra, ["image_encoder.blocks.3.norm1.bias"]);
    assert_eq!(misshapen, ["image_encoder.blocks.1.attn.rel_pos_w is [5, 8], not [13, 8]"]);
}

#[test]
fn another_familys_checkpoint_is_refused() {
    let other = random::weights(&catalog::DEMO.family, 0);
    let error = refusal(&other).to_string();
    assert!(error.contains("blocks.0.attn.rel_pos_h"), "{error}");
}

#[test]
fn the_manifest_tells_the_channels_of_the_feature() {
    let folder = tempfile::tempdir().unwrap();
    for (feature, channels) in [(Feature::PreNorm, 16), (Feature::Neck, 8)] {
        let (bundle, _folder) = bundle(WINDOWS, "hub.safetensors", 1, feature, Precision::Fp32);
        let manifest = bundle.manifest();
        assert_eq!((manifest.channels, manifest.feature), (channels, feature));
        assert_eq!((manifest.backbone.family.as_str(), manifest.backbone.registers), ("sam", 0));
    }
    // The final norm is DINOv2's, and SAM has none.
    let checkpoint = tiny_checkpoint(|_| {});
    let options =
        homolog_backbone::export::Options { resolutions: vec![28], ..options(1, Feature::PostNorm, Precision::Fp32) };
    let out = folder.path().join("none");
    let error =
        homolog_backbone::export::export(&tiny(WINDOWS).network, &checkpoint, &out, &options, |_| {}).unwrap_err();
    assert!(matches!(error, Error::Option { field: "feature", .. }), "{error}");
    assert!(!out.exists());
}
