//! More requests than the service can answer, all about one source that it knows.

use crate::ALONE;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use homolog_tests::{photos::New, service::Service};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::JoinSet;

const REQUESTS: usize = 60;
const DEADLINE: u32 = 3000;

#[tokio::test(flavor = "multi_thread")]
async fn targets_of_a_known_source_are_refused_early_too() {
    let _alone = ALONE.lock().await;
    let service = Service::start(&["--log", "warn"]).await;
    let mut photos = New::from(0);
    let id = service.keep(&photos.next().unwrap()).await;
    for (targets, accept) in [(1, "application/json"), (5, "application/json"), (5, "application/x-ndjson")] {
        let ask = |photos: &mut New| {
            let image = || json!({ "base64": STANDARD.encode(photos.next().unwrap()) });
            let images: Vec<Value> = std::iter::repeat_with(image).take(targets).collect();
            let body = json!({ "points": [[120, 80]], "resolution": 336, "source": { "id": id }, "targets": images })
                .to_string();
            let post = service.client.post(format!("{}/match", service.url)).header("content-type", "application/json");
            post.header("accept", accept).header("x-request-timeout-ms", DEADLINE).body(body)
        };
        // the source is known from here on, and what an image takes
        assert_eq!(ask(&mut photos).send().await.unwrap().status(), 200);
        let mut asked = JoinSet::new();
        for _ in 0..REQUESTS {
            asked.spawn(ask(&mut photos).send());
        }
        let (mut answered, mut refused) = (0, 0);
        for answer in asked.join_all().await {
            let answer = answer.unwrap();
            let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
            match status {
                200 => answered += 1,
                429 => refused += 1,
                other => panic!("{other}: {text}"),
            }
            if status == 200 {
                assert_eq!(text.matches("\"matches\"").count(), targets, "{text}");
            }
        }
        println!("{targets} targets of a known source, {accept}: {answered} answered, {refused} refused");
        assert!(answered > 0 && refused > 0, "{answered} answered, {refused} refused");
        // nothing of them is left to be waited for
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(ask(&mut photos).send().await.unwrap().status(), 200);
    }
}
