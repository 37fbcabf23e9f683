//! Adapter heads against their mathematics in PyTorch (tests/reference/diy_sc.py, make_heads.py), refusals, and the backbone
//! that an adapted bundle shares with a plain one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use homolog_backbone::{
    Adapter, Error, PUBLIC_ADAPTERS,
    checkpoint::{Checkpoint, Tensor},
    export::{Options, export},
    onnx::{GraphBuilder, proto::data_type},
};
use homolog_core::bundle::{Adaptation, AdapterKind, Bundle, Feature, Precision};
use homolog_tests::{
    golden,
    heads::{describe, engine, tiny},
    options, shared, tensor,
};
use homolog_train::verify::relative_error;
use std::{collections::BTreeMap, path::Path};

/// Single precision against single precision: the order of sums is all that differs.
const FP32: f64 = 2e-6;

/// `diy_sc.patterned`: a multiplicative hash of the place, in steps of 1/8192 on [-4, 4).
fn patterned(shape: [usize; 4]) -> Vec<f32> {
    let hash = |place: u64| (place * 2_654_435_761 % (1 << 32)) >> 16;
    (0..shape.iter().product::<usize>() as u64).map(|place| (hash(place) as f32 - 32768.0) / 8192.0).collect()
}

/// Runs an adapter by itself over patterned descriptors `[batch, h, w, input]`.
fn run(file: &Path, shape: [usize; 4], precision: Precision) -> (Vec<usize>, Vec<f32>) {
    let adapter = Adapter::open(&Checkpoint::open(file).unwrap(), shape[3]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut graph = GraphBuilder::create(folder.path(), "head", precision).unwrap();
    let dims = [("batch", -1), ("h", -1), ("w", -1), ("channels", -1)];
    let input = graph.input("input", data_type::FLOAT, &dims);
    let output = adapter.emit(&mut graph, &input).unwrap();
    graph.output(output, "descriptors", data_type::FLOAT, &dims);
    graph.finish().unwrap();
    let environment = homolog_engine::library::environment().unwrap();
    let builder = ort::session::builder::SessionBuilder::new(&environment);
    let mut session = builder.unwrap().commit_from_file(folder.path().join("head.onnx")).unwrap();
    let input = ort::value::Tensor::from_array((shape, patterned(shape))).unwrap();
    let outputs = session.run(ort::inputs!["input" => input]).unwrap();
    let (found, data) = outputs["descriptors"].try_extract_tensor::<f32>().unwrap();
    assert_eq!(**found, [shape[0], shape[1], shape[2], adapter.output()].map(|size| size as i64));
    (found.iter().map(|size| *size as usize).collect(), data.to_vec())
}

#[test]
fn the_published_adapters_give_what_pytorch_gives() {
    let Some(folder) = shared("diy-sc") else { return };
    for (name, channels) in
        [("0300_dino_spair", 768), ("0368_dino_spair_fdim_128", 128), ("0369_dino_spair_fdim_384", 384)]
    {
        let (expected_shape, expected) = tensor(&golden("heads/published.safetensors"), name);
        let (shape, found) = run(&folder.join(format!("{name}.pth")), [1, 4, 5, 768], Precision::Fp32);
        let error = relative_error(&found, &expected).unwrap();
        eprintln!("{name}: {error:.1e}");
        assert_eq!((shape[3], shape), (channels, expected_shape));
        assert!(error <= FP32, "{name}: {error:.1e}");
    }
}

#[test]
fn the_published_adapters_are_known_by_their_digests() {
    let Some(folder) = shared("diy-sc") else { return };
    let mut digests: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| homolog_core::bundle::digest_file(&entry.unwrap().path()).unwrap().sha256)
        .collect();
    let mut known: Vec<&str> = PUBLIC_ADAPTERS.iter().map(|adapter| adapter.sha256).collect();
    digests.sort();
    known.sort_unstable();
    assert_eq!(digests, known);
}

#[test]
fn every_image_of_a_batch_is_normalised_by_itself() {
    let (_, expected) = tensor(&golden("heads/synthetic.safetensors"), "identity");
    let file = golden("heads/identity.safetensors");
    let error = relative_error(&run(&file, [2, 4, 5, 64], Precision::Fp32).1, &expected).unwrap();
    assert!(error <= FP32, "{error:.1e}");
    let error = relative_error(&run(&file, [2, 4, 5, 64], Precision::Fp16Storage).1, &expected).unwrap();
    assert!((FP32..1e-2).contains(&error), "stored as fp16: {error:.1e}");
}

fn adapted(split: usize, precision: Precision) -> Options {
    let adapter = Adapter::open(&Checkpoint::open(&golden("heads/narrow.pth")).unwrap(), 16).unwrap();
    Options { adapter: Some(adapter), ..options(split, Feature::PreNorm, precision) }
}

