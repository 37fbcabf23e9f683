//! Adaptation from end to end: a bundle and a benchmark in, an adapted bundle out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use clap::Parser;
use homolog_core::bundle::{Adaptation, Bundle, Manifest};
use homolog_synth::Category;
use homolog_train::{
    Error,
    adapt::{self, AdaptArgs, HeadArgs, LoraArgs, Method},
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};
use tempfile::TempDir;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    arguments: AdaptArgs,
}

/// Four pairs of cars, and a place for what is made of them.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        let options = homolog_synth::Options {
            categories: vec![Category::Car],
            seed: 5,
            images: [4, 2, 2],
            pairs: [4, 2, 2],
            strength: 0.3,
            ..homolog_synth::Options::default()
        };
        homolog_synth::write(&place.0.path().join("cars"), &options, &|_, _| {}).unwrap();
        let recipe = "[training]\nlearning_rate = 1e-3\nweight_decay = 0.0\nwarmup = 5\nclip_norm = 1.0\nvalidate_every = 20\nalpha = 0.05\n\
            [training.losses]\nkernel = 3\nsigma = 0.5\ntemperature = 0.05\n[data]\nflip = 0.0\n";
        fs::write(place.0.path().join("recipe.toml"), recipe).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn arguments(&self, out: &str, more: &[&str]) -> AdaptArgs {
        let at = |name: &str| self.path(name).to_str().unwrap().to_owned();
        let cars = format!("spair71k:trn@{}", at("cars"));
        let (model, run) = (demo().to_str().unwrap().to_owned(), at(&format!("run-{out}")));
        let (out, tokens, recipe) = (at(out), at("tokens"), at("recipe.toml"));
        let words = ["", "--model", &model, "--train", &cars, "--validate", &cars, "--out", &out, "--run", &run];
        let kept = ["--token-cache", &tokens, "--config", &recipe];
        Cli::parse_from(words.into_iter().chain(kept).chain(more.iter().copied())).arguments
    }

    fn manifest(&self, out: &str) -> Manifest {
        Bundle::open(&self.path(out)).unwrap().manifest().clone()
    }
}

fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo")
}

fn run(arguments: &AdaptArgs, method: &Method) -> Result<(), Error> {
    adapt::run(arguments, method, &AtomicBool::new(false)).map(drop)
}

#[test]
fn four_pairs_are_learned_by_heart_and_the_backbone_stays_as_it_is() {
    let place = Place::new();
    let arguments = place.arguments("heart", &["--resolution", "224", "--steps", "120"]);
    run(&arguments, &Method::Finetune { blocks: 4 }).unwrap();
    let manifest = place.manifest("heart");
    let best = manifest.results.iter().find(|result| result.metric == "per-image PCK@0.05").unwrap();
    assert_eq!(best.value, 1.0, "{:?}", manifest.results);
    assert_eq!(manifest.adaptation, Adaptation::Finetune { blocks: 4 });
    for name in ["backbone.onnx", "backbone.bin"] {
        assert_eq!(fs::read(place.path("heart").join(name)).unwrap(), fs::read(demo().join(name)).unwrap(), "{name}");
    }
    let base = Bundle::open(&demo()).unwrap();
    assert_eq!(Bundle::open(&place.path("heart")).unwrap().backbone_key(), base.backbone_key());
    assert_ne!(manifest.files["head.bin"], base.manifest().files["head.bin"]);
}

#[test]
fn low_rank_matrices_are_merged_and_a_head_is_kept_apart() {
    let place = Place::new();
    let few = ["--resolution", "112", "--steps", "10"];
    let lora =
        LoraArgs { rank: 2, alpha: 4.0, dropout: 0.1, targets: vec!["q".into(), "mlp".into()], blocks: vec![0, 7] };
    run(&place.arguments("low-rank", &few), &Method::Lora(lora)).unwrap();
    let manifest = place.manifest("low-rank");
    assert!(matches!(manifest.adaptation, Adaptation::Lora { rank: 2, .. }), "{:?}", manifest.adaptation);
    // block 0 is in the backbone
    let base = Bundle::open(&demo()).unwrap();
    assert_ne!(manifest.files["backbone.bin"], base.manifest().files["backbone.bin"]);

    run(&place.arguments("bottleneck", &few), &Method::Head(HeadArgs { width: 32, channels: Some(64) })).unwrap();
    let manifest = place.manifest("bottleneck");
    assert!(matches!(manifest.adaptation, Adaptation::Adapter { width: 32, .. }), "{:?}", manifest.adaptation);
    assert_eq!(manifest.channels, 64);
    assert_eq!(manifest.files["backbone.bin"], base.manifest().files["backbone.bin"]);
}

#[test]
fn a_dry_run_writes_nothing_and_what_cannot_be_is_named() {
    let place = Place::new();
    let arguments = place.arguments("dry", &["--dry-run"]);
    run(&arguments, &Method::Finetune { blocks: 2 }).unwrap();
    for name in ["dry", "run-dry", "tokens"] {
        assert!(!place.path(name).exists(), "{name}");
    }
    let refused = |more: &[&str], method: Method, part: &str| {
        let error = run(&place.arguments("refused", more), &method).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
        assert!(!place.path("refused").exists());
    };
    refused(&[], Method::Finetune { blocks: 9 }, "blocks: 9 of the 8");
    refused(&["--resolution", "100"], Method::Finetune { blocks: 1 }, "resolution: 100 is none of");
    refused(&["--learning-rate", "0"], Method::Finetune { blocks: 1 }, "learning_rate: 0 is not above 0");
    let lora = LoraArgs { rank: 2, alpha: 4.0, dropout: 0.0, targets: vec!["keys".into()], blocks: vec![] };
    refused(&[], Method::Lora(lora), "targets: `keys` is none of");
}
