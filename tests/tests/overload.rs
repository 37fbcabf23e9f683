//! More requests than the service can take, requests that take too long, and a stop in the middle of it all.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::future::join_all;
use homolog_tests::{
    golden,
    service::{Service, assert_problem, form, noise},
};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    time::Duration,
};

fn photo() -> Vec<u8> {
    std::fs::read(golden("images/rgb.jpg")).unwrap()
}

/// The greatest resolution, so that requests meet in the queue.
fn slow() -> Value {
    json!({ "points": [[1, 1]], "resolution": 448 })
}

#[tokio::test]
async fn a_full_queue_is_told_at_once_and_what_was_taken_is_answered() {
    let service = Service::start(&["--queue", "1", "--workers", "1"]).await;
    // all different, or they would be encoded once for all
    let pairs = (0..24).map(|seed| form(&noise(2 * seed), &noise(2 * seed + 1), &slow()));
    let answers = join_all(pairs.map(|pair| service.post_form(pair))).await;
    let (mut answered, mut refused) = (0, 0);
    for answer in answers {
        if answer.status() == 200 {
            answered += 1;
            continue;
        }
        let after: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!(after >= 1);
        assert_problem(answer, 429, "queue-full", None).await;
        refused += 1;
    }
    assert!(answered >= 1 && refused >= 1, "{answered} answered, {refused} refused");
    assert_eq!(service.post_form(form(&noise(100), &noise(101), &slow())).await.status(), 200);
}

#[tokio::test]
async fn an_upload_that_stalls_is_given_up_with_504() {
    let service = Service::start(&["--request-timeout-s", "1"]).await;
    let address = service.url.trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let head = "POST /match HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(b"{\"po").unwrap();
    let mut answer = [0; 4096];
    let length = stream.read(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 504"), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
    let photo = photo();
    let quick = json!({ "points": [[1, 1]], "resolution": 112 });
    assert_eq!(service.post_form(form(&photo, &photo, &quick)).await.status(), 200);
}

#[tokio::test]
async fn a_stop_under_load_finishes_what_runs_and_takes_nothing_new() {
    // however busy the machine is, all of them are taken and finished
    let flags = ["--request-timeout-s", "600", "--shutdown-grace-s", "600", "--shutdown-delay-s", "0"];
    let service = Service::start(&flags).await;
    let running: Vec<_> = (0..12)
        .map(|seed| {
            let pair = form(&noise(2 * seed), &noise(2 * seed + 1), &slow());
            let post = service.client.post(format!("{}/match", service.url)).multipart(pair);
            tokio::spawn(post.send())
        })
        .collect();
    // All of them are inside once one has been answered and a little time has passed.
    tokio::time::sleep(Duration::from_millis(500)).await;
    service.signal_stop();
    // The door is shut while they are still being answered.
    let address = service.url.trim_start_matches("http://").to_owned();
    let refused = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        std::net::TcpStream::connect(&address).is_err()
    });
    assert!(refused, "a new connection was accepted");
    for answer in running {
        let answer = answer.await.unwrap().unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.json::<Value>().await.unwrap()["targets"].as_array().unwrap().len(), 1);
    }
    assert!(service.ended().success());
}

#[tokio::test]
async fn whoever_asks_is_told_of_a_stop_before_the_door_is_shut() {
    let service = Service::start(&["--shutdown-delay-s", "600"]).await;
    service.signal_stop();
    let told = async {
        while service.get("/health/ready").await.status() == 200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        service.get("/health/ready").await
    };
    let told = tokio::time::timeout(Duration::from_secs(30), told).await.expect("it is told");
    assert_problem(told, 503, "not-ready", None).await;
    // who has not asked is answered all the same
    assert_eq!(service.post_form(form(&noise(1), &noise(2), &slow())).await.status(), 200);
}

#[tokio::test]
async fn a_request_that_does_not_end_holds_a_stop_up_for_no_longer_than_the_grace() {
    let flags = ["--request-timeout-s", "600", "--body-timeout-s", "600", "--shutdown-grace-s", "1"];
    let service = Service::start(&flags).await;
    let mut stalled = std::net::TcpStream::connect(service.url.trim_start_matches("http://")).unwrap();
    let head = "POST /match HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{";
    stalled.write_all(head.as_bytes()).unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    service.signal_stop();
    let ended = tokio::task::spawn_blocking(|| service.ended());
    assert!(tokio::time::timeout(Duration::from_secs(60), ended).await.expect("it ends").unwrap().success());
}

