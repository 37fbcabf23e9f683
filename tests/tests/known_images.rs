//! Nothing is computed twice: images that are sent once, descriptors that are kept, and answers that come line by line.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::future::join_all;
use homolog_tests::service::{Service, assert_problem, form, noise};
use serde_json::{Value, json};
use std::time::Duration;

const HITS: &str = "homolog_cache_requests_total{result=\"hit\"}";
const MISSES: &str = "homolog_cache_requests_total{result=\"miss\"}";
const RUNS: &str = "homolog_runs_total{part=\"backbone\"}";

fn request(source: Value, targets: Vec<Value>) -> String {
    json!({ "points": [[10, 20], [50, 30]], "resolution": 224, "source": source, "targets": targets }).to_string()
}

fn base64(seed: u32) -> Value {
    json!({ "base64": STANDARD.encode(noise(seed)) })
}

#[tokio::test]
async fn an_image_that_was_sent_once_is_named_and_answered_as_if_it_were_sent_again() {
    let service = Service::start(&[]).await;
    let (source, target) = (service.keep(&noise(1)).await, service.keep(&noise(2)).await);
    let sent = service.post_json(request(base64(1), vec![base64(2)])).await.text().await.unwrap();
    let runs = service.metric(RUNS).await;
    let named = service.post_json(request(json!({ "id": source }), vec![json!({ "id": target })])).await;
    assert_eq!(named.status(), 200);
    assert_eq!(named.text().await.unwrap(), sent);
    let mixed = service.post_json(request(json!({ "id": source }), vec![base64(2)])).await;
    assert_eq!(mixed.text().await.unwrap(), sent);
    assert_eq!(service.metric(RUNS).await, runs, "nothing was encoded again");
    assert_eq!((service.metric(MISSES).await, service.metric(HITS).await), (2.0, 4.0));
    let described = json!({ "image": { "id": source }, "resolution": 224 }).to_string();
    let describe = service.client.post(format!("{}/describe", service.url)).header("content-type", "application/json");
    assert_eq!(describe.body(described).send().await.unwrap().status(), 200);
    assert_eq!(service.metric(RUNS).await, runs);
}

#[tokio::test]
async fn an_image_that_nobody_sent_is_named_in_the_refusal_and_one_that_is_forgotten_is_not_answered_for() {
    let service = Service::start(&[]).await;
    let source = service.keep(&noise(1)).await;
    let unknown = "0".repeat(64);
    for id in [unknown.as_str(), "nothing", "../../etc/passwd"] {
        let answer = service.post_json(request(json!({ "id": source }), vec![base64(2), json!({ "id": id })])).await;
        assert_problem(answer, 404, "unknown-image", Some("target[1]")).await;
    }
    for (image, word) in [(json!({}), "neither"), (json!({ "id": source, "base64": "" }), "not by both")] {
        let answer = service.post_json(request(image, vec![base64(2)])).await;
        let text = answer.text().await.unwrap();
        assert!(text.contains(word) && text.contains("\"field\":\"source\""), "{text}");
    }
    let delete = service.client.delete(format!("{}/images/{source}", service.url));
    assert_eq!(delete.send().await.unwrap().status(), 204);
    let answer = service.post_json(request(json!({ "id": source }), vec![base64(2)])).await;
    assert_problem(answer, 404, "unknown-image", Some("source")).await;
}