#[test]
fn an_adapted_bundle_gives_the_adapters_descriptors_and_shares_the_plain_bundles_backbone() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoint::open(&golden("dinov2-plain/original.pth")).unwrap();
    let write = |name: &str, options: &Options| {
        let out = folder.path().join(name);
        export(&tiny(), &checkpoint, &out, options, |_| {}).unwrap();
        Bundle::open(&out).unwrap()
    };
    let plain = write("plain", &options(1, Feature::PreNorm, Precision::Fp32));
    let adapted = write("adapted", &adapted(1, Precision::Fp32));
    let manifest = adapted.manifest();
    assert_eq!(manifest.adaptation, Adaptation::Adapter { architecture: AdapterKind::Bottleneck, width: 32 });
    assert_eq!(manifest.channels, 64);
    for file in ["backbone.onnx", "backbone.bin"] {
        assert_eq!(manifest.files[file], plain.manifest().files[file]);
    }
    assert_ne!(manifest.files["head.onnx"], plain.manifest().files["head.onnx"]);

    let halves = [("fp16", Precision::Fp16), ("int8", Precision::Int8)];
    let [half, bytes] = halves.map(|(name, precision)| write(name, &self::adapted(1, precision)));
    let engine = engine(vec![plain, adapted, half, bytes]);
    assert_eq!(engine.backbones(), 3);
    // The network's 16 channels leave 8 bits few values over which their roundings even out.
    for (name, most) in [("adapted", 2e-5), ("fp16", 1e-2), ("int8", 5e-2)] {
        for size in ["70x70", "42x56", "84x140"] {
            for (image, found) in describe(&engine, name, size).iter().enumerate() {
                let (shape, expected) = tensor(&golden("heads/synthetic.safetensors"), &format!("narrow.{size}"));
                let one = expected.len() / shape[0];
                let error = relative_error(found, &expected[image * one..][..one]).unwrap();
                eprintln!("{name} {size}: {error:.1e}");
                assert!(error <= most, "{name} {size}: {error:.1e}");
            }
        }
    }
}

/// The tensors of the narrow adapter, to be broken.
fn tensors() -> BTreeMap<String, Tensor> {
    let checkpoint = Checkpoint::open(&golden("heads/narrow.pth")).unwrap();
    checkpoint.shapes().keys().map(|name| (name.clone(), checkpoint.read(name).unwrap())).collect()
}

fn refusal(tensors: BTreeMap<String, Tensor>, input: usize) -> Error {
    Adapter::open(&Checkpoint::from_tensors(tensors), input).expect_err("it must be refused")
}

fn zeros(shape: &[usize]) -> Tensor {
    Tensor::new(shape.to_vec(), vec![0.0; shape.iter().product()]).unwrap()
}

#[test]
fn missing_extra_and_misshapen_tensors_of_an_adapter_are_listed_by_name() {
    let block = |name: &str| format!("bottleneck_layers.0.0.{name}");
    let mut broken = tensors();
    broken.remove(&block("conv2.norm.bias"));
    broken.insert(block("conv2.weight"), zeros(&[32, 32, 1, 1]));
    broken.insert("bottleneck_layers.0.1.conv1.weight".into(), zeros(&[1]));
    let Error::Mismatch { missing, extra, misshapen, .. } = refusal(broken, 16) else { panic!("another error") };
    assert_eq!(missing, [block("conv2.norm.bias")]);
    assert_eq!(extra, ["bottleneck_layers.0.1.conv1.weight"]);
    assert_eq!(misshapen, [format!("{} is [32, 32, 1, 1], not [32, 32, 3, 3]", block("conv2.weight"))]);

    let error = refusal(tensors(), 24).to_string();
    assert!(error.contains("24 channels") && error.contains("[32, 16, 1, 1], not [32, 24, 1, 1]"), "{error}");
    let network = Checkpoint::open(&golden("dinov2-plain/original.pth")).unwrap();
    let error = Adapter::open(&network, 16).unwrap_err().to_string();
    assert!(error.contains("missing: bottleneck_layers.0.0.conv1.weight"), "{error}");
}

#[test]
fn an_adapter_over_several_feature_maps_is_refused_with_their_number() {
    let mut mixture = tensors();
    mixture.insert("mixing_weights".into(), zeros(&[4]));
    let error = refusal(mixture, 16).to_string();
    assert!(error.contains("mixes 4 feature maps"), "{error}");
}

#[test]
fn an_adapter_whose_width_has_no_32_groups_is_refused() {
    let mut odd = tensors();
    for (name, shape) in [("conv1.weight", vec![40, 16, 1, 1]), ("conv2.weight", vec![40, 40, 3, 3])] {
        odd.insert(format!("bottleneck_layers.0.0.{name}"), zeros(&shape));
    }
    odd.insert("bottleneck_layers.0.0.conv3.weight".into(), zeros(&[64, 40, 1, 1]));
    for name in ["conv1", "conv2"] {
        for part in ["weight", "bias"] {
            odd.insert(format!("bottleneck_layers.0.0.{name}.norm.{part}"), zeros(&[40]));
        }
    }
    let error = refusal(odd, 16).to_string();
    assert!(error.contains("width of 40 channels does not fall into 32 groups"), "{error}");
}

#[test]
fn an_adapter_for_another_width_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let wide = Adapter::open(&Checkpoint::open(&golden("heads/identity.safetensors")).unwrap(), 64).unwrap();
    let options = Options { adapter: Some(wide), ..adapted(1, Precision::Fp32) };
    let checkpoint = Checkpoint::open(&golden("dinov2-plain/original.pth")).unwrap();
    let error = export(&tiny(), &checkpoint, &folder.path().join("out"), &options, |_| {}).unwrap_err().to_string();
    assert!(error.contains("takes 64 channels, the network's descriptors have 16"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
