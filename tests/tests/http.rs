//! `POST /match` over a socket with real photos; multipart, JSON and command line alike to the bit.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use homolog_tests::{
    root,
    service::{Service, binary, file, form},
    shared,
};
use reqwest::multipart::Form;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Two photos of PF-WILLOW and the first's keypoints, as its annotation has them.
fn pair() -> Option<(PathBuf, PathBuf, Vec<[f64; 2]>)> {
    let folder = shared("pf-willow")?;
    let csv = std::fs::read_to_string(folder.join("pf_willow_pairs.csv")).unwrap();
    let row: Vec<&str> = csv.lines().nth(1).unwrap().split(',').collect();
    let photo = |name: &str| folder.join(name.replacen("PF-dataset/", "PF-dataset-WILLOW/", 1));
    let number = |index: usize| row[index].parse::<f64>().unwrap();
    let points = (0..10).map(|i| [number(2 + i), number(12 + i)]).collect();
    Some((photo(row[0]), photo(row[1]), points))
}

#[tokio::test]
async fn multipart_json_and_command_line_give_the_same_answer_to_the_bit() {
    let Some((source, target, points)) = pair() else { return };
    let service = Service::start(&[]).await;
    let (a, b) = (std::fs::read(&source).unwrap(), std::fs::read(&target).unwrap());
    let settings = json!({ "points": points, "model": "demo", "resolution": 224, "top_k": 3, "cycle": true,
        "matcher": { "kind": "window_soft_argmax", "window": 7, "temperature": 0.03 } });

    let response = service.post_form(form(&a, &b, &settings)).await;
    assert_eq!(response.status(), 200);
    let timing = response.headers()["server-timing"].to_str().unwrap();
    for stage in ["decode", "queue", "encode", "match"] {
        assert!(timing.contains(&format!("{stage};dur=")), "{timing}");
    }
    assert!(response.headers().contains_key("x-request-id"));
    let by_form = response.bytes().await.unwrap();

    let mut body = settings.clone();
    body["source"] = json!({ "base64": STANDARD.encode(&a) });
    body["targets"] = json!([{ "base64": STANDARD.encode(&b) }]);
    let by_json = service.post_json(body.to_string()).await.bytes().await.unwrap();
    assert_eq!(by_form, by_json);
    let again = service.post_json(body.to_string()).await.bytes().await.unwrap();
    assert_eq!(by_json, again);

    let mut command = std::process::Command::new(binary());
    command.arg("match").arg(&source).arg(&target).args(["--models"]).arg(root().join("models"));
    command.args(["--model", "demo", "--resolution", "224", "--top-k", "3", "--cycle", "--json"]);
    command.args(["--matcher", "window-soft-argmax:window=7,temperature=0.03"]);
    for [x, y] in &points {
        command.args(["--at", &format!("{x},{y}")]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim_end(), String::from_utf8(by_form.to_vec()).unwrap());

    let answer: Value = serde_json::from_slice(&by_form).unwrap();
    let size = &answer["targets"][0];
    let (width, height) = (size["width"].as_f64().unwrap(), size["height"].as_f64().unwrap());
    let matches = size["matches"].as_array().unwrap();
    assert_eq!(matches.len(), points.len());
    for (found, point) in matches.iter().zip(&points) {
        assert_eq!(found["source"], json!(point));
        let (x, y) = (found["target"][0].as_f64().unwrap(), found["target"][1].as_f64().unwrap());
        assert!((0.0..=width).contains(&x) && (0.0..=height).contains(&y));
        assert!((-1.0..=1.0001).contains(&found["similarity"].as_f64().unwrap()));
        assert!((0.0..=1.0).contains(&found["confidence"].as_f64().unwrap()));
        assert!(found["cycle_error"].as_f64().unwrap() >= 0.0);
        assert_eq!(found["candidates"].as_array().unwrap().len(), 3);
    }
}

#[tokio::test]
async fn a_photo_matched_with_itself_gives_each_point_back() {
    let Some((source, _, points)) = pair() else { return };
    let service = Service::start(&[]).await;
    let bytes = std::fs::read(&source).unwrap();
    // Read at the nearest token, the descriptor is that token's own, so the match is its centre.
    let request = json!({ "points": points, "matcher": { "kind": "argmax" }, "sampling": "nearest" });
    let answer: Value = service.post_form(form(&bytes, &bytes, &request)).await.json().await.unwrap();
    let target = &answer["targets"][0];
    let side_in_tokens = answer["resolution"].as_f64().unwrap() / 14.0;
    let half = |side: &str| target[side].as_f64().unwrap() / side_in_tokens / 2.0 + 1e-9;
    for (found, point) in target["matches"].as_array().unwrap().iter().zip(&points) {
        let off = |axis: usize| (found["target"][axis].as_f64().unwrap() - point[axis]).abs();
        assert!(off(0) <= half("width") && off(1) <= half("height"), "{found} from {point:?}");
    }
}

#[tokio::test]
async fn a_picture_is_drawn_and_several_targets_are_answered_in_order() {
    let Some((source, target, points)) = pair() else { return };
    let service = Service::start(&[]).await;
    let (a, b) = (std::fs::read(&source).unwrap(), std::fs::read(&target).unwrap());
    let request = json!({ "points": points }).to_string();
    let two = || Form::new().part("source", file(&a)).part("target", file(&b)).part("target", file(&a));
    let answer: Value = service.post_form(two().text("request", request.clone())).await.json().await.unwrap();
    assert_eq!(answer["targets"].as_array().unwrap().len(), 2);
    assert_ne!(answer["targets"][0], answer["targets"][1]);

    let post = service.client.post(format!("{}/match", service.url)).header("accept", "image/png");
    let response = post.multipart(two().text("request", request)).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "image/png");
    let picture = image::load_from_memory(&response.bytes().await.unwrap()).unwrap();
    for (accept, expected) in [
        ("image/*", "image/png"),
        ("image/png, */*", "image/png"),
        ("image/png;q=0.1, */*", "application/json"),
        ("*/*", "application/json"),
    ] {
        let post = service.client.post(format!("{}/match", service.url)).header("accept", accept);
        let answer = post.multipart(form(&a, &b, &json!({ "points": [[1, 1]] }))).send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], expected, "{accept}");
    }
    assert!(picture.width() > 200 && picture.height() > 100);
}

