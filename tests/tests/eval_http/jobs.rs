//! Jobs: followed, listed, repeated, bounded, cancelled, forgotten.

use super::{Running, quick, taken};
use homolog_tests::service::assert_problem;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn an_evaluation_is_taken_followed_to_its_end_and_listed() {
    let running = Running::start(6, 2, &[]).await;
    let id = running
        .take(json!({"dataset": "squares", "runs": [quick(), {"resolution": 112, "matcher": {"kind": "argmax"}}]}))
        .await;
    let job = running.ended(&id).await;
    assert_eq!(job["state"], "done", "{job}");
    let progress = &job["progress"];
    assert_eq!((&progress["pairs_done"], &progress["pairs_total"]), (&json!(12), &json!(running.pairs)));
    assert_eq!((&progress["images_done"], &progress["images_total"]), (&json!(6), &json!(6)));
    assert_eq!(progress["running_pck"].as_array().unwrap().len(), 2);
    assert_eq!(job["runs"][1]["matching"]["matcher"]["kind"], "argmax");
    assert_eq!(job["runs"][0]["digest"].as_str().unwrap().len(), 64);
    assert!(!job["version"].as_str().unwrap().is_empty());
    let second = running.take(json!({"dataset": "squares", "runs": [quick()]})).await;
    let list = running.json("/eval").await;
    let ids: Vec<&str> =
        list["evaluations"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [&second, &id]);
    let page = running.json("/eval?skip=1&limit=1").await;
    assert_eq!(page["evaluations"][0]["id"], id);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_tell_how_far_it_is_and_end_with_it() {
    let running = Running::start(12, 4, &[]).await;
    let id = running.take(json!({"dataset": "squares"})).await;
    let response = running.service.get(&format!("/eval/{id}/events")).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let text = tokio::time::timeout(Duration::from_secs(60), response.text()).await.expect("the stream ends").unwrap();
    let named =
        |start: &str| text.lines().filter_map(|line| line.strip_prefix(start)).map(str::trim).collect::<Vec<_>>();
    let (names, data) = (named("event:"), named("data:"));
    assert_eq!(names.len(), data.len());
    assert_eq!(names.last(), Some(&"done"));
    let mut last = 0;
    for data in &data {
        let job: Value = serde_json::from_str(data).unwrap();
        let done = job["progress"]["pairs_done"].as_u64().unwrap();
        assert!(done >= last);
        last = done;
    }
    assert_eq!(last, running.pairs as u64);
    assert_problem(running.service.get("/eval/none/events").await, 404, "unknown-evaluation", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_repeated_under_its_key_is_one_evaluation() {
    let running = Running::start(4, 1, &[]).await;
    let post = |body: Value, key: &'static str| {
        let request = running.service.client.post(format!("{}/eval", running.service.url));
        request.header("content-type", "application/json").header("idempotency-key", key).body(body.to_string()).send()
    };
    let body = json!({"dataset": "squares", "runs": [quick()]});
    let first = taken(post(body.clone(), "mine").await.unwrap()).await;
    assert_eq!(taken(post(body.clone(), "mine").await.unwrap()).await, first);
    assert_ne!(taken(post(body, "another").await.unwrap()).await, first);
    // the request is what counts, not what has become of the dataset
    homolog_tests::pairs::write(&running._folder.path().join("data"), 5, 1);
    let body = json!({"dataset": "squares", "runs": [quick()]});
    assert_eq!(taken(post(body, "mine").await.unwrap()).await, first);
    let other = post(json!({"dataset": "squares"}), "mine").await.unwrap();
    assert_problem(other, 422, "idempotency-key-reused", Some("idempotency-key")).await;
    let empty = post(json!({"dataset": "squares"}), " ").await.unwrap();
    assert_problem(empty, 422, "invalid-request", Some("idempotency-key")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_evaluation_stops_keeps_what_it_has_and_is_then_forgotten() {
    // the second waits behind the first, and a third is too many
    let running = Running::start(40, 10, &["--eval-jobs", "2"]).await;
    let body = json!({"dataset": "squares", "runs": [{"resolution": 448}]});
    let (first, second) = (running.take(body.clone()).await, running.take(body.clone()).await);
    let refused = running.post(body.clone()).await;
    assert!(refused.headers().contains_key("retry-after"));
    assert_problem(refused, 429, "queue-full", None).await;
    while running.json(&format!("/eval/{first}")).await["progress"]["pairs_done"] == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let begun = Instant::now();
    let response = running.request(Method::DELETE, &format!("/eval/{first}"), None).await;
    assert_eq!(response.status(), 200);
    let job: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(job["state"], "cancelled");
    // the worker is free for the next one
    while running.json(&format!("/eval/{second}")).await["state"] == "waiting" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("the next evaluation began {:?} after the first was cancelled", begun.elapsed());
    let done = running.json(&format!("/eval/{first}")).await["progress"]["pairs_done"].clone();
    assert!(done.as_u64().unwrap() > 0 && done.as_u64().unwrap() < running.pairs as u64, "{done}");
    let path = format!("/eval/{first}");
    assert_problem(running.service.get(&format!("{path}/result")).await, 409, "evaluation-not-done", None).await;
    assert_problem(running.service.get(&format!("{path}/report")).await, 409, "evaluation-not-done", None).await;
    assert_eq!(running.request(Method::DELETE, &path, None).await.status(), 200, "a repetition changes nothing");
    let forget = format!("{path}?forget=true");
    assert_eq!(running.request(Method::DELETE, &forget, None).await.status(), 204);
    assert_problem(running.service.get(&path).await, 404, "unknown-evaluation", None).await;
    assert_problem(running.request(Method::DELETE, &path, None).await, 404, "unknown-evaluation", None).await;
    running.request(Method::DELETE, &format!("/eval/{second}"), None).await;
}
