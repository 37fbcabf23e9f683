//! Clients that take their time.

use crate::{ALONE, amount, quantile};
use homolog_tests::{
    photos::New,
    service::{Service, form},
};
use serde_json::json;
use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};
use tokio::net::TcpStream;

const HEAD: &str =
    "POST /match HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n";
/// Between two bytes of a client.
const PAUSE: Duration = Duration::from_millis(100);
/// Many times what a match takes alone, ms.
const PATIENCE: u32 = 5000;

/// Connects again and again, and sends byte after byte: half of them never come to the end of the head, the others have a long body.
async fn dribble(address: String, client: u64) {
    loop {
        let Ok(stream) = TcpStream::connect(&address).await else { continue };
        let whole = if client.is_multiple_of(2) { 10 } else { HEAD.len() };
        let mut bytes = &HEAD.as_bytes()[..whole];
        loop {
            match stream.try_write(bytes) {
                Ok(_) => bytes = b"1",
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // the service has had enough of it
                Err(_) => break,
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// What matches take, one after the other, ms; all are answered.
async fn matches(service: &Service, photos: &mut New, count: usize) -> Vec<f64> {
    let request = json!({ "points": [[120, 80]], "resolution": 224 });
    let mut took = Vec::new();
    for _ in 0..count {
        let form = form(&photos.next().unwrap(), &photos.next().unwrap(), &request);
        let begun = Instant::now();
        let post = service.client.post(format!("{}/match", service.url)).header("x-request-timeout-ms", PATIENCE);
        let answer = post.multipart(form).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        took.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_slow_clients_hold_nobody_up() {
    let _alone = ALONE.lock().await;
    let clients = amount("HOMOLOG_SLOW_CLIENTS", 200);
    // places for few requests, and little patience
    let flags = ["--max-requests", "4", "--header-timeout-s", "1", "--body-timeout-s", "1", "--log", "warn"];
    let service = Service::start(&flags).await;
    let mut photos = New::from(0);
    let before = matches(&service, &mut photos, 20).await;
    let files = service.metric("process_open_fds").await;

    let address = service.url.trim_start_matches("http://").to_owned();
    let mut slow = tokio::task::JoinSet::new();
    for client in 0..clients {
        slow.spawn(dribble(address.clone(), client));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let open = service.metric("process_open_fds").await - files;
    let among = matches(&service, &mut photos, 40).await;
    println!(
        "{open} connections of {clients} slow clients; a match took {:.0} ms (p50) before and {:.0} ms among them",
        quantile(&before, 0.5),
        quantile(&among, 0.5)
    );
    assert!(open >= 0.8 * clients as f64, "only {open} connections are open");

    slow.shutdown().await;
    let gone = Instant::now();
    while service.metric("process_open_fds").await > files + 10.0 {
        assert!(gone.elapsed() < Duration::from_secs(30), "their connections stay open");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("their connections were closed {:.2?} after they left", gone.elapsed());
}
