//! Pairs that come with the request.

use super::{Running, quick, taken};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use homolog_tests::pairs::{pair, picture};
use homolog_tests::service::{assert_problem, file};
use reqwest::Method;
use reqwest::multipart::Form;
use serde_json::{Value, json};

async fn send_form(running: &Running, form: Form) -> reqwest::Response {
    running.service.client.post(format!("{}/eval", running.service.url)).multipart(form).send().await.unwrap()
}

fn named(number: u32, name: &str) -> reqwest::multipart::Part {
    file(&picture(number)).file_name(name.to_owned())
}

/// Numbers without what tells where they come from.
fn numbers(mut document: Value) -> Value {
    document.as_object_mut().unwrap().remove("dataset");
    document
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_base64_and_uploaded_images_give_the_same_numbers_as_a_registered_dataset() {
    let running = Running::start(3, 1, &[]).await;
    let runs = json!([quick()]);
    let registered = running.take(json!({"dataset": "squares", "runs": runs})).await;

    let pairs = json!([pair("0.png", "1.png"), pair("1.png", "2.png"), pair("2.png", "0.png")]);
    let request = json!({"pairs": pairs, "runs": runs, "name": "mine"}).to_string();
    let mut form = Form::new().text("request", request);
    for number in 0..3 {
        form = form.part("image", named(number, &format!("{number}.png")));
    }
    let by_form = taken(send_form(&running, form).await).await;

    let images: serde_json::Map<String, Value> =
        (0..3).map(|number| (format!("{number}.png"), json!({"base64": STANDARD.encode(picture(number))}))).collect();
    let by_base64 = running.take(json!({"pairs": pairs, "images": images, "runs": runs})).await;

    let mut ids = Vec::new();
    for number in 0..3 {
        let form = Form::new().part("image", file(&picture(number)));
        let response = running
            .service
            .client
            .post(format!("{}/images", running.service.url))
            .multipart(form)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 201);
        let image: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        assert_eq!((&image["width"], &image["height"]), (&json!(96), &json!(72)));
        ids.push(image["id"].as_str().unwrap().to_owned());
    }
    let pairs = json!([pair(&ids[0], &ids[1]), pair(&ids[1], &ids[2]), pair(&ids[2], &ids[0])]);
    let by_id = running.take(json!({"pairs": pairs, "runs": runs})).await;

    let mut expected = None;
    for id in [&registered, &by_form, &by_base64, &by_id] {
        let job = running.ended(id).await;
        assert_eq!(job["state"], "done", "{job}");
        let document = running.json(&format!("/eval/{id}/result?predictions=true")).await;
        let found = numbers(document);
        assert_eq!(&found, expected.get_or_insert(found.clone()));
    }
    let document = running.json(&format!("/eval/{by_form}/result")).await;
    assert_eq!(document["dataset"]["name"], "mine");
    // an image stays as long as an evaluation needs it
    let path = format!("/images/{}", ids[0]);
    assert_problem(running.request(Method::DELETE, &path, None).await, 404, "unknown-image", None).await;
    for id in [&by_form, &by_base64, &by_id] {
        assert_eq!(running.request(Method::DELETE, &format!("/eval/{id}?forget=true"), None).await.status(), 204);
    }
    assert_eq!(running.request(Method::DELETE, &path, None).await.status(), 204);
    assert_problem(running.request(Method::DELETE, &path, None).await, 404, "unknown-image", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_is_wrong_is_named_and_nothing_of_the_disk_is_read_or_shown() {
    let running = Running::start(2, 1, &[]).await;
    let post = |pairs: Value| {
        let images =
            json!({"a": {"base64": STANDARD.encode(picture(0))}, "b": {"base64": STANDARD.encode(picture(1))}});
        running.post(json!({"pairs": pairs, "images": images, "strict": true}))
    };
    let elsewhere = post(json!([pair("a", "b"), pair("a", "/etc/passwd")])).await;
    assert_problem(elsewhere, 422, "invalid-request", Some("pairs[1].target")).await;
    let unused = post(json!([pair("a", "a")])).await;
    assert_problem(unused, 422, "invalid-request", Some("images.b")).await;
    let mut short = pair("a", "b");
    short["target_keypoints"] = json!([[1.0, 2.0]]);
    let short = post(json!([short])).await;
    let status = short.status();
    let text = short.text().await.unwrap();
    assert_eq!(status, 422, "{text}");
    assert!(text.contains("target_keypoints") && text.contains("line 1") && !text.contains("homolog-eval-"), "{text}");
    assert_problem(post(json!([])).await, 422, "invalid-request", Some("pairs")).await;

    let broken = Form::new()
        .text("request", json!({"pairs": [pair("a", "b")]}).to_string())
        .part("image", named(0, "a"))
        .part("image", file(b"this is no picture").file_name("b"));
    assert_problem(send_form(&running, broken).await, 422, "undecodable-image", Some("images.b")).await;
    let nameless = Form::new().part("image", reqwest::multipart::Part::bytes(picture(0)));
    assert_problem(send_form(&running, nameless).await, 400, "malformed-request", Some("image")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_images_are_bounded() {
    let running = Running::start(2, 1, &["--max-kept-image-bytes", "1000"]).await;
    let picture = picture(0);
    assert!(picture.len() > 200 && picture.len() < 1000, "{}", picture.len());
    let send = |number| {
        let form = Form::new().part("image", file(&homolog_tests::pairs::picture(number)));
        running.service.client.post(format!("{}/images", running.service.url)).multipart(form).send()
    };
    let mut statuses = Vec::new();
    for number in 0..4 {
        statuses.push(send(number).await.unwrap().status().as_u16());
    }
    assert_eq!(statuses[0], 201);
    assert_eq!(statuses[3], 507, "{statuses:?}");
    assert_eq!(send(0).await.unwrap().status(), 201, "it is there already");
}
