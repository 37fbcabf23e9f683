//! Every family served side by side by one process, on photos, with random weights, at real width and reduced depth.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use homolog_backbone::{
    Family, Mlp,
    catalog::{Network, Origin},
    dinov2, dinov3,
    export::export,
    random, sam,
};
use homolog_core::bundle::{Feature, Precision};
use homolog_tests::{
    options, root,
    service::{Service, form},
    shared,
};
use serde_json::{Value, json};
use std::path::Path;

/// ViT-B's width with two blocks, one of them in the head.
fn networks() -> [(&'static str, Family, Feature, u32); 4] {
    let dinov2 = dinov2::Config {
        patch: 14,
        width: 768,
        depth: 2,
        heads: 12,
        mlp: Mlp::Gelu,
        hidden: 3072,
        registers: 0,
        position_grid: 37,
    };
    let (mlp, hidden) = (Mlp::Gelu, 3072);
    let dinov3 = dinov3::Config { patch: 16, width: 768, depth: 2, heads: 12, mlp, hidden, registers: 4 };
    let global: &[usize] = &[1];
    let sam = sam::Config {
        patch: 16,
        width: 768,
        depth: 2,
        heads: 12,
        hidden,
        window: 14,
        global,
        position_grid: 64,
        neck: 256,
    };
    [
        ("dinov2", Family::DinoV2(dinov2), Feature::PreNorm, 224),
        ("dinov3", Family::DinoV3(dinov3), Feature::PostNorm, 256),
        ("sam", Family::Sam(sam), Feature::PreNorm, 256),
        ("sam-neck", Family::Sam(sam), Feature::Neck, 256),
    ]
}

fn export_all(folder: &Path) {
    for (name, family, feature, side) in networks() {
        let network = Network { name, family, resolution: side, feature, licence: "MIT", origin: Origin::None };
        let mut options = options(1, feature, Precision::Fp32);
        options.resolutions = vec![side];
        export(&network, &random::weights(&family, 3), &folder.join(name), &options, |_| {}).unwrap();
    }
}

/// Two photos of PF-WILLOW where they are, else the drawings of the README.
fn photos() -> [Vec<u8>; 2] {
    let real = shared("pf-willow/PF-dataset-WILLOW/car(G)");
    let read = |photo: &str, drawing: &str| {
        let drawn = root().join("openapi/examples").join(drawing);
        std::fs::read(real.as_ref().map_or(drawn, |folder| folder.join(photo))).unwrap()
    };
    [read("Cars_006a.png", "a.jpg"), read("Cars_007a.png", "b.jpg")]
}

#[tokio::test]
async fn one_process_serves_all_families_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    export_all(folder.path());
    let service = Service::start_with(folder.path(), &[]).await;
    let listed: Value = service.get("/models").await.json().await.unwrap();
    assert_eq!(listed["models"].as_array().unwrap().len(), 4);
    // SAM's two heads stand on one backbone.
    service.log_line(&["worker ready", "backbones=3"]).expect("three backbones for four models");
    let [source, target] = photos();
    let mut answers = Vec::new();
    for (name, ..) in networks() {
        let request = json!({ "model": name, "points": [[60, 50], [100, 90]] });
        let response = service.post_form(form(&source, &target, &request)).await;
        assert_eq!(response.status(), 200, "{name}");
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["model"], name);
        let target = &answer["targets"][0];
        for found in target["matches"].as_array().unwrap() {
            let similarity = found["similarity"].as_f64().unwrap();
            assert!(similarity > 0.0 && similarity <= 1.0, "{name}: {found}");
            for (axis, side) in ["width", "height"].into_iter().enumerate() {
                let place = found["target"][axis].as_f64().unwrap();
                assert!((0.0..=target[side].as_f64().unwrap()).contains(&place), "{name}: {found}");
            }
        }
        answers.push(target["matches"].clone());
    }
    for (i, answer) in answers.iter().enumerate() {
        assert!(answers[..i].iter().all(|other| other != answer), "two models answer alike: {answer}");
    }
}