#[tokio::test]
async fn a_client_that_leaves_stops_its_run() {
    let service = Service::start(&["--log", "homolog_engine=debug,homolog=info", "--log-format", "json"]).await;
    let address = service.url.trim_start_matches("http://").to_owned();
    // Now and then the client leaves between two runs, and there is nothing to stop: then once more.
    let stopped = (0..10).any(|turn| {
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        stream.write_all(many(1000 * turn).as_bytes()).unwrap();
        service.log_line(&["\"encode\"", "\"stopped\":false"]).expect("images are encoded");
        std::thread::sleep(Duration::from_millis(50));
        drop(stream);
        // The line of the run may stand on either side of that of the request.
        let first = service.log_any(&["the client left", "\"stopped\":true"]).expect("the client left");
        first.contains("stopped")
            || service.log_any(&["\"stopped\":true", "\"queue\""]).is_some_and(|line| line.contains("stopped"))
    });
    assert!(stopped, "ten clients left, and no run was stopped");
    let photo = photo();
    assert_eq!(service.post_form(form(&photo, &photo, &slow())).await.status(), 200);
}

/// A request of one source and a hundred targets, all different, as it goes over the wire.
fn many(seed: u32) -> String {
    let image = |seed| json!({ "base64": STANDARD.encode(noise(seed)) });
    let targets: Vec<Value> = (1..=100).map(|target| image(seed + target)).collect();
    let body = json!({ "points": [[1, 1]], "resolution": 448, "source": image(seed), "targets": targets }).to_string();
    let length = body.len();
    format!(
        "POST /match HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn requests_beyond_the_bound_are_refused_before_their_bodies_are_read() {
    let service = Service::start(&["--max-requests", "1"]).await;
    let address = service.url.trim_start_matches("http://").to_owned();
    let mut long = std::net::TcpStream::connect(&address).unwrap();
    long.write_all(many(0).as_bytes()).unwrap();
    let head = "POST /match HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n";
    // The head alone is enough for a refusal; where it came before the long request was whole, once more.
    let answer = (0..100).find_map(|_| {
        std::thread::sleep(Duration::from_millis(20));
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = [0; 4096];
        let length = stream.read(&mut answer).ok()?;
        Some(String::from_utf8_lossy(&answer[..length]).into_owned())
    });
    let answer = answer.expect("the head of a request is refused");
    assert!(answer.starts_with("HTTP/1.1 429") && answer.contains("queue-full"), "{answer}");
    assert_eq!(service.get("/models").await.status(), 200);
    drop(long);
    let mut answer = service.post_form(form(&noise(1), &noise(2), &slow())).await;
    while answer.status() == 429 {
        answer = service.post_form(form(&noise(1), &noise(2), &slow())).await;
    }
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn requests_whose_bodies_come_slowly_hold_no_place() {
    let service = Service::start(&["--max-requests", "1"]).await;
    let address = service.url.trim_start_matches("http://").to_owned();
    let head = "POST /match HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{";
    let stalled: Vec<_> = (0..50)
        .map(|_| {
            let mut stream = std::net::TcpStream::connect(&address).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    assert_eq!(service.post_form(form(&noise(1), &noise(2), &slow())).await.status(), 200);
    drop(stalled);
}

#[tokio::test]
async fn the_log_has_a_span_for_each_stage() {
    let service = Service::start(&["--log", "homolog=debug,homolog_engine=debug", "--log-format", "json"]).await;
    let photo = photo();
    assert_eq!(service.post_form(form(&photo, &photo, &slow())).await.status(), 200);
    for stage in ["decode", "queue", "encode", "match"] {
        let line = service.log_line(&["\"done\"", &format!("\"name\":\"{stage}\"")]).expect(stage);
        assert!(line.contains("\"id\":"), "{line} does not say of which request");
    }
}
