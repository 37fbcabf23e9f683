//! Bundles on disk and in the engine: refusal by name and reason, one backbone for several heads, a bounded queue.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use homolog_core::{
    bundle::{self, Bundle},
    geometry::Size,
    image::Pixels,
};
use homolog_engine::{Engine, EngineConfig, Error, ProviderChoice};
use homolog_tests::root;
use std::path::{Path, PathBuf};

/// A copy of the demo bundle in `folder/demo`.
fn copy(folder: &Path) -> PathBuf {
    let to = folder.join("demo");
    std::fs::create_dir(&to).unwrap();
    for entry in std::fs::read_dir(root().join("models/demo")).unwrap() {
        let from = entry.unwrap().path();
        std::fs::copy(&from, to.join(from.file_name().unwrap())).unwrap();
    }
    to
}

fn edit(bundle: &Path, from: &str, to: &str) {
    let path = bundle.join(bundle::MANIFEST);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from} is not in the manifest");
    std::fs::write(&path, text.replace(from, to)).unwrap();
}

fn refusal(bundle: &Path) -> String {
    Bundle::open(bundle).expect_err("the bundle must be refused").to_string()
}

#[test]
fn the_demo_bundle_is_accepted_and_small() {
    let bundle = Bundle::open(&root().join("models/demo")).unwrap();
    let bytes: u64 = bundle.manifest().files.values().map(|file| file.bytes).sum();
    assert!(bytes <= 12_000_000);
    // its card says how it was made and how good it is
    assert!(bundle.manifest().provenance.recipe.is_some() && !bundle.manifest().results.is_empty());
}

#[test]
fn a_changed_byte_is_refused_with_the_file_named() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = copy(folder.path());
    let path = bundle.join("head.bin");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let reason = refusal(&bundle);
    assert!(reason.contains("demo") && reason.contains("head.bin has sha256"), "{reason}");
}

#[test]
fn a_missing_file_is_refused_with_the_file_named() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = copy(folder.path());
    std::fs::remove_file(bundle.join("backbone.bin")).unwrap();
    assert!(refusal(&bundle).contains("backbone.bin"));
}

#[test]
fn rules_of_the_manifest_are_refused_with_the_field_named() {
    let cases = [
        ("\"schema\": 1", "\"schema\": 2", "schema"),
        ("\"split\": 4", "\"split\": 9", "split"),
        ("\"split\": 4", "\"split\": \"four\"", "split"),
        ("\"default_resolution\": 336", "\"default_resolution\": 337", "default_resolution"),
        ("      112,", "      113,", "resolutions"),
        ("\"channels\": 192", "\"channels\": 0", "channels"),
        ("\"window\": 5", "\"window\": 4", "matcher"),
        ("\"id\": \"demo\"", "\"id\": \"other\"", "id"),
        ("\"head.bin\"", "\"../head.bin\"", "plain file name"),
        ("\"head.bin\"", "\"/head.bin\"", "plain file name"),
        ("\"split\": 4", "\"splt\": 4", "splt"),
    ];
    for (from, to, named) in cases {
        let folder = tempfile::tempdir().unwrap();
        let bundle = copy(folder.path());
        let from = from.trim_start_matches("  ");
        edit(&bundle, from, to.trim_start_matches("  "));
        let reason = refusal(&bundle);
        assert!(reason.contains(named), "{from} → {to}: {reason}");
    }
}

#[test]
fn a_link_out_of_the_bundle_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = copy(folder.path());
    let outside = folder.path().join("outside.bin");
    std::fs::rename(bundle.join("head.bin"), &outside).unwrap();
    std::os::unix::fs::symlink(&outside, bundle.join("head.bin")).unwrap();
    assert!(refusal(&bundle).contains("not a plain file"));
}

#[test]
fn a_refused_bundle_does_not_hide_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = copy(folder.path());
    let good = folder.path().join("good");
    std::fs::rename(&bundle, &good).unwrap();
    edit(&good, "\"id\": \"demo\"", "\"id\": \"good\"");
    copy(folder.path());
    edit(&folder.path().join("demo"), "\"schema\": 1", "\"schema\": 7");
    let found = bundle::scan(folder.path()).unwrap();
    assert_eq!(found.len(), 2);
    assert!(found[0].is_err() && found[1].is_ok());
}

#[test]
fn a_file_that_the_manifest_does_not_name_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = copy(folder.path());
    std::fs::write(bundle.join("more.bin"), b"weights without a digest").unwrap();
    assert!(refusal(&bundle).contains("more.bin"));
}

#[test]
fn a_manifest_that_is_a_link_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = copy(folder.path());
    let outside = folder.path().join("outside.json");
    std::fs::rename(bundle.join(bundle::MANIFEST), &outside).unwrap();
    std::os::unix::fs::symlink(&outside, bundle.join(bundle::MANIFEST)).unwrap();
    assert!(refusal(&bundle).contains("not a plain file"));
}

#[test]
fn the_digest_tells_how_a_bundle_computes_and_not_what_it_is_called() {
    let digest = |from: &str, to: &str| {
        let folder = tempfile::tempdir().unwrap();
        let bundle = copy(folder.path());
        edit(&bundle, from, to);
        Bundle::open(&bundle).unwrap().digest()
    };
    let original = digest("\"fit\": \"squash\"", "\"fit\": \"squash\"");
    assert_eq!(original, digest("\"description\": \"A small", "\"description\": \"In other words, a small"));
    assert_ne!(original, digest("\"fit\": \"squash\"", "\"fit\": \"letterbox\""));
}

