//! Requests that make no sense, and datasets that do not.

use super::{Running, quick};
use homolog_tests::service::assert_problem;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_names_its_field() {
    let running = Running::start(2, 1, &[]).await;
    let cases = [
        (json!({}), 422, "invalid-request", Some("dataset")),
        (json!({"dataset": "none"}), 404, "unknown-dataset", Some("dataset")),
        (json!({"dataset": "../data"}), 404, "unknown-dataset", Some("dataset")),
        (json!({"dataset": "squares", "pairs": []}), 422, "invalid-request", Some("pairs")),
        (json!({"dataset": "squares", "images": {"a": {"base64": "QUJD"}}}), 422, "invalid-request", Some("images")),
        (json!({"dataset": "squares", "sset": 1}), 422, "invalid-request", Some("sset")),
        (json!({"dataset": "squares", "runs": [{"model": "none"}]}), 404, "unknown-model", Some("model")),
        (
            json!({"dataset": "squares", "runs": [{"resolution": 113}]}),
            422,
            "invalid-request",
            Some("runs[0].resolution"),
        ),
        (json!({"dataset": "squares", "runs": [quick(), quick()]}), 422, "invalid-request", Some("runs[1]")),
        (json!({"dataset": "squares", "runs": vec![quick(); 33]}), 422, "invalid-request", Some("runs")),
        (json!({"dataset": "squares", "pck": {"alphas": []}}), 422, "invalid-request", Some("pck.alphas")),
        (json!({"dataset": "squares", "pck": {"alphas": [0.2, 0.1]}}), 422, "invalid-request", Some("pck.alphas")),
        (json!({"dataset": "squares", "pck": {"operator": "="}}), 422, "invalid-request", Some("pck.operator")),
        (
            json!({"dataset": "squares", "pck": {"bootstrap": {"resamples": 200_000}}}),
            422,
            "invalid-request",
            Some("pck.bootstrap.resamples"),
        ),
    ];
    for (body, status, kind, field) in cases {
        println!("{body}");
        assert_problem(running.post(body).await, status, kind, field).await;
    }
    let too_many = running.service.get("/eval?limit=1000").await;
    assert_problem(too_many, 422, "invalid-request", Some("limit")).await;
    assert_problem(running.service.get("/eval?limit=x").await, 422, "invalid-request", Some("query")).await;
    assert_problem(running.service.get("/eval/x").await, 404, "unknown-evaluation", None).await;
    assert_eq!(running.json("/eval").await["evaluations"], json!([]), "nothing was taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_gone_costs_its_pairs_and_is_told() {
    let running = Running::start(5, 1, &[]).await;
    let data = running._folder.path().join("data");
    std::fs::remove_file(data.join("2.png")).unwrap();
    let strict = running.post(json!({"dataset": "squares", "strict": true})).await;
    assert_problem(strict, 422, "unusable-dataset", Some("dataset")).await;
    let id = running.take(json!({"dataset": "squares", "runs": [quick()]})).await;
    let job = running.ended(&id).await;
    assert_eq!((&job["dataset"]["pairs"], &job["dataset"]["pairs_left_out"]), (&json!(3), &json!(2)));
    assert_eq!(job["dataset"]["problems"], json!({"missing_image": 2}));
    let problem = &job["dataset"]["first_problems"][0];
    assert_eq!(problem["file"], "2.png");
    // one that is broken instead is found when it is encoded
    std::fs::write(data.join("2.png"), b"\x89PNG\r\n\x1a\n").unwrap();
    let file = homolog_tests::pairs::picture(2);
    std::fs::write(data.join("2.png"), &file[..file.len() / 2]).unwrap();
    let id = running.take(json!({"dataset": "squares", "runs": [quick()]})).await;
    let job = running.ended(&id).await;
    assert_eq!(job["state"], "done", "{job}");
    assert_eq!(job["progress"]["running_pck"][0]["failures"], 2, "{job}");
    let document = running.json(&format!("/eval/{id}/result")).await;
    let failures = document["runs"][0]["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 2);
    assert_eq!(document["runs"][0]["report"]["overall"]["pairs"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinate_of_no_image_is_a_problem_of_its_pair() {
    let running = Running::start(2, 1, &[]).await;
    let list = running._folder.path().join("data/pairs.jsonl");
    let mut lines = std::fs::read_to_string(&list).unwrap();
    let mut far = homolog_tests::pairs::pair("0.png", "1.png");
    far["target_keypoints"] = json!([[1.7e308, 1.7e308], [1.0, 1.0], null]);
    lines += &far.to_string();
    std::fs::write(&list, lines).unwrap();
    let id = running.take(json!({"dataset": "squares", "runs": [quick()]})).await;
    let job = running.ended(&id).await;
    assert_eq!(job["dataset"]["problems"], json!({"malformed": 1}), "{job}");
    assert_eq!(running.json(&format!("/eval/{id}/result")).await["runs"][0]["report"]["overall"]["pairs"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_that_cannot_be_read_is_told_without_its_place() {
    let running = Running::start(2, 1, &[]).await;
    std::fs::remove_file(running._folder.path().join("data/pairs.jsonl")).unwrap();
    let response = running.post(json!({"dataset": "squares"})).await;
    let text = response.text().await.unwrap();
    assert!(text.contains("pairs.jsonl") && !text.contains(running._folder.path().to_str().unwrap()), "{text}");
}
