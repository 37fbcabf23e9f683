//! Bad input, each kind with its status and problem type; never a 5xx, and the next request is answered.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use homolog_tests::{
    golden,
    service::{Service, assert_problem, file, form},
};
use reqwest::multipart::Form;
use serde_json::{Value, json};
use std::io::Write;

fn photo() -> Vec<u8> {
    std::fs::read(golden("images/rgb.jpg")).unwrap()
}

fn good() -> Value {
    json!({ "points": [[10.0, 10.0]] })
}

async fn assert_still_answers(service: &Service) {
    let answer = service.post_form(form(&photo(), &photo(), &good())).await;
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
}

#[tokio::test]
async fn settings_that_make_no_sense_name_their_field() {
    let service = Service::start(&[]).await;
    let far = vec![json!([1.0, 1.0]); 10_001];
    let cases = [
        (json!({ "points": [] }), 422, "invalid-request", "points"),
        (json!({ "points": far }), 422, "invalid-request", "points"),
        (json!({ "points": [[10, 10], [33, 10]] }), 422, "invalid-request", "points[1]"),
        (json!({ "points": [[-1, 10]] }), 422, "invalid-request", "points[0]"),
        (json!({ "points": [[1, 1]], "model": "nobody" }), 404, "unknown-model", "model"),
        (json!({ "points": [[1, 1]], "resolution": 225 }), 422, "invalid-request", "resolution"),
        (json!({ "points": [[1, 1]], "colour": 1 }), 422, "invalid-request", "colour"),
    ];
    for (request, status, kind, field) in cases {
        assert_problem(service.post_form(form(&photo(), &photo(), &request)).await, status, kind, Some(field)).await;
    }
    let matchers = [
        json!({ "kind": "guess" }),
        json!({ "kind": "window_soft_argmax", "window": 4 }),
        json!({ "kind": "window_soft_argmax", "window": 0 }),
        json!({ "kind": "soft_argmax", "temperature": 0 }),
        json!({ "kind": "soft_argmax", "temperature": -0.1 }),
        json!({ "kind": "soft_argmax", "temperature": "NaN" }),
    ];
    for matcher in matchers {
        let request = json!({ "points": [[1, 1]], "matcher": matcher });
        assert_problem(service.post_form(form(&photo(), &photo(), &request)).await, 422, "invalid-request", None).await;
    }
    // NaN and infinity are no JSON; a number beyond every float is.
    for text in ["{\"points\": [[NaN, 1]]}", "{\"points\": [[1, Infinity]]}", "{\"points\": [[1, 1]"] {
        let form = Form::new().part("source", file(&photo())).part("target", file(&photo())).text("request", text);
        assert_problem(service.post_form(form).await, 400, "malformed-request", None).await;
    }
    let beyond = Form::new().part("source", file(&photo())).part("target", file(&photo()));
    let beyond = beyond.text("request", "{\"points\": [[1e999, 1]]}");
    assert_problem(service.post_form(beyond).await, 422, "invalid-request", None).await;
    assert_still_answers(&service).await;
}

#[tokio::test]
async fn files_that_are_no_pictures_are_told_by_their_field() {
    let service = Service::start(&[]).await;
    let whole = photo();
    let mut huge = vec![0x89, b'P', b'N', b'G', 13, 10, 26, 10, 0, 0, 0, 13];
    huge.extend(b"IHDR");
    huge.extend(30_000u32.to_be_bytes());
    huge.extend(30_000u32.to_be_bytes());
    huge.extend([8, 2, 0, 0, 0]);
    let checksum = crc32(&huge[12..]);
    huge.extend(checksum.to_be_bytes());
    // The first pixels begin, as in a real file; the decoder wants to see them before it trusts the header.
    huge.extend([0, 0, 0, 1]);
    huge.extend(b"IDAT");
    let cases: [(&[u8], u16, &str); 4] = [
        (b"", 400, "empty-image"),
        (b"this is not a photograph", 422, "undecodable-image"),
        (&whole[..whole.len() / 2], 422, "undecodable-image"),
        (&huge, 413, "image-too-large"),
    ];
    for (bytes, status, kind) in cases {
        assert_problem(service.post_form(form(bytes, &whole, &good())).await, status, kind, Some("source")).await;
        assert_problem(service.post_form(form(&whole, bytes, &good())).await, status, kind, Some("target[0]")).await;
    }
    assert_still_answers(&service).await;
}

#[tokio::test]
async fn bodies_of_the_wrong_shape_are_refused() {
    let service = Service::start(&["--max-body-bytes", "100000"]).await;
    let text = good().to_string();
    let no_file = Form::new().part("source", file(&photo())).text("request", text.clone());
    assert_problem(service.post_form(no_file).await, 400, "missing-image", Some("target")).await;
    let no_source = Form::new().part("target", file(&photo())).text("request", text.clone());
    assert_problem(service.post_form(no_source).await, 400, "missing-image", Some("source")).await;
    let two = Form::new().part("source", file(&photo())).part("source", file(&photo()));
    let two = two.part("target", file(&photo())).text("request", text.clone());
    assert_problem(service.post_form(two).await, 400, "malformed-request", Some("source")).await;

    assert_problem(service.post_json("{\"points\": ").await, 400, "malformed-request", None).await;
    assert_problem(service.post_json("[]").await, 422, "invalid-request", Some("request")).await;
    assert_problem(service.get("/docs/nothing.js").await, 404, "not-found", None).await;
    let bad_base64 = json!({ "points": [[1, 1]], "source": { "base64": "?" }, "targets": [{ "base64": "" }] });
    assert_problem(service.post_json(bad_base64.to_string()).await, 400, "malformed-request", Some("source")).await;
    let post = service.client.post(format!("{}/match", service.url)).header("content-type", "text/plain");
    assert_problem(post.body("hello").send().await.unwrap(), 415, "unsupported-media-type", None).await;
    assert_problem(service.post_json(vec![b' '; 200_000]).await, 413, "body-too-large", None).await;
    let large = form(&vec![0; 200_000], &photo(), &good());
    assert_problem(service.post_form(large).await, 413, "body-too-large", None).await;
    assert_still_answers(&service).await;
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_frees_the_service() {
    let service = Service::start(&[]).await;
    let address = service.url.trim_start_matches("http://").to_owned();
    for _ in 0..20 {
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        // Half a body, then gone.
        write!(
            stream,
            "POST /match HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{{\"po"
        )
        .unwrap();
    }
    let image = STANDARD.encode(photo());
    let body =
        json!({ "points": [[1, 1]], "source": { "base64": image }, "targets": vec![json!({ "base64": image }); 30] });
    let body = body.to_string();
    for _ in 0..5 {
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        let length = body.len();
        // A whole request, and nobody to take its answer.
        write!(stream, "POST /match HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
    }
    let start = std::time::Instant::now();
    loop {
        let answer = service.post_form(form(&photo(), &photo(), &good())).await;
        match answer.status().as_u16() {
            200 => break,
            429 if start.elapsed().as_secs() < 60 => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            other => panic!("{other}: {}", answer.text().await.unwrap()),
        }
    }
}

/// PNG's checksum, so that the header is a valid one and only its size is wrong.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}