#[test]
fn a_bundle_that_does_not_run_does_not_hide_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("bad");
    std::fs::rename(copy(folder.path()), &bad).unwrap();
    edit(&bad, "\"id\": \"demo\"", "\"id\": \"bad\"");
    edit(&bad, "\"channels\": 192", "\"channels\": 191");
    let (bad, demo) = (Bundle::open(&bad).unwrap(), Bundle::open(&root().join("models/demo")).unwrap());
    let engine = engine(vec![bad.clone(), demo], 8);
    assert_eq!(engine.models().map(|model| model.manifest().id.as_str()).collect::<Vec<_>>(), ["demo"]);
    assert!(engine.refused()[0].to_string().contains("the model bad failed"), "{:?}", engine.refused());
    let config =
        EngineConfig { provider: ProviderChoice::Cpu, workers: 1, threads: 1, queue: 1, ..EngineConfig::default() };
    assert!(matches!(Engine::start(&config, vec![bad]), Err(Error::Run { .. })));
}

fn engine(bundles: Vec<Bundle>, queue: usize) -> Engine {
    let config =
        EngineConfig { provider: ProviderChoice::Cpu, workers: 1, threads: 1, queue, ..EngineConfig::default() };
    Engine::start(&config, bundles).unwrap()
}

fn grey(side: u32) -> Pixels {
    let size = Size::new(side, side);
    Pixels::from_chw(size, vec![0.1; 3 * size.pixels() as usize]).unwrap()
}

#[tokio::test]
async fn two_heads_over_one_backbone_hold_it_once_and_answer_alike() {
    let folder = tempfile::tempdir().unwrap();
    let twin = folder.path().join("twin");
    std::fs::rename(copy(folder.path()), &twin).unwrap();
    edit(&twin, "\"id\": \"demo\"", "\"id\": \"twin\"");
    let bundles = vec![Bundle::open(&root().join("models/demo")).unwrap(), Bundle::open(&twin).unwrap()];
    assert_eq!(bundles[0].backbone_key(), bundles[1].backbone_key());
    let engine = engine(bundles, 8);
    assert_eq!((engine.models().count(), engine.backbones()), (2, 1));
    let demo = engine.describe(engine.model("demo").unwrap(), grey(112)).await.unwrap();
    let twin = engine.describe(engine.model("twin").unwrap(), grey(112)).await.unwrap();
    assert_eq!(demo.data(), twin.data());
}

#[tokio::test]
async fn a_full_queue_is_an_error_at_once_and_the_next_image_is_answered() {
    let engine = engine(vec![Bundle::open(&root().join("models/demo")).unwrap()], 1);
    let model = engine.model("demo").unwrap();
    let mut calls: Vec<_> = (0..8).map(|_| Box::pin(engine.describe(model, grey(448)))).collect();
    // Polled once each, all eight are handed in before the first is done.
    let mut refused = 0;
    for call in &mut calls {
        if let std::task::Poll::Ready(Err(Error::QueueFull { .. })) = futures::poll!(call.as_mut()) {
            refused += 1;
        }
    }
    assert!(refused >= 5, "{refused} were refused");
    drop(calls);
    // Dropping them freed the worker; the queue drains.
    loop {
        match engine.describe(model, grey(112)).await {
            Ok(map) => return assert_eq!(map.channels(), 192),
            Err(Error::QueueFull { .. }) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn cuda_that_was_asked_for_and_is_absent_is_an_error_and_auto_falls_back() {
    let start = |provider| {
        let config = EngineConfig { provider, workers: 1, threads: 1, queue: 1, ..EngineConfig::default() };
        Engine::start(&config, vec![Bundle::open(&root().join("models/demo")).unwrap()])
    };
    match start(ProviderChoice::Cuda) {
        Err(Error::CudaUnavailable { .. }) => {
            assert_eq!(start(ProviderChoice::Auto).unwrap().provider(), homolog_engine::Provider::Cpu);
        }
        Ok(_) => eprintln!("skipped: this machine has CUDA"),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn weights_outside_the_bundle_are_refused_by_the_runtime() {
    // The manifest lists what it likes; a graph may still point elsewhere. It must not be followed.
    let folder = tempfile::tempdir().unwrap();
    let bundle = copy(folder.path());
    std::fs::write(folder.path().join("head.xyz"), std::fs::read(bundle.join("head.bin")).unwrap()).unwrap();
    let graph = bundle.join("head.onnx");
    let bytes = std::fs::read(&graph).unwrap();
    use homolog_backbone::onnx::proto::ModelProto;
    use prost::Message;
    let mut model = ModelProto::decode(&bytes[..]).unwrap();
    for tensor in &mut model.graph.as_mut().unwrap().initializer {
        for entry in tensor.external_data.iter_mut().filter(|entry| entry.key == "location") {
            entry.value = "../head.xyz".into();
        }
    }
    std::fs::write(&graph, model.encode_to_vec()).unwrap();
    let info = bundle::digest_file(&graph).unwrap();
    let old = Bundle::open(&root().join("models/demo")).unwrap().manifest().files["head.onnx"].clone();
    edit(&bundle, &old.sha256, &info.sha256);
    edit(&bundle, &format!("\"bytes\": {}\n", old.bytes), &format!("\"bytes\": {}\n", info.bytes));
    let config =
        EngineConfig { provider: ProviderChoice::Cpu, workers: 1, threads: 1, queue: 1, ..EngineConfig::default() };
    let loaded = Engine::start(&config, vec![Bundle::open(&bundle).unwrap()]);
    assert!(matches!(loaded, Err(Error::Load { .. })), "the graph was followed out of its folder");
}
