//! Clients that do not wait for their answers.

use crate::{ALONE, amount};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::{StreamExt, stream};
use homolog_tests::{
    photos::New,
    service::{Service, form},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// Images of a request; at 448 they take most of a second.
const IMAGES: usize = 5;
/// Clients that are there at the same time.
const TOGETHER: usize = 16;
const RUNS: &str = "homolog_runs_total{part=\"backbone\"}";
const LEFT: &str = "homolog_http_requests_total{method=\"POST\",route=\"/match\",status=\"499\"}";

/// A request as it goes over the wire.
fn request(photos: &mut New) -> Vec<u8> {
    let mut images = photos.take(IMAGES).map(|photo| json!({ "base64": STANDARD.encode(photo) }));
    let (source, targets) = (images.next().unwrap(), images.collect::<Vec<Value>>());
    let body = json!({ "points": [[120, 80]], "resolution": 448, "source": source, "targets": targets }).to_string();
    let head = "POST /match HTTP/1.1\r\nhost: x\r\ncontent-type: application/json";
    format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Sends a request and leaves: every fifth in the middle of it, the others sooner or later after its end.
async fn leave(address: &str, client: u64, request: Vec<u8>) {
    let stream = TcpStream::connect(address).await.unwrap();
    let mut bytes = &request[..if client.is_multiple_of(5) { request.len() / 2 } else { request.len() }];
    while !bytes.is_empty() {
        stream.writable().await.unwrap();
        match stream.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            // refused, while others are inside
            Err(_) => return,
        }
    }
    tokio::time::sleep(Duration::from_millis(client * 37 % 400)).await;
}

/// What is being worked on: other requests than the one that asks, images that wait, and runs.
async fn work(service: &Service) -> [f64; 3] {
    let requests = service.metric("homolog_http_requests_in_progress").await - 1.0;
    let waiting = service.metric("homolog_queue_depth{line=\"interactive\"}").await;
    [requests, waiting, service.metric("homolog_runs_in_progress").await]
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_leave_leave_no_work_behind() {
    let _alone = ALONE.lock().await;
    let clients = amount("HOMOLOG_DISCONNECTS", 50);
    let service = Service::start(&["--cache-mib", "8", "--log", "warn"]).await;
    let address = service.url.trim_start_matches("http://").to_owned();
    let mut photos = New::from(0);
    let (files, runs) = (service.metric("process_open_fds").await, service.metric(RUNS).await);

    let requests = (0..clients).map(|client| (client, request(&mut photos)));
    let leaving =
        stream::iter(requests).for_each_concurrent(TOGETHER, |(client, request)| leave(&address, client, request));
    leaving.await;
    let gone = Instant::now();
    let mut left = work(&service).await;
    while left != [0.0; 3] {
        assert!(gone.elapsed() < Duration::from_secs(30), "requests, images and runs that are left: {left:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
        left = work(&service).await;
    }
    println!("the last work ended {:.0?} after the last of {clients} clients had left", gone.elapsed());
    let done = service.metric(RUNS).await;
    println!(
        "{} of them left before their answer, and {} of {} images were run",
        service.metric(LEFT).await,
        done - runs,
        clients * IMAGES as u64
    );
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!((work(&service).await, service.metric(RUNS).await), ([0.0; 3], done), "nothing comes after them");

    let request = json!({ "points": [[1, 1]] });
    let answer = service.post_form(form(&photos.next().unwrap(), &photos.next().unwrap(), &request)).await;
    assert_eq!(answer.status(), 200);
    let open = service.metric("process_open_fds").await;
    assert!(open <= files + 10.0, "{files} files were open, and now {open} are");
}
