//! `homolog-train export` with `--adapter` and `--debias`, as a person runs it, over the catalogue's demo network.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use homolog_backbone::{catalog, random};
use homolog_core::bundle::{Bundle, digest_file};
use homolog_tests::{
    golden,
    heads::engine,
    service::built,
    shared,
    train::{said, train},
};
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use std::{path::Path, process::Command};

/// Random weights of the demo network, as a file.
fn weights(folder: &Path) {
    let checkpoint = random::weights(&catalog::DEMO.family, 3);
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = checkpoint
        .shapes()
        .iter()
        .map(|(name, shape)| {
            let data = checkpoint.read(name).unwrap().data;
            (name.clone(), shape.clone(), data.iter().flat_map(|value| value.to_le_bytes()).collect())
        })
        .collect();
    let view = |shape: &Vec<usize>, data| TensorView::new(Dtype::F32, shape.clone(), data).unwrap();
    let views = tensors.iter().map(|(name, shape, data)| (name, view(shape, data)));
    serialize_to_file(views, None, &folder.join("demo.safetensors")).unwrap();
}

/// Runs `export` into `folder/NAME`; what it said, and whether it succeeded.
fn export(folder: &Path, network: &str, name: &str, more: &[&str]) -> (bool, String) {
    let mut command = Command::new(built("homolog-train"));
    command.current_dir(folder).args(["export", network, "--weights", "demo.safetensors", "--out", name]).args(more);
    let output = command.output().expect("cargo build --workspace comes first");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn debias_writes_a_bundle_that_shares_the_plain_backbone() {
    let folder = tempfile::tempdir().unwrap();
    weights(folder.path());
    for (name, more) in [("plain", &[][..]), ("usual", &["--debias"]), ("seven", &["--debias=7"])] {
        let (success, said) = export(folder.path(), "dinov2-demo14", name, more);
        assert!(success, "{said}");
    }
    let open = |name: &str| Bundle::open(&folder.path().join(name)).unwrap();
    let directions = |name: &str| open(name).manifest().debias.map(|debias| (debias.directions, debias.resolution));
    assert_eq!(
        (directions("plain"), directions("usual"), directions("seven")),
        (None, Some((20, 224)), Some((7, 224)))
    );
    assert_eq!(engine(vec![open("plain"), open("usual"), open("seven")]).backbones(), 1);
    // Nothing else: no unfinished folder.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4);
}

#[test]
fn what_cannot_be_exported_is_said_in_a_sentence_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    weights(folder.path());
    let narrow = golden("heads/narrow.pth");
    let evil = golden("pickle/evil.pth");
    let cases: [(&[&str], &str); 5] = [
        (&["--adapter", narrow.to_str().unwrap()], "[32, 16, 1, 1], not [32, 192, 1, 1]"),
        (&["--adapter", evil.to_str().unwrap()], "it asks for posix.system"),
        (&["--adapter", "nowhere.pth"], "nowhere.pth"),
        (&["--debias=192"], "192 directions of descriptors of 192 channels"),
        (&["--debias", "--adapter", narrow.to_str().unwrap()], "cannot be used with"),
    ];
    for (more, reason) in cases {
        let (success, said) = export(folder.path(), "dinov2-demo14", "out", more);
        assert!(!success && said.contains(reason), "{more:?}: {said}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "{more:?}");
    }
    assert!(!folder.path().join("homolog-was-here").exists());
}

#[test]
fn a_published_adapter_is_refused_over_another_network_by_name() {
    let Some(adapter) = shared("diy-sc/0300_dino_spair.pth") else { return };
    let folder = tempfile::tempdir().unwrap();
    weights(folder.path());
    let (success, said) = export(folder.path(), "dinov2-demo14", "out", &["--adapter", adapter.to_str().unwrap()]);
    assert!(!success && said.contains("DIY-SC was trained over dinov2-vitb14, not over dinov2-demo14"), "{said}");
}

#[test]
fn random_weights_take_the_place_of_a_checkpoint_and_are_called_so() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out").display().to_string();
    let output = train(["export", "dinov2-demo14", "--out", &out]);
    assert!(!output.status.success() && said(&output).contains("--weights"), "{}", said(&output));
    let output = train(["export", "dinov2-demo14", "--random", "7", "--out", &out]);
    assert!(output.status.success(), "{}", said(&output));
    let bundle = Bundle::open(out.as_ref()).unwrap();
    assert_eq!(bundle.manifest().provenance.seed, Some(7));
    assert!(bundle.manifest().description.contains("random weights"), "{}", bundle.manifest().description);
}

#[test]
fn add_takes_a_file_that_is_here_whatever_cache_the_environment_names() {
    let folder = tempfile::tempdir().unwrap();
    weights(folder.path());
    let add = |more: &[&str]| {
        let mut command = Command::new(built("homolog-train"));
        command.current_dir(folder.path()).env("HOMOLOG_CACHE", folder.path().join("cache"));
        command.args(["add", "dinov2-demo14", "--weights", "demo.safetensors", "--out", "out"]).args(more);
        command.output().unwrap()
    };
    let output = add(&["--url", "http://127.0.0.1:9/demo.safetensors"]);
    assert!(!output.status.success() && said(&output).contains("cannot be used with"), "{}", said(&output));
    let output = add(&[]);
    assert!(output.status.success(), "{}", said(&output));
    let bundle = Bundle::open(&folder.path().join("out")).unwrap();
    assert_eq!(bundle.manifest().provenance.checkpoint, "demo.safetensors");
    assert!(!folder.path().join("cache").exists());
}

#[test]
fn an_adapters_file_is_noted_with_its_digest() {
    let folder = tempfile::tempdir().unwrap();
    weights(folder.path());
    // The synthetic adapter's first convolution, and its shortcut's, for the demo network's 192 channels.
    let narrow = homolog_backbone::checkpoint::Checkpoint::open(&golden("heads/narrow.pth")).unwrap();
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = narrow
        .shapes()
        .iter()
        .map(|(name, shape)| {
            let tensor = narrow.read(name).unwrap();
            let repeat = if shape.get(1) == Some(&16) { 12 } else { 1 };
            let shape = shape.iter().enumerate().map(|(axis, size)| if axis == 1 { size * repeat } else { *size });
            let data = tensor.data.iter().cycle().take(tensor.data.len() * repeat);
            (name.clone(), shape.collect(), data.flat_map(|value| value.to_le_bytes()).collect())
        })
        .collect();
    let view = |shape: &Vec<usize>, data| TensorView::new(Dtype::F32, shape.clone(), data).unwrap();
    let file = folder.path().join("mine.safetensors");
    serialize_to_file(tensors.iter().map(|(name, shape, data)| (name, view(shape, data))), None, &file).unwrap();

    let (success, said) = export(folder.path(), "dinov2-demo14", "out", &["--adapter", "mine.safetensors"]);
    assert!(success, "{said}");
    let bundle = Bundle::open(&folder.path().join("out")).unwrap();
    let noted = bundle.manifest().provenance.adapter.clone().unwrap();
    assert_eq!((noted.file.as_str(), noted.licence), ("mine.safetensors", None));
    assert_eq!(noted.sha256, digest_file(&file).unwrap().sha256);
    assert_eq!(bundle.manifest().channels, 64);
    engine(vec![bundle]);
}
