//! Clients that ask and then do not read the answer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use homolog_tests::service::{Service, assert_problem, form, noise};
use serde_json::json;
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

const TARGETS: u32 = 40;

/// A request whose answer is tens of megabytes, more than the system holds for a reader.
fn long(accept: &str) -> String {
    let image = |seed| json!({ "base64": STANDARD.encode(noise(seed)) });
    let points: Vec<[f32; 2]> = (0..5000).map(|i| [(i % 96) as f32 + 0.25, (i % 64) as f32 + 0.75]).collect();
    let targets: Vec<_> = (1..=TARGETS).map(image).collect();
    let body = json!({ "points": points, "resolution": 112, "source": image(0), "targets": targets }).to_string();
    let length = body.len();
    format!(
        "POST /match HTTP/1.1\r\nhost: x\r\naccept: {accept}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

async fn eventually(what: &str, mut held: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if held().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not within half a minute: {what}");
}

#[tokio::test]
async fn an_answer_that_nobody_reads_holds_no_place_and_its_connection_is_closed() {
    // one place: whoever holds it keeps all others out
    let service = Service::start(&["--max-requests", "1", "--body-timeout-s", "1"]).await;
    for accept in ["application/x-ndjson", "application/json"] {
        let files = service.metric("process_open_fds").await;
        let mut stream = TcpStream::connect(service.url.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(long(accept).as_bytes()).unwrap();
        let searched = "homolog_stage_duration_seconds_count{stage=\"match\"}";
        let before = service.metric(searched).await;
        eventually("its targets are searched", async || service.metric(searched).await > before).await;
        let request = json!({ "points": [[1, 1]], "resolution": 112 });
        eventually("another request is answered", async || {
            service.post_form(form(&noise(1000), &noise(1001), &request)).await.status() == 200
        })
        .await;
        assert_eq!(service.metric("homolog_runs_in_progress").await, 0.0);
        assert_eq!(service.metric("homolog_queue_depth{line=\"interactive\"}").await, 0.0);
        // what the system holds is still there to be read, but not all of it ever comes
        tokio::time::sleep(Duration::from_secs(2)).await;
        eventually("its connection is closed", async || service.metric("process_open_fds").await <= files + 1.0).await;
        let mut read = Vec::new();
        let _ = stream.read_to_end(&mut read);
        let text = String::from_utf8_lossy(&read);
        assert!(text.starts_with("HTTP/1.1 200"), "{}", text.chars().take(300).collect::<String>());
        assert!(!text.contains("\"done\"") && !text.ends_with('}'), "all {} bytes of the answer came", read.len());
    }
}

#[tokio::test]
async fn answers_that_wait_to_be_read_have_so_much_memory_and_take_none_from_others() {
    let flags = ["--answer-memory-mib", "40", "--body-timeout-s", "8"];
    let service = Service::start(&flags).await;
    let ask = async |accept: &str| {
        let request = long(accept);
        let (_, body) = request.split_once("\r\n\r\n").unwrap();
        let post = service.client.post(format!("{}/match", service.url)).header("accept", accept);
        post.header("content-type", "application/json").body(body.to_owned()).send().await.unwrap()
    };
    // also makes what the images look like known
    let whole = ask("application/json").await.bytes().await.unwrap().len();
    assert!((20 << 20..40 << 20).contains(&whole), "an answer has {whole} bytes");
    let mut stalled = TcpStream::connect(service.url.trim_start_matches("http://")).unwrap();
    stalled.write_all(long("application/json").as_bytes()).unwrap();
    stalled.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut status = [0; 12];
    stalled.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    // while it waits there is no room for another of its length, but for all others
    let refused = "homolog_http_requests_total{method=\"POST\",route=\"/match\",status=\"429\"}";
    eventually("another long answer is refused", async || {
        let answer = ask("application/json").await;
        if answer.status() == 200 {
            return false;
        }
        assert_problem(answer, 429, "queue-full", None).await;
        true
    })
    .await;
    let request = json!({ "points": [[1, 1]], "resolution": 112 });
    assert_eq!(service.post_form(form(&noise(1), &noise(2), &request)).await.status(), 200);
    assert_eq!(service.metric(refused).await, 1.0);
    // and when it is given up, for one of its length
    eventually("another long answer is given", async || ask("application/json").await.status() == 200).await;
    drop(stalled);
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_until_one_is_closed() {
    let service = Service::start(&["--max-connections", "3", "--header-timeout-s", "2"]).await;
    let address = service.url.trim_start_matches("http://").to_owned();
    let mut streams: Vec<TcpStream> = (0..8)
        .map(|_| {
            let mut stream = TcpStream::connect(&address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
            stream
        })
        .collect();
    // each is answered, the further ones when those before them have been idle for too long
    for stream in &mut streams {
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
    }
}
