//! More requests than can be answered in time, though the network has little to do: large photos to decode, many points to search.

use crate::ALONE;
use futures::future::join_all;
use homolog_tests::{
    photos::{New, numbered},
    service::{Service, form},
};
use reqwest::{RequestBuilder, multipart::Form};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const REQUESTS: u32 = 40;

/// A photo of twelve megapixels, as telephones take them.
fn large() -> Vec<u8> {
    let grain = |x: u32, y: u32| ((x + 4000 * y).wrapping_mul(2_654_435_761) >> 27) as u8;
    let pixel =
        |x: u32, y: u32| image::Rgb([(x / 20) as u8 + grain(x, y), (y / 15) as u8 + grain(y, x), grain(x, x + y)]);
    let mut file = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_fn(4000, 3000, pixel).write_to(&mut file, image::ImageFormat::Jpeg).unwrap();
    let file = file.into_inner();
    assert!(file.len() > 1 << 20, "{} bytes", file.len());
    file
}

fn ask(service: &Service, form: Form) -> RequestBuilder {
    service.client.post(format!("{}/match", service.url)).multipart(form)
}

/// Sends many at once, each of which waits as long as a quarter of them take one after the other on two threads; some are answered and
/// the others refused. What is expected is what it took before, and a machine that others use may become slower meanwhile: then once more.
async fn too_many(service: &Service, what: &str, mut form: impl FnMut() -> Form) {
    const TRIES: usize = 3;
    for attempt in 1..=TRIES {
        let answers = at_once(service, what, &mut form).await;
        let known = answers.iter().all(|status| [200, 429].contains(status));
        assert!(known || attempt < TRIES, "{answers:?}");
        if known {
            assert!(answers.contains(&200) && answers.contains(&429), "{answers:?}");
            break;
        }
    }
    assert_eq!(ask(service, form()).send().await.unwrap().status(), 200);
}

/// The statuses of their answers.
async fn at_once(service: &Service, what: &str, form: &mut impl FnMut() -> Form) -> Vec<u16> {
    // what it takes is known from here on
    let mut alone = Duration::ZERO;
    for _ in 0..3 {
        let begun = Instant::now();
        assert_eq!(ask(service, form()).send().await.unwrap().status(), 200);
        alone = begun.elapsed();
    }
    let deadline = (alone * REQUESTS / 8).max(Duration::from_millis(500)).as_millis() as u64;
    let asked = (0..REQUESTS).map(|_| ask(service, form()).header("x-request-timeout-ms", deadline).send());
    let answers: Vec<u16> = join_all(asked).await.into_iter().map(|answer| answer.unwrap().status().as_u16()).collect();
    let count = |status: u16| answers.iter().filter(|found| **found == status).count();
    println!(
        "{what}: one takes {alone:.0?}; of {REQUESTS} in {deadline} ms {} answered, {} refused",
        count(200),
        count(429)
    );
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn photos_that_take_long_to_decode_are_refused_early() {
    let _alone = ALONE.lock().await;
    let service = Service::start(&["--threads", "2", "--log", "warn"]).await;
    let (large, mut number) = (large(), 0);
    let request = json!({ "points": [[120, 80]], "resolution": 112 });
    let mut new = || {
        number += 1;
        numbered(&large, number)
    };
    too_many(&service, "photos of 12 megapixels", || form(&new(), &new(), &request)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn points_that_take_long_to_search_are_refused_early() {
    let _alone = ALONE.lock().await;
    let service = Service::start(&["--threads", "2", "--log", "warn"]).await;
    let points: Vec<[f64; 2]> = (0..10_000).map(|i| [f64::from(i % 400) + 0.5, f64::from(i / 40) + 0.5]).collect();
    let request: Value = json!({ "points": points, "resolution": 448, "cycle": true });
    let photos: Vec<Vec<u8>> = New::from(0).take(2).collect();
    too_many(&service, "10,000 points there and back", || form(&photos[0], &photos[1], &request)).await;
}
