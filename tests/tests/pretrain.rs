//! `homolog-train pretrain` as a person runs it: a network from nothing, a few steps of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use homolog_core::bundle::Bundle;
use homolog_tests::{
    root,
    train::{assert_refused, said, train},
};
use serde_json::Value;
use std::{fs, path::Path};

/// The committed recipe, cut down to a dozen steps of few pictures, with its words replaced.
fn recipe(folder: &Path, replaced: &[(&str, toml::Value)]) -> String {
    let text = fs::read_to_string(root().join("src/train/recipes/demo.toml")).unwrap();
    let mut recipe: toml::Table = toml::from_str(&text).unwrap();
    let stage = toml::toml! {
        steps = 12
        side = 112
        categories = 3
        instances = 2
        zoom = 1.5
        strength = [0.1, 0.3]
    };
    let mut set = |path: &str, value: toml::Value| {
        let mut words: Vec<&str> = path.split('.').collect();
        let last = words.pop().unwrap();
        let table = words.into_iter().fold(&mut recipe, |table, word| {
            let value = &mut table[word];
            let value = if value.is_array() { &mut value[0] } else { value };
            value.as_table_mut().unwrap()
        });
        table.insert(last.into(), value);
    };
    set("pictures.stages", vec![stage].into());
    set("validation.images", 2.into());
    set("validation.pairs", 1.into());
    set("training.steps", 12.into());
    set("training.warmup", 2.into());
    set("bundle.resolutions", vec![112].into());
    set("bundle.default_resolution", 112.into());
    replaced.iter().for_each(|(path, value)| set(path, value.clone()));
    let path = folder.join("recipe.toml");
    fs::write(&path, recipe.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_network_begins_to_learn_and_becomes_a_bundle_that_says_how() {
    let place = tempfile::tempdir().unwrap();
    let text = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let drawn = ["synth", "--seed", "3", "--categories", "car", "--images", "0,0,2", "--pairs", "0,0,2"];
    let drawn = train(drawn.map(str::to_owned).into_iter().chain(["--out".to_owned(), text("data")]));
    assert!(drawn.status.success(), "{}", said(&drawn));
    let pretrain = |config: String| {
        let measure = format!("spair71k:test@{}", text("data"));
        let words = ["pretrain", "--run", &text("run"), "--out", &text("bundle"), "--measure", &measure, "--config"];
        train(words.map(str::to_owned).into_iter().chain([config]))
    };
    let output = pretrain(recipe(place.path(), &[]));
    assert!(output.status.success(), "{}", said(&output));

    let metrics = fs::read_to_string(place.path().join("run/metrics.jsonl")).unwrap();
    let steps: Vec<f64> = metrics
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["kind"] == "step")
        .map(|line| line["parts"]["prototypes"].as_f64().unwrap())
        .collect();
    assert_eq!(steps.len(), 12);
    // no chance does that: what is drawn differs, what is learned first is what is no object
    assert!(steps[11] < 0.8 * steps[0], "{steps:?}");

    let bundle = Bundle::open(&place.path().join("bundle")).unwrap();
    let manifest = bundle.manifest();
    assert!(manifest.provenance.recipe.as_ref().is_some_and(|recipe| recipe.contains("zoom = 1.5")));
    for dataset in ["synthetic:val", "spair71k:test:large"] {
        assert!(manifest.results.iter().any(|result| result.dataset == dataset), "{dataset}: {:?}", manifest.results);
    }
    assert_refused(&pretrain(recipe(place.path(), &[])), &["bundle", "is there already"]);
}

#[test]
fn a_recipe_of_which_nothing_can_be_made_is_refused_by_its_field() {
    let refused = [
        ("pictures.stages.zoom", toml::Value::from(9.0), "pictures.stages.zoom"),
        ("pictures.stages.side", 100.into(), "not a multiple of the patch"),
        ("pictures.stages.instances", 1.into(), "pictures.stages.instances"),
        ("pictures.stages.categories", 19.into(), "pictures.stages.categories"),
        ("network", "dinov2-nothing".into(), "dinov2-nothing"),
        ("training.stepps", 1.into(), "stepps"),
    ];
    for (path, value, word) in refused {
        let place = tempfile::tempdir().unwrap();
        let config = recipe(place.path(), &[(path, value)]);
        let [run, out] = ["run", "bundle"].map(|name| place.path().join(name).to_str().unwrap().to_owned());
        assert_refused(&train(["pretrain", "--config", &config, "--run", &run, "--out", &out]), &[word]);
        assert!(!Path::new(&out).exists());
    }
}
