//! Half precision and 8 bits: what the files hold, how near descriptors and matches stay, and what `verify` says of it. The
//! parity tests hold the tiny networks of every family to their golden tensors.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use homolog_backbone::{
    Quantised, catalog,
    checkpoint::Tensor,
    export::export,
    onnx::{
        GraphBuilder,
        proto::{GraphProto, ModelProto, data_type},
    },
    random,
};
use homolog_core::bundle::{Bundle, Feature, Precision};
use homolog_engine::Provider;
use homolog_tests::{
    options, root,
    service::{Service, form},
    shared,
    train::{assert_refused, said, train},
};
use homolog_train::verify::{self, VerifyArgs};
use prost::Message;
use serde_json::{Value, json};
use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

/// The demo network with random weights in every precision, under the precision's name.
fn bundles(folder: &Path, precisions: &[Precision]) {
    let network = catalog::DEMO;
    let checkpoint = random::weights(&network.family, 5);
    for precision in precisions {
        let mut options = options(2, Feature::PreNorm, *precision);
        options.resolutions = vec![112, 224];
        export(&network, &checkpoint, &folder.join(precision.to_string()), &options, |_| {}).unwrap();
    }
}

fn graph(path: &Path) -> GraphProto {
    ModelProto::decode(&std::fs::read(path).unwrap()[..]).unwrap().graph.unwrap()
}

/// Types of the weights that a graph's operators of this kind read in second place.
fn weight_types(graph: &GraphProto, op: &str) -> Vec<i32> {
    let weights = graph.node.iter().filter(|node| node.op_type == op).map(|node| &node.input[1]);
    let of =
        |name: &String| graph.initializer.iter().find(|tensor| tensor.name == *name).map(|tensor| tensor.data_type);
    weights.filter_map(of).collect()
}

