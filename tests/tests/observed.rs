//! What an operator sees: metrics and traces.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use homolog_tests::service::{Service, form, noise};
use serde_json::json;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::mpsc,
    time::Duration,
};

/// Every series that the service has once it has answered a match.
const NAMES: [&str; 23] = [
    "homolog_build_info{version=",
    "homolog_http_requests_total{method=\"POST\",route=\"/match\",status=\"200\"} 1",
    "homolog_http_requests_total{method=\"POST\",route=\"/match\",status=\"400\"} 1",
    "homolog_http_requests_total{method=\"GET\",route=\"none\",status=\"404\"} 2",
    "homolog_http_request_duration_seconds_bucket{le=\"0.25\",route=\"/match\"}",
    "homolog_http_requests_in_progress 1",
    "homolog_stage_duration_seconds_count{stage=\"decode\"} 1",
    "homolog_stage_duration_seconds_count{stage=\"queue\"} 1",
    "homolog_stage_duration_seconds_count{stage=\"encode\"} 1",
    "homolog_stage_duration_seconds_count{stage=\"match\"} 1",
    "homolog_queue_depth{line=\"interactive\"} 0",
    "homolog_queue_depth{line=\"background\"} 0",
    "homolog_runs_in_progress 0",
    "homolog_runs_total{part=\"backbone\"} 3",
    "homolog_preemptions_total 0",
    "homolog_batch_size_count 2",
    "homolog_cache_requests_total{result=\"miss\"} 2",
    "homolog_cache_entries 2",
    "homolog_model_load_seconds{model=\"demo\"}",
    "homolog_evaluations{state=\"running\"} 0",
    "homolog_evaluation_pairs_total 0",
    "process_resident_memory_bytes ",
    "process_cpu_seconds_total ",
];

#[tokio::test]
async fn the_metrics_say_what_happened() {
    let service = Service::start(&[]).await;
    let request = json!({ "points": [[1, 1]] });
    assert_eq!(service.post_form(form(&noise(1), &noise(2), &request)).await.status(), 200);
    assert_eq!(service.post_json("{").await.status(), 400);
    // paths that are none are one series
    for path in ["/nowhere", "/else"] {
        assert_eq!(service.get(path).await.status(), 404);
    }
    let answer = service.get("/metrics").await;
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    let text = answer.text().await.unwrap();
    for name in NAMES {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name} is not in {text}");
    }
    assert!(text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1);
    let memory = service.metric("process_resident_memory_bytes").await;
    assert!((1e6..1e11).contains(&memory), "{memory}");
}

#[tokio::test]
async fn a_client_that_leaves_is_counted_and_leaves_nothing_in_progress() {
    let service = Service::start(&[]).await;
    let slow = json!({ "points": [[1, 1]], "resolution": 448 });
    for seed in 0..5 {
        let post = service.client.post(format!("{}/match", service.url)).multipart(form(
            &noise(2 * seed),
            &noise(2 * seed + 1),
            &slow,
        ));
        let _ = tokio::time::timeout(Duration::from_millis(30), post.send()).await;
    }
    let left = "homolog_http_requests_total{method=\"POST\",route=\"/match\",status=\"499\"}";
    for _ in 0..200 {
        if service.metric(left).await > 0.0 && service.metric("homolog_runs_in_progress").await == 0.0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(service.metric(left).await > 0.0);
    assert_eq!(service.metric("homolog_runs_in_progress").await, 0.0);
    // this very request
    assert_eq!(service.metric("homolog_http_requests_in_progress").await, 1.0);
}

/// A collector: gives the path and the body of each request that is sent to it.
fn collector() -> (String, mpsc::Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let (send, received) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let send = send.clone();
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                loop {
                    let (mut path, mut length) = (String::new(), 0);
                    loop {
                        let mut line = String::new();
                        if reader.read_line(&mut line).unwrap_or(0) == 0 {
                            return;
                        }
                        let lower = line.to_ascii_lowercase();
                        if path.is_empty() {
                            path = line.split_whitespace().nth(1).unwrap_or_default().to_owned();
                        } else if let Some(value) = lower.strip_prefix("content-length:") {
                            length = value.trim().parse().unwrap();
                        }
                        if line.trim().is_empty() {
                            break;
                        }
                    }
                    let mut body = vec![0; length];
                    reader.read_exact(&mut body).unwrap();
                    let _ = send.send((path, body));
                    reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
                }
            });
        }
    });
    (url, received)
}

fn holds(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn spans_are_sent_to_a_collector_and_go_on_with_the_callers_trace() {
    let (url, received) = collector();
    let service = Service::start(&["--otlp-endpoint", &url]).await;
    let trace = *b"\x4b\xf9\x2f\x35\x77\xb3\x4d\xa6\xa3\xce\x92\x9d\x0e\x0e\x47\x36";
    let post = service.client.post(format!("{}/match", service.url));
    let post = post.header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let request = json!({ "points": [[1, 1]] });
    assert_eq!(post.multipart(form(&noise(1), &noise(2), &request)).send().await.unwrap().status(), 200);
    // what has not been sent yet is sent before the end
    service.signal_stop();
    assert!(service.ended().success());
    let mut all = Vec::new();
    while let Ok((path, body)) = received.recv_timeout(Duration::from_secs(2)) {
        assert_eq!(path, "/v1/traces");
        all.extend(body);
    }
    for name in ["homolog", "request", "decode", "queue", "encode", "match"] {
        assert!(holds(&all, name.as_bytes()), "{name} was not sent");
    }
    assert!(holds(&all, &trace), "the caller's trace does not go on");
}

#[tokio::test]
async fn a_collector_that_is_not_there_holds_nobody_up() {
    let service = Service::start(&["--otlp-endpoint", "http://127.0.0.1:9/v1/traces"]).await;
    assert_eq!(service.post_form(form(&noise(1), &noise(2), &json!({ "points": [[1, 1]] }))).await.status(), 200);
    service.signal_stop();
    assert!(service.ended().success());
}
