//! The same request has the same answer, to 1e-5, whatever else the service does: alone, in a batch with others, out of the cache, and
//! after requests at other resolutions.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use futures::future::join_all;
use homolog_tests::{
    photos::{examples, numbered},
    service::{Service, file, form},
};
use reqwest::multipart::Form;
use serde_json::{Value, json};

const SAME: f64 = 1e-5;
const SIDES: [u32; 3] = [112, 224, 448];
/// Photos; each is matched with the next.
const PHOTOS: usize = 8;
/// Points in every photo, px.
const POINTS: [[f64; 2]; 5] = [[40.0, 30.0], [200.0, 150.0], [123.4, 251.6], [330.0, 95.0], [301.0, 222.0]];

/// The photos, as files that another `turn` has not sent.
fn photos(turn: u64) -> Vec<Vec<u8>> {
    examples().iter().map(|photo| numbered(photo, turn)).collect()
}

async fn answer(service: &Service, photos: &[Vec<u8>], photo: usize, side: u32) -> Value {
    let request = json!({ "points": POINTS, "resolution": side, "top_k": 2, "cycle": true });
    let answer = service.post_form(form(&photos[photo], &photos[(photo + 1) % PHOTOS], &request)).await;
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// All pairs at a resolution, one after the other.
async fn alone(service: &Service, photos: &[Vec<u8>], side: u32) -> Vec<Value> {
    let mut answers = Vec::new();
    for photo in 0..PHOTOS {
        answers.push(answer(service, photos, photo, side).await);
    }
    answers
}

/// All pairs at a resolution at the same time.
async fn together(service: &Service, photos: &[Vec<u8>], side: u32) -> Vec<Value> {
    join_all((0..PHOTOS).map(|photo| answer(service, photos, photo, side))).await
}

/// The greatest difference of two answers: of similarities, and of places and distances as a share of the longer side of the target.
fn difference(a: &[Value], b: &[Value]) -> f64 {
    assert_eq!(a.len(), b.len());
    let of_pair = |(a, b): (&Value, &Value)| {
        let side = |name: &str| a["targets"][0][name].as_f64().unwrap();
        let length = side("width").max(side("height"));
        numbers(a, b, "", length)
    };
    a.iter().zip(b).map(of_pair).fold(0.0, f64::max)
}

fn numbers(a: &Value, b: &Value, name: &str, length: f64) -> f64 {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => {
            let difference = (x.as_f64().unwrap() - y.as_f64().unwrap()).abs();
            if ["source", "target", "cycle_error"].contains(&name) { difference / length } else { difference }
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            x.iter().zip(y).map(|(x, y)| numbers(x, y, name, length)).fold(0.0, f64::max)
        }
        (Value::Object(x), Value::Object(y)) if x.len() == y.len() => {
            x.iter().map(|(name, x)| numbers(x, &y[name], name, length)).fold(0.0, f64::max)
        }
        _ if a == b => 0.0,
        _ => panic!("{name}: {a} and {b}"),
    }
}

/// The expected answers at every resolution: of a service that runs one image at a time and keeps nothing.
async fn expected() -> Vec<Vec<Value>> {
    let service = Service::start(&["--max-batch", "1", "--cache-mib", "0"]).await;
    let mut answers = Vec::new();
    for side in SIDES {
        answers.push(alone(&service, &photos(0), side).await);
    }
    answers
}

#[tokio::test]
async fn in_a_batch_with_others_as_alone() {
    let service = Service::start(&["--max-batch", "4", "--workers", "1", "--cache-mib", "0"]).await;
    for (side, expected) in SIDES.into_iter().zip(expected().await) {
        let found = together(&service, &photos(0), side).await;
        let difference = difference(&found, &expected);
        println!("at {side}: {difference:.1e}");
        assert!(difference <= SAME, "at {side}: {difference:.1e}");
    }
    let images = service.metric("homolog_batch_size_count").await;
    let of_one = service.metric("homolog_batch_size_bucket{le=\"1.0\"}").await;
    println!("{of_one} of {images} images were run alone");
    assert!(of_one < images / 2.0, "{of_one} of {images} images were run alone");
}

#[tokio::test]
async fn descriptors_in_a_batch_as_alone() {
    let one = Service::start(&["--max-batch", "1", "--cache-mib", "0"]).await;
    let four = Service::start(&["--max-batch", "4", "--workers", "1", "--cache-mib", "0"]).await;
    let photos = photos(0);
    for side in SIDES {
        let mut expected = Vec::new();
        for photo in &photos {
            expected.push(describe(&one, photo, side).await);
        }
        let found = join_all(photos.iter().map(|photo| describe(&four, photo, side))).await;
        for (found, expected) in found.iter().zip(&expected) {
            let squares = |of: &mut dyn Iterator<Item = f32>| of.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt();
            let error = squares(&mut found.iter().zip(expected).map(|(a, b)| a - b));
            let error = error / squares(&mut expected.iter().copied());
            assert!(found.len() == expected.len() && error <= SAME, "at {side}: {error:.1e}");
        }
    }
}

/// An image's descriptors, the numbers of the npy file.
async fn describe(service: &Service, photo: &[u8], side: u32) -> Vec<f32> {
    let form = Form::new().part("image", file(photo)).text("request", json!({ "resolution": side }).to_string());
    let post = service.client.post(format!("{}/describe", service.url)).header("accept", "application/x-npy");
    let answer = post.multipart(form).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let npy = answer.bytes().await.unwrap();
    let start = 10 + usize::from(u16::from_le_bytes([npy[8], npy[9]]));
    npy[start..].as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

#[tokio::test]
async fn out_of_the_cache_as_alone() {
    let service = Service::start(&[]).await;
    let hits = "homolog_cache_requests_total{result=\"hit\"}";
    for (side, expected) in SIDES.into_iter().zip(expected().await) {
        // each photo is in two pairs, so the first time half of them are known already
        for known in [PHOTOS, 2 * PHOTOS] {
            let before = service.metric(hits).await;
            let found = alone(&service, &photos(0), side).await;
            assert_eq!(service.metric(hits).await - before, known as f64);
            let difference = difference(&found, &expected);
            assert!(difference <= SAME, "at {side}: {difference:.1e}");
        }
    }
}

#[tokio::test]
async fn after_any_other_resolutions_as_alone() {
    let service = Service::start(&["--cache-mib", "0"]).await;
    let expected = expected().await;
    let orders = [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1], [2, 0, 1], [1, 0, 2]];
    for (turn, order) in orders.into_iter().enumerate() {
        for side in order {
            let found = alone(&service, &photos(turn as u64), SIDES[side]).await;
            let difference = difference(&found, &expected[side]);
            assert!(difference <= SAME, "{} in the order {order:?}: {difference:.1e}", SIDES[side]);
        }
    }
}
