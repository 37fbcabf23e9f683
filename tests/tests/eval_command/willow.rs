//! PF-WILLOW's 900 pairs: over HTTP and at the command line, against the second evaluator.

use super::{command, document, python};
use homolog_eval::Evaluation;
use homolog_eval::pck::Operator;
use homolog_tests::{service::Service, shared};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn http_and_command_line_agree_to_the_bit_and_with_the_second_evaluator_to_the_hit() {
    let Some(data) = shared("pf-willow") else { return };
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("evaluations.sqlite").display().to_string();
    let register = format!("willow=pf-willow@{}", data.display());
    let service = Service::start(&["--eval-store", &store, "--register", &register]).await;
    let runs = json!([{"model": "demo", "resolution": 112}, {"model": "demo", "resolution": 112, "matcher": {"kind": "argmax"}}]);
    let request = service.client.post(format!("{}/eval", service.url)).header("content-type", "application/json");
    let response = request.body(json!({"dataset": "willow", "runs": runs}).to_string()).send().await.unwrap();
    assert_eq!(response.status(), 202);
    let path = response.headers()["location"].to_str().unwrap().to_owned();
    let job = loop {
        let job: Value = serde_json::from_str(&service.get(&path).await.text().await.unwrap()).unwrap();
        if job["state"] == "done" {
            break job;
        }
        assert!(["waiting", "running"].contains(&job["state"].as_str().unwrap()), "{job}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!((&job["progress"]["pairs_done"], &job["dataset"]["images"]), (&json!(900), &json!(100)));
    let text = service.get(&format!("{path}/result?predictions=true")).await.text().await.unwrap();
    let over_http: Value = serde_json::from_str(&text).unwrap();

    let out = folder.path().join("report");
    let output = command(&[
        "--dataset",
        "pf-willow",
        "--data",
        data.to_str().unwrap(),
        "--model",
        "demo",
        "--resolution",
        "112",
    ])
    .args(["--matcher", "window-soft-argmax", "--matcher", "argmax", "--out", out.to_str().unwrap()])
    .output()
    .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(document(&out), over_http);

    let evaluation = Evaluation::from_json(text.as_bytes()).unwrap();
    let progress = &job["progress"]["running_pck"][0];
    let per_image = evaluation.runs[0].report.overall.get(homolog_eval::pck::Average::PerImage, 0.10).unwrap();
    assert!((progress["per_image"].as_f64().unwrap() - per_image.value).abs() < 1e-12, "{progress}");
    let Some(python) = python::find() else { return };
    for run in &evaluation.runs {
        let results = run.predictions().unwrap();
        assert_eq!(results.len(), 900);
        for operator in [Operator::AtMost, Operator::Below] {
            let settings = homolog_eval::pck::Settings { operator, ..evaluation.settings.clone() };
            python::agrees(&python, results, &settings);
        }
    }
}
