//! `homolog-train` as a person runs it: adapting the demo on a synthetic benchmark, killed and taken up again, and served.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use homolog_core::bundle::Bundle;
use homolog_tests::{
    root,
    service::{Service, binary, built},
    train::{assert_refused, safetensors, said, train},
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A benchmark and what is made of it.
struct Place(TempDir);

impl Place {
    /// Draws images and pairs of each of these categories.
    fn new(categories: &str, images: &str, pairs: &str) -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        let data = place.text("data");
        let drawn = train([
            "synth",
            "--out",
            &data,
            "--seed",
            "11",
            "--categories",
            categories,
            "--images",
            images,
            "--pairs",
            pairs,
            "--sides",
            "200,260",
        ]);
        assert!(drawn.status.success(), "{}", said(&drawn));
        fs::create_dir(place.path("models")).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// A command line that adapts the demo into `models/OUT` by the run `OUT`.
    fn adapt(&self, method: &[&str], out: &str, more: &[&str]) -> Vec<String> {
        let demo = root().join("models/demo").to_str().unwrap().to_owned();
        let [trn, val] = ["trn", "val"].map(|split| format!("spair71k:{split}@{}", self.text("data")));
        let (run, tokens, bundle) = (self.text(out), self.text("tokens"), self.text(&format!("models/{out}")));
        let fixed = [
            "--model",
            &demo,
            "--train",
            &trn,
            "--validate",
            &val,
            "--out",
            &bundle,
            "--run",
            &run,
            "--token-cache",
            &tokens,
        ];
        method.iter().chain(&fixed).chain(more).map(|word| (*word).to_owned()).collect()
    }

    fn adapted(&self, method: &[&str], out: &str, more: &[&str]) {
        let output = train(self.adapt(method, out, more));
        assert!(output.status.success(), "{}", said(&output));
    }

    /// Per-image PCK@0.10 of models on the test split.
    fn measured(&self, models: &[&str]) -> Vec<f64> {
        let named = models.iter().flat_map(|model| ["--model", model]);
        let output = Command::new(binary())
            .args([
                "eval",
                "--models",
                &self.text("models"),
                "--dataset",
                "spair71k:test",
                "--data",
                &self.text("data"),
                "--json",
            ])
            .args(["--out", &self.text("report"), "--bootstrap", "0", "--resolution", "112"])
            .args(named)
            .output()
            .unwrap();
        let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
        let score = |run: &Value| {
            let scores = run["report"]["overall"]["scores"].as_array().unwrap();
            let wanted = |score: &&Value| score["average"] == "per_image" && score["alpha"] == 0.1;
            scores.iter().find(wanted).unwrap()["value"].as_f64().unwrap()
        };
        document["runs"].as_array().unwrap().iter().map(score).collect()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fine_tuning_is_better_on_instances_that_nobody_has_seen_and_the_service_holds_one_backbone() {
    let place = Place::new("car", "300,20,40", "1500,100,200");
    copy(&root().join("models/demo"), &place.path("models/demo"));
    let recipe = "[training]\nsteps = 1000\nseed = 1\nlearning_rate = 5e-4\nwarmup = 50\nclip_norm = 1.0\nvalidate_every = 250\n\
                  schedule = { kind = \"cosine\", floor = 0.0 }\n\
                  [training.losses]\nkernel = 3\nsigma = 0.7\ntemperature = 0.05\n";
    fs::write(place.path("recipe.toml"), recipe).unwrap();
    let recipe = place.text("recipe.toml");
    let more = ["--config", &recipe, "--resolution", "112"];
    place.adapted(&["finetune", "--blocks", "4"], "last4", &more);
    let scores = place.measured(&["demo", "last4"]);
    println!("training-free {:.3}, the last four blocks fine-tuned {:.3}", scores[0], scores[1]);
    assert!(scores[1] >= scores[0] + 0.03, "{scores:?}");

    let service = Service::start_with(&place.path("models"), &[]).await;
    let listed: Value =
        service.client.get(format!("{}/models", service.url)).send().await.unwrap().json().await.unwrap();
    let models = listed["models"].as_array().unwrap();
    let shared: Vec<(&Value, &Value)> =
        models.iter().map(|model| (&model["id"], &model["shares_backbone_with"])).collect();
    assert_eq!(
        format!("{shared:?}"),
        r#"[(String("demo"), Array [String("last4")]), (String("last4"), Array [String("demo")])]"#
    );
}

#[test]
fn a_run_killed_at_ten_random_instants_ends_with_the_same_weights() {
    let place = Place::new("car", "6,2,0", "16,2,0");
    let recipe = "[training]\nsteps = 24\nlearning_rate = 1e-3\ncheckpoint_every = 2\nvalidate_every = 6\n[training.losses]\nkernel = 3\n";
    fs::write(place.path("recipe.toml"), recipe).unwrap();
    let recipe = place.text("recipe.toml");
    let more = ["--config", &recipe, "--resolution", "112", "--resume"];
    let start = |name: &str| {
        let mut command = Command::new(built("homolog-train"));
        command.args(place.adapt(&["lora", "--rank", "2", "--dropout", "0.1"], name, &more));
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let begun = Instant::now();
    assert!(start("whole").wait().unwrap().success());
    let length = begun.elapsed();
    // a fixed sequence of odd shares of the whole run's time
    for kill in 0..10u32 {
        let mut child = start("killed");
        sleep(
            length.mul_f64(0.1 + 0.5 * f64::from(kill * 7 % 10) / 10.0)
                + Duration::from_millis(u64::from(kill * 13 % 17)),
        );
        child.kill().unwrap();
        child.wait().unwrap();
    }
    if !place.path("models/killed").exists() {
        assert!(start("killed").wait().unwrap().success());
    }
    for file in [
        "checkpoints/last.safetensors",
        "checkpoints/best.safetensors",
        "metrics.jsonl",
        "adapter/adapter_model.safetensors",
    ] {
        let read = |run: &str| fs::read(place.path(run).join(file)).unwrap();
        assert!(read("whole") == read("killed"), "{file} differs");
    }
    let files = |name: &str| Bundle::open(&place.path("models").join(name)).unwrap().manifest().files.clone();
    assert_eq!(files("whole"), files("killed"));
}

#[test]
fn a_saved_adapter_is_merged_again_into_the_same_network() {
    let place = Place::new("car", "4,2,0", "4,2,0");
    // the demo as a checkpoint: what its bundle was made of, LayerScale folded
    let family = homolog_backbone::catalog::DEMO.family;
    let checkpoint = homolog_backbone::unpack(&root().join("models/demo"), &family).unwrap();
    let tensors = checkpoint.shapes().keys().map(|name| (name.clone(), checkpoint.read(name).unwrap())).collect();
    fs::write(place.path("demo.safetensors"), safetensors(&tensors)).unwrap();
    let lora = ["lora", "--rank", "3", "--alpha", "6", "--targets", "q,v,mlp", "--blocks", "2,7"];
    place.adapted(&lora, "adapted", &["--steps", "4", "--resolution", "112", "--learning-rate", "1e-2"]);

    let config: Value =
        serde_json::from_slice(&fs::read(place.path("adapted/adapter/adapter_config.json")).unwrap()).unwrap();
    assert_eq!((&config["peft_type"], &config["r"], &config["lora_alpha"]), (&"LORA".into(), &3.into(), &6.0.into()));
    let matrices =
        homolog_backbone::checkpoint::Checkpoint::open(&place.path("adapted/adapter/adapter_model.safetensors"))
            .unwrap();
    let name = "base_model.model.encoder.layer.7.attention.attention.query.lora_A.weight";
    assert_eq!(matrices.shapes()[name], [3, 192]);
    assert_eq!(matrices.shapes().len(), 2 * 4 * 2);

    let export = |out: &str, more: &[&str]| {
        let fixed =
            ["export", "dinov2-demo14", "--weights", &place.text("demo.safetensors"), "--precision", "fp16-storage"]
                .map(str::to_owned);
        let sides = ["--resolutions", "112,224,336,448", "--out", &place.text(out)].map(str::to_owned);
        train(fixed.into_iter().chain(sides).chain(more.iter().map(|word| (*word).to_owned())))
    };
    let output = export("merged", &["--lora", &place.text("adapted/adapter")]);
    assert!(output.status.success(), "{}", said(&output));
    let read = |folder: &str, file: &str| fs::read(place.path(folder).join(file)).unwrap();
    for file in ["backbone.bin", "head.bin"] {
        assert!(read("models/adapted", file) == read("merged", file), "{file} differs");
    }
    let manifest = Bundle::open(&place.path("merged")).unwrap().manifest().clone();
    assert_eq!(manifest.adaptation, Bundle::open(&place.path("models/adapted")).unwrap().manifest().adaptation);

    let mut config = config;
    config["use_dora"] = true.into();
    fs::write(place.path("adapted/adapter/adapter_config.json"), config.to_string()).unwrap();
    assert_refused(
        &export("refused", &["--lora", &place.text("adapted/adapter")]),
        &["adapter_config.json", "only plain LoRA"],
    );
    assert!(!place.path("refused").exists());
}