#[tokio::test]
async fn models_health_and_documentation_answer() {
    let service = Service::start(&[]).await;
    assert_eq!(service.get("/health/live").await.status(), 200);
    let models: Value = service.get("/models").await.json().await.unwrap();
    assert!(models.to_string().contains("demo"));
    let model: Value = service.get("/models/demo").await.json().await.unwrap();
    assert!(model["manifest"]["description"].as_str().is_some_and(|text| text.contains("rendered")));
    assert_eq!(service.get("/models/nobody").await.status(), 404);
    assert_eq!(service.get("/models/..%2f..%2fetc").await.status(), 404);
    let specification: Value = service.get("/openapi.json").await.json().await.unwrap();
    assert!(specification["paths"]["/match"]["post"].is_object());
    let page = service.get("/docs/").await;
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().contains("swagger-ui"));
    assert_eq!(service.get("/nowhere").await.status(), 404);
    service.signal_stop();
    assert!(service.ended().success());
}

#[test]
fn the_committed_specification_is_the_one_the_program_writes() {
    let output = std::process::Command::new(binary()).arg("openapi").output().unwrap();
    let committed = std::fs::read_to_string(root().join("openapi/openapi.json")).unwrap();
    assert!(
        String::from_utf8(output.stdout).unwrap() == committed,
        "openapi/openapi.json is stale: run `make openapi`"
    );
}