#[tokio::test]
async fn an_image_that_nobody_asked_for_is_forgotten_in_time() {
    let service = Service::start(&["--keep-images-s", "1"]).await;
    let id = service.keep(&noise(1)).await;
    for _ in 0..600 {
        let answer = service.post_json(request(json!({ "id": id }), vec![base64(2)])).await;
        if answer.status() != 200 {
            return assert_problem(answer, 404, "unknown-image", Some("source")).await;
        }
        // longer than it is kept
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
    panic!("the image is still there");
}

#[tokio::test]
async fn those_who_ask_for_one_image_at_the_same_time_wait_for_one_run() {
    let service = Service::start(&[]).await;
    let before = service.metric(RUNS).await;
    let answers = join_all((0..20).map(|_| service.post_json(request(base64(1), vec![base64(2)])))).await;
    let mut texts = Vec::new();
    for answer in answers {
        texts.push(answer.text().await.unwrap());
    }
    assert!(texts.iter().all(|text| *text == texts[0] && text.contains("matches")), "{}", texts[0]);
    assert_eq!(service.metric(RUNS).await - before, 2.0);
    // other points outside the image are their own request's fault, and nobody else's
    let wrong = json!({ "points": [[1000, 1]], "source": base64(7), "targets": [base64(8)] }).to_string();
    let right = request(base64(7), vec![base64(8)]);
    let bodies = (0..20).map(|turn| service.post_json(if turn % 2 == 0 { wrong.clone() } else { right.clone() }));
    for (turn, answer) in join_all(bodies).await.into_iter().enumerate() {
        assert_eq!(answer.status(), if turn % 2 == 0 { 422 } else { 200 });
    }
}

#[tokio::test]
async fn what_is_kept_stays_within_its_bound_and_none_is_kept_if_none_may_be() {
    // one image of the demo at 224 is 16 × 16 × 192 numbers of four bytes: 192 KiB
    let service = Service::start(&["--cache-mib", "1"]).await;
    for seed in 0..10 {
        assert_eq!(service.post_json(request(base64(seed), vec![base64(seed + 1)])).await.status(), 200);
    }
    let (bytes, entries) = (service.metric("homolog_cache_bytes").await, service.metric("homolog_cache_entries").await);
    assert!(bytes <= 1_048_576.0 && (4.0..=5.0).contains(&entries), "{bytes} bytes of {entries}");
    let none = Service::start(&["--cache-mib", "0"]).await;
    let before = none.metric(RUNS).await;
    let one = none.post_json(request(base64(1), vec![base64(2)])).await.text().await.unwrap();
    assert_eq!(none.post_json(request(base64(1), vec![base64(2)])).await.text().await.unwrap(), one);
    assert_eq!(none.metric(RUNS).await - before, 4.0);
    assert_eq!(none.metric("homolog_cache_entries").await, 0.0);
}

#[tokio::test]
async fn in_half_precision_twice_as_many_are_kept_and_the_first_answer_is_that_of_the_cache() {
    let service = Service::start(&["--cache-mib", "1", "--cache-half"]).await;
    for seed in 0..12 {
        let first = service.post_json(request(base64(seed), vec![base64(seed + 1)])).await.text().await.unwrap();
        assert_eq!(service.post_json(request(base64(seed), vec![base64(seed + 1)])).await.text().await.unwrap(), first);
    }
    let entries = service.metric("homolog_cache_entries").await;
    assert!((9.0..=10.0).contains(&entries), "{entries}");
}

#[tokio::test]
async fn targets_come_line_by_line_as_they_are_ready_and_equal_those_of_one_answer() {
    let service = Service::start(&[]).await;
    let broken = json!({ "base64": STANDARD.encode(b"no picture") });
    let mut targets: Vec<Value> = (2..12).map(base64).collect();
    let whole: Value = service.post_json(request(base64(1), targets.clone())).await.json().await.unwrap();
    targets[3] = broken;
    let post = service.client.post(format!("{}/match", service.url)).header("content-type", "application/json");
    let post = post.header("accept", "application/x-ndjson").body(request(base64(1), targets));
    let answer = post.send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()),
        (200, "application/x-ndjson")
    );
    let text = answer.text().await.unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 12, "{text}");
    for field in ["model", "resolution", "matcher", "sampling", "source"] {
        assert_eq!(lines[0][field], whole[field]);
    }
    assert_eq!(lines[11], json!({ "done": true }));
    let mut seen = Vec::new();
    for line in &lines[1..11] {
        let target = line["target"].as_u64().unwrap() as usize;
        seen.push(target);
        if target == 3 {
            assert_eq!(line["problem"]["field"], "target[3]");
            assert!(line["problem"]["instance"].as_str().is_some_and(|id| !id.is_empty()), "{line}");
            assert!(line["problem"]["type"].as_str().unwrap().ends_with("undecodable-image"));
            continue;
        }
        assert_eq!(line["matches"], whole["targets"][target]["matches"]);
        assert_eq!(line["width"], whole["targets"][target]["width"]);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..10).collect::<Vec<_>>());
    // what is wrong with the source or the request is an answer of its own
    let post = service.client.post(format!("{}/match", service.url)).header("accept", "application/x-ndjson");
    let wrong = post.multipart(form(b"no picture", &noise(1), &json!({ "points": [[1, 1]] }))).send().await.unwrap();
    assert_problem(wrong, 422, "undecodable-image", Some("source")).await;
}