/// Type of an input or output.
fn declared(graph: &GraphProto, name: &str) -> i32 {
    let all = graph.input.iter().chain(&graph.output);
    all.filter(|value| value.name == name)
        .map(|value| value.r#type.as_ref().unwrap().tensor_type.as_ref().unwrap().elem_type)
        .next()
        .unwrap()
}

#[test]
fn the_files_hold_what_the_precision_says() {
    let folder = tempfile::tempdir().unwrap();
    bundles(folder.path(), &[Precision::Fp32, Precision::Fp16, Precision::Int8]);
    let open = |precision: Precision| Bundle::open(&folder.path().join(precision.to_string())).unwrap();
    let bytes = |precision| open(precision).manifest().files.values().map(|file| file.bytes).sum::<u64>() as f64;
    for (precision, op, weights, tokens, share) in [
        (Precision::Fp32, "Gemm", data_type::FLOAT, data_type::FLOAT, 1.0),
        (Precision::Fp16, "Gemm", data_type::FLOAT16, data_type::FLOAT16, 0.51),
        (Precision::Int8, "MatMulIntegerToFloat", data_type::INT8, data_type::FLOAT, 0.31),
    ] {
        let bundle = open(precision);
        assert_eq!(bundle.manifest().precision, precision);
        let (backbone, head) = (graph(&bundle.backbone()), graph(&bundle.head()));
        // q, k, v, proj and both of the MLP, in each block.
        let types = [weight_types(&backbone, op), weight_types(&head, op)].concat();
        let blocks = bundle.manifest().backbone.depth;
        assert_eq!(types, vec![weights; 6 * blocks], "{precision}");
        let ends = [declared(&backbone, "image"), declared(&head, "descriptors")];
        assert_eq!(ends, [data_type::FLOAT; 2], "{precision}");
        assert_eq!([declared(&backbone, "tokens"), declared(&head, "tokens")], [tokens; 2], "{precision}");
        assert!(bytes(precision) <= share * bytes(Precision::Fp32), "{precision}: {}", bytes(precision));
    }
}

/// Runs one product of 8 bits.
fn product(x: &Tensor, weight: &Tensor) -> Vec<f32> {
    let folder = tempfile::tempdir().unwrap();
    let mut graph = GraphBuilder::create(folder.path(), "product", Precision::Int8).unwrap();
    let input = graph.input("x", data_type::FLOAT, &[("rows", -1), ("in", -1)]);
    let output = Quantised::of(&mut graph, &input).product(&mut graph, "w", weight).unwrap();
    graph.output(output, "y", data_type::FLOAT, &[("rows", -1), ("out", -1)]);
    graph.finish().unwrap();
    let environment = homolog_engine::library::environment().unwrap();
    let builder = ort::session::builder::SessionBuilder::new(&environment);
    let mut session = builder.unwrap().commit_from_file(folder.path().join("product.onnx")).unwrap();
    let x = ort::value::Tensor::from_array((x.shape.clone(), x.data.clone())).unwrap();
    session.run(ort::inputs!["x" => x]).unwrap()["y"].try_extract_tensor::<f32>().unwrap().1.to_vec()
}

/// Numbers between -1 and 1.
fn waves(shape: [usize; 2], step: f32) -> Tensor {
    Tensor::new(shape.to_vec(), (0..shape[0] * shape[1]).map(|at| (at as f32 * step).sin()).collect()).unwrap()
}

#[test]
fn a_loud_token_takes_no_digits_from_the_others_and_zeros_stay_zeros() {
    let (mut x, weight) = (waves([5, 96], 0.7), waves([96, 40], 1.3));
    let plain = product(&x, &weight);
    x.data[..96].iter_mut().for_each(|value| *value *= 1e4);
    x.data[4 * 96..].fill(0.0);
    let found = product(&x, &weight);
    assert_eq!(found[40..160], plain[40..160]);
    assert_eq!(found[160..], [0.0; 40]);
    let loud =
        found[..40].iter().zip(&plain).all(|(loud, plain)| (loud - 1e4 * plain).abs() <= 1e-2 * plain.abs() * 1e4);
    assert!(loud, "{:?} {:?}", &found[..40], &plain[..40]);
}

#[test]
fn the_largest_bytes_do_not_saturate() {
    // Every byte at its end, so that sums of two products are as large as they can be.
    for (sign, other) in [(1.0, 1.0), (1.0, -1.0), (-1.0, 1.0)] {
        let x = Tensor::new(vec![3, 768], vec![sign; 3 * 768]).unwrap();
        let weight = Tensor::new(vec![768, 32], vec![other; 768 * 32]).unwrap();
        for value in product(&x, &weight) {
            assert!((value - 768.0 * sign * other).abs() < 0.01, "{value} where {} is due", 768.0 * sign * other);
        }
    }
}

fn arguments(folder: &Path, ours: Precision) -> VerifyArgs {
    VerifyArgs {
        bundle: folder.join(ours.to_string()),
        against: Some(folder.join("fp32")),
        willow: None,
        pairs: None,
        golden: None,
        tolerance: None,
        provider: None,
        threads: 0,
        repeat: 1,
        json: false,
    }
}

#[test]
fn descriptors_of_half_precision_and_of_eight_bits_stay_near() {
    let folder = tempfile::tempdir().unwrap();
    bundles(folder.path(), &[Precision::Fp32, Precision::Fp16Storage, Precision::Fp16, Precision::Int8]);
    for (precision, least) in [(Precision::Fp16Storage, 0.99999), (Precision::Fp16, 0.99999), (Precision::Int8, 0.9995)]
    {
        let report = verify::run(&arguments(folder.path(), precision)).unwrap();
        let compared: Vec<_> = report.rows.iter().filter(|row| row.precision == precision).collect();
        assert!(compared.len() >= 2);
        for row in compared {
            let (cosine, error) = (row.cosine_min.unwrap(), row.relative_error.unwrap());
            eprintln!("{precision} at {}: cosine {cosine:.7}, error {error:.1e}", row.width);
            // It must show that something was rounded, or this compares fp32 with itself.
            assert!(cosine >= least && error > 1e-5, "{precision}: {cosine} {error}");
        }
    }
}

#[test]
fn verify_prints_a_table_of_both_bundles_and_says_which_provider_is_absent() {
    let folder = tempfile::tempdir().unwrap();
    bundles(folder.path(), &[Precision::Fp32, Precision::Int8]);
    let [int8, fp32] = ["int8", "fp32"].map(|name| folder.path().join(name).display().to_string());
    let output = train(["verify", &int8, "--against", &fp32, "--repeat", "1"]);
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for word in ["bundle", "precision", "MB", "provider", "error", "mean cosine", "min cosine", "peak MiB"] {
        assert!(lines[0].contains(word), "{word} is not in: {}", lines[0]);
    }
    let of = |name: &str| lines.iter().filter(|line| line.starts_with(name) && line.contains(" cpu ")).count();
    assert_eq!((of("fp32"), of("int8")), (2, 2), "{text}");
    assert!(text.contains("error and cosines are against fp32 on cpu"), "{text}");

    let output = train(["verify", &int8, "--against", &fp32, "--repeat", "1", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let providers = |name: &str| report[name].as_array().unwrap().iter().any(|entry| entry["provider"] == "cuda");
    assert!(providers("rows") != providers("absent"), "{report}");
    assert_eq!((&report["rows"][0]["cosine_min"], &report["against"]), (&Value::Null, &json!("fp32 on cpu")));
    assert_eq!((&report["rows"][0]["precision"], &report["rows"][3]["precision"]), (&json!("fp32"), &json!("int8")));
}

#[test]
fn bundles_of_different_things_are_not_compared() {
    let folder = tempfile::tempdir().unwrap();
    bundles(folder.path(), &[Precision::Fp32]);
    let (network, out) = (catalog::DEMO, folder.path().join("normed"));
    let mut options = options(2, Feature::PostNorm, Precision::Fp32);
    options.resolutions = vec![112];
    export(&network, &random::weights(&network.family, 5), &out, &options, |_| {}).unwrap();
    let [fp32, normed] = ["fp32", "normed"].map(|name| folder.path().join(name).display().to_string());
    let output = train(["verify", &normed, "--against", &fp32]);
    assert_refused(&output, &["normed and fp32 cannot be compared", "post_norm of 192 channels and pre_norm"]);
}

#[test]
fn bundles_that_differ_in_more_than_precision_are_not_compared_and_the_field_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let demo = |name: &str, seed: &str, more: &[&str]| {
        let out = folder.path().join(name).display().to_string();
        let output = train(["export", "dinov2-demo14", "--random", seed, "--out", &out].iter().chain(more));
        assert!(output.status.success(), "{}", said(&output));
        out
    };
    let plain = demo("plain", "1", &[]);
    let [other, debiased] = [demo("other", "2", &[]), demo("debiased", "1", &["--debias=4"])];
    let file = folder.path().join("demo.safetensors");
    std::fs::write(&file, &*homolog_tests::train::DEMO).unwrap();
    let trained = folder.path().join("trained").display().to_string();
    let output = train(["add", "dinov2-demo14", "--weights", &file.display().to_string(), "--out", &trained]);
    assert!(output.status.success(), "{}", said(&output));
    for (bundle, words) in [
        (other, ["provenance.checkpoint is", "seed 2"]),
        (debiased, ["debias is", "\"directions\":4"]),
        (trained, ["provenance.checkpoint_sha256 is", "and null"]),
    ] {
        let output = train(["verify", &bundle, "--against", &plain]);
        assert_refused(&output, &["cannot be compared: they differ in more than precision", words[0], words[1]]);
    }
}

#[test]
fn options_that_would_do_nothing_are_refused() {
    for (more, word) in
        [(&["--tolerance", "1"][..], "--golden"), (&["--against", "b", "--willow", "w", "--pairs", "0"], "--pairs")]
    {
        let output = train(["verify", "a"].iter().chain(more));
        assert!(output.status.code() == Some(2) && said(&output).contains(word), "{}", said(&output));
    }
}

#[test]
fn on_real_photos_eight_bits_match_as_single_precision_does() {
    let Some(willow) = shared("pf-willow") else { return };
    let folder = tempfile::tempdir().unwrap();
    bundles(folder.path(), &[Precision::Fp32, Precision::Int8]);
    let arguments =
        VerifyArgs { willow: Some(willow), pairs: NonZeroUsize::new(20), ..arguments(folder.path(), Precision::Int8) };
    let report = verify::run(&arguments).unwrap();
    let agreement = report.agreement.as_ref().unwrap();
    assert_eq!((agreement.pairs, agreement.points, agreement.resolution), (20, 200, 224));
    assert_eq!((agreement.provider, report.rows[0].provider), (Provider::Cpu, Provider::Cpu));
    eprintln!("{report}");
    assert!(agreement.same_token > 0.9 && agreement.within_a_patch >= agreement.same_token);
    let [ours, theirs] = &agreement.pck;
    assert_eq!((ours.bundle.as_str(), theirs.bundle.as_str()), ("int8", "fp32"));
    assert!((ours.per_point - theirs.per_point).abs() < 0.05);
    let text = report.to_string();
    for words in
        ["PF-WILLOW, 20 pairs, 200 points, at 224, on cpu", "same token", "within a patch", "per-point PCK@0.10 int8"]
    {
        assert!(text.contains(words), "{words} is not in: {text}");
    }
}

#[tokio::test]
async fn the_service_matches_alike_in_every_precision() {
    let folder = tempfile::tempdir().unwrap();
    bundles(folder.path(), &[Precision::Fp32, Precision::Fp16, Precision::Int8]);
    let service = Service::start_with(folder.path(), &[]).await;
    let photo = |name: &str| std::fs::read(root().join("openapi/examples").join(name)).unwrap();
    let (source, target) = (photo("a.jpg"), photo("b.jpg"));
    let mut places = Vec::new();
    for model in ["fp32", "fp16", "int8"] {
        let request = json!({ "model": model, "points": [[400, 60], [240, 180]], "resolution": 224 });
        let response = service.post_form(form(&source, &target, &request)).await;
        assert_eq!(response.status(), 200, "{model}");
        let answer: Value = response.json().await.unwrap();
        let matches = answer["targets"][0]["matches"].as_array().unwrap().clone();
        places.push(matches.into_iter().map(|found| found["target"].clone()).collect::<Vec<_>>());
    }
    let far = |a: &Value, b: &Value| {
        (0..2).map(|axis| (a[axis].as_f64().unwrap() - b[axis].as_f64().unwrap()).abs()).fold(0.0, f64::max)
    };
    for others in &places[1..] {
        for (other, exact) in others.iter().zip(&places[0]) {
            // A tenth of a patch of the photo.
            assert!(far(other, exact) < 3.5, "{other} and {exact}");
        }
    }
}

#[test]
fn quantize_and_precision_are_one_choice() {
    let folder = tempfile::tempdir().unwrap();
    let weights: PathBuf = folder.path().join("demo.safetensors");
    std::fs::write(&weights, &*homolog_tests::train::DEMO).unwrap();
    let export = |name: &str, more: &[&str]| {
        let out = folder.path().join(name).display().to_string();
        let weights = weights.display().to_string();
        train(["export", "dinov2-demo14", "--weights", &weights, "--out", &out].iter().chain(more))
    };
    for (name, more, precision) in [
        ("a", &["--quantize", "int8"][..], Precision::Int8),
        ("b", &["--precision", "fp16"], Precision::Fp16),
        ("c", &["--precision", "fp16-storage"], Precision::Fp16Storage),
        ("d", &[], Precision::Fp32),
    ] {
        let output = export(name, more);
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!(Bundle::open(&folder.path().join(name)).unwrap().manifest().precision, precision);
    }
    let output = export("e", &["--quantize", "int8", "--precision", "fp16"]);
    assert!(!output.status.success() && said(&output).contains("cannot be used with"), "{}", said(&output));
}
