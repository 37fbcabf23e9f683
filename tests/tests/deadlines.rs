//! Time: what a caller waits at most, and what a connection may take to say what it wants.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use homolog_tests::service::{Service, assert_problem, form, noise};
use serde_json::json;
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

const HEAD: &str =
    "POST /match HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{\"po";

fn connect(service: &Service) -> TcpStream {
    let stream = TcpStream::connect(service.url.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

fn heard(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(length) = stream.read(&mut chunk) {
        answer.extend_from_slice(&chunk[..length]);
        if length == 0 || answer.ends_with(b"}") {
            break;
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn many(targets: u32) -> String {
    let image = |seed| json!({ "base64": STANDARD.encode(noise(seed)) });
    let images: Vec<_> = (1..=targets).map(image).collect();
    json!({ "points": [[1, 1]], "resolution": 448, "source": image(0), "targets": images }).to_string()
}

#[tokio::test]
async fn a_caller_says_how_long_it_waits_and_no_longer_than_the_service_lets_it() {
    let service = Service::start(&["--request-timeout-s", "20"]).await;
    let ask = |ms: &str| {
        let post = service.client.post(format!("{}/match", service.url)).header("content-type", "application/json");
        post.header("x-request-timeout-ms", ms).body(many(100)).send()
    };
    let late = ask("200").await.unwrap();
    assert!(late.text().await.unwrap().contains("not finished within 0.2 seconds"));
    assert_problem(ask("200").await.unwrap(), 504, "timeout", None).await;
    for wrong in ["0", "-1", "soon", "1.5", "99999999999999999999999"] {
        assert_problem(ask(wrong).await.unwrap(), 400, "malformed-request", Some("x-request-timeout-ms")).await;
    }
    // what was given up leaves nothing behind
    for _ in 0..100 {
        if service.metric("homolog_runs_in_progress").await == 0.0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(service.metric("homolog_runs_in_progress").await, 0.0);
    assert_eq!(service.metric("homolog_queue_depth{line=\"interactive\"}").await, 0.0);
    // an upload that stalls takes as long as it may
    let capped = Service::start(&["--request-timeout-s", "1", "--body-timeout-s", "600"]).await;
    let mut stream = connect(&capped);
    stream.write_all(HEAD.replace("host: x", "host: x\r\nx-request-timeout-ms: 3600000").as_bytes()).unwrap();
    let late = heard(&mut stream);
    assert!(late.starts_with("HTTP/1.1 504") && late.contains("not finished within 1 second"), "{late}");
}

#[tokio::test]
async fn an_answer_that_comes_in_lines_says_where_its_time_was_over() {
    let service = Service::start(&[]).await;
    let post = service.client.post(format!("{}/match", service.url)).header("content-type", "application/json");
    let post = post.header("accept", "application/x-ndjson").header("x-request-timeout-ms", "400").body(many(100));
    let text = post.send().await.unwrap().text().await.unwrap();
    let last = text.lines().last().unwrap();
    assert!(last.contains("/problems/timeout") && !text.contains("\"done\""), "{last}");
}

#[tokio::test]
async fn a_body_that_stops_coming_is_answered_408() {
    let service = Service::start(&["--body-timeout-s", "1"]).await;
    let mut stream = connect(&service);
    stream.write_all(HEAD.as_bytes()).unwrap();
    let answer = heard(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("/problems/slow-body"), "{answer}");
    // one that comes bit by bit is slow, and no more than that
    let mut stream = connect(&service);
    let body = many(1);
    let length = body.len();
    let head = format!(
        "POST /match HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    for part in body.as_bytes().chunks(length / 4 + 1) {
        std::thread::sleep(Duration::from_millis(500));
        stream.write_all(part).unwrap();
    }
    assert!(heard(&mut stream).starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let service = Service::start(&["--header-timeout-s", "1"]).await;
    for start in ["", "POST /match HT", "GET /models HTTP/1.1\r\nhost: x\r\nx-long: "] {
        let mut stream = connect(&service);
        stream.write_all(start.as_bytes()).unwrap();
        let mut rest = Vec::new();
        // the end of the stream, and not the time-out of this read
        stream.read_to_end(&mut rest).unwrap();
        assert!(!String::from_utf8_lossy(&rest).starts_with("HTTP/1.1 200"));
    }
    // by a connection of its own: the client's was idle for too long
    assert_eq!(reqwest::get(format!("{}/models", service.url)).await.unwrap().status(), 200);
}

#[tokio::test]
async fn bodies_take_no_more_memory_together_than_they_may() {
    let service = Service::start(&["--body-memory-mib", "1", "--max-body-bytes", "1000000"]).await;
    let head = "POST /match HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 900000\r\n\r\n";
    let body = vec![b' '; 900_000];
    // of two that come together either may be the one that is refused: again until it is the second
    let (held, refused) = loop {
        let mut held = connect(&service);
        held.write_all(head.as_bytes()).unwrap();
        held.write_all(&vec![b' '; 800_000]).unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let post = service.client.post(format!("{}/match", service.url)).header("content-type", "application/json");
        let answer = post.body(body.clone()).send().await.unwrap();
        if answer.status() == 429 {
            break (held, answer);
        }
    };
    assert_problem(refused, 429, "queue-full", None).await;
    assert_eq!(service.post_form(form(&noise(1), &noise(2), &json!({ "points": [[1, 1]] }))).await.status(), 200);
    drop(held);
    for _ in 0..100 {
        let post = service.client.post(format!("{}/match", service.url)).header("content-type", "application/json");
        if post.body(body.clone()).send().await.unwrap().status() == 400 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the memory of a body whose sender left was not given back");
}
