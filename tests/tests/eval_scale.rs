//! SPair-71k at its real size through the real service. Times are printed, not required.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use homolog_backbone::{
    Family, Mlp,
    catalog::{Network, Origin},
    dinov2,
    export::export,
    random,
};
use homolog_core::{
    bundle::{Bundle, Feature, Precision},
    image::{DecodeLimits, Photo},
};
use homolog_engine::{Engine, EngineConfig, ProviderChoice};
use homolog_eval::{
    Dataset,
    readers::{ReadOptions, Split, spair71k},
};
use homolog_tests::{options, service::Service, spair_tree};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

/// Pixels on an image's side: 32 × 32 tokens, so that the descriptors of all 540 images take 138 MB.
const SIDE: u32 = 448;
const WIDTH: usize = 64;
/// Memory that descriptors may take, MiB.
const MEMORY: &str = "16";
/// What a service may have taken by the end beyond what it had taken early, KiB: less than the descriptors would.
const FLAT: u64 = 64 * 1024;
const ENCODES: usize = 100;

/// A network of one block, which costs little.
fn tiny(folder: &Path) {
    let config = dinov2::Config {
        patch: 14,
        width: WIDTH,
        depth: 1,
        heads: 2,
        mlp: Mlp::Gelu,
        hidden: WIDTH,
        registers: 0,
        position_grid: 4,
    };
    let (family, feature) = (Family::DinoV2(config), Feature::PostNorm);
    let network = Network { name: "tiny", family, resolution: SIDE, feature, licence: "MIT", origin: Origin::None };
    let mut options = options(1, feature, Precision::Fp32);
    options.resolutions = vec![SIDE];
    export(&network, &random::weights(&family, 5), &folder.join("tiny"), &options, |_| {}).unwrap();
}

/// The test split, read and listed.
fn read(folder: &Path) -> Dataset {
    let begun = Instant::now();
    let options = ReadOptions { strict: true, check_images: true };
    let dataset = spair71k::read(folder, spair71k::Layout::Large, Split::Test, &options).unwrap();
    let listed: BTreeSet<&str> = dataset.pairs.iter().map(|pair| pair.id.as_str()).collect();
    println!("{} pairs read and listed in {:.2?}", listed.len(), begun.elapsed());
    assert_eq!((listed.len(), dataset.left_out()), (12_234, 0));
    dataset
}

/// Most memory that a process has had at once so far, KiB.
fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

/// Time of one bare encoding, the mean of many.
async fn encode(models: &Path, photo: &Path) -> Duration {
    let config =
        EngineConfig { provider: ProviderChoice::Cpu, workers: 1, threads: 0, queue: 4, ..EngineConfig::default() };
    let engine = Engine::start(&config, vec![Bundle::open(&models.join("tiny")).unwrap()]).unwrap();
    let model = engine.model("tiny").unwrap();
    let photo = Photo::decode(&std::fs::read(photo).unwrap(), &DecodeLimits::default()).unwrap();
    let (pixels, _) = model.manifest().preparation(SIDE).prepare(&photo).unwrap();
    engine.describe(model, pixels.clone()).await.unwrap();
    let begun = Instant::now();
    for _ in 0..ENCODES {
        engine.describe(model, pixels.clone()).await.unwrap();
    }
    begun.elapsed() / ENCODES as u32
}

#[tokio::test(flavor = "multi_thread")]
async fn the_test_split_of_real_size_is_evaluated_in_flat_memory() {
    let folder = tempfile::tempdir().unwrap();
    let (data, models) = (folder.path().join("spair"), folder.path().join("models"));
    spair_tree::write(&data, spair_tree::Splits::Test, 71).unwrap();
    tiny(&models);
    let dataset = read(&data);
    let register = format!("spair=spair71k:test@{}", data.display());
    let flags = ["--register", register.as_str(), "--eval-memory-mib", MEMORY, "--log", "warn"];
    let service = Service::start_with(&models, &flags).await;

    let begun = Instant::now();
    let id = service.evaluate(&json!({"dataset": "spair"})).await;
    let done = |job: &Value| job["progress"]["pairs_done"].as_u64().unwrap();
    let early = service.evaluation_until(&id, |job| done(job) >= 1_000).await;
    let before = peak(service.process());
    let ended = |job: &Value| ["done", "failed", "cancelled"].contains(&job["state"].as_str().unwrap());
    let job = service.evaluation_until(&id, ended).await;
    let (took, after) = (begun.elapsed(), peak(service.process()));
    assert_eq!(job["state"], "done", "{job}");
    assert_eq!((done(&job), &job["progress"]["pairs_total"]), (12_234, &json!(12_234)));
    assert!(done(&early) < 12_234 / 2, "early is not late: {early}");
    println!("peak of {before} KiB after {} pairs, {after} KiB after all, in {took:.2?}", done(&early));
    assert!(after <= before + FLAT, "{before} KiB have become {after} KiB");

    let images: BTreeSet<usize> = dataset.pairs.iter().flat_map(|pair| [pair.source, pair.target]).collect();
    let encoding = encode(&models, &dataset.images[0].path).await * images.len() as u32;
    let ratio = took.as_secs_f64() / encoding.as_secs_f64();
    println!("{ratio:.1} × the {encoding:.2?} that {} bare encodings of so small a network take", images.len());

    let response = service.get(&format!("/eval/{id}/result")).await;
    let result: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    let run = &result["runs"][0];
    assert_eq!((&result["dataset"]["pairs"], &run["failures"]), (&json!(12_234), &json!([])));
    assert_eq!(run["report"]["overall"]["pairs"], 12_234);
    for (name, pairs, _) in spair_tree::CATEGORIES {
        assert_eq!(run["report"]["categories"][name]["pairs"], pairs, "{name}");
    }
}
