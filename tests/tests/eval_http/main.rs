//! `POST /eval` and what follows it, from outside.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod inline;
mod jobs;
mod refusals;
mod results;

use homolog_tests::{pairs, service::Service};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use std::time::Duration;
use tempfile::TempDir;

/// A service with a store of its own and the registered dataset `squares`.
struct Running {
    service: Service,
    pairs: usize,
    _folder: TempDir,
}

impl Running {
    /// With `images` pictures that have `partners` partners each, and further flags.
    async fn start(images: u32, partners: u32, flags: &[&str]) -> Running {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let pairs = pairs::write(&data, images, partners);
        let store = folder.path().join("evaluations.sqlite").display().to_string();
        let register = format!("squares=simple@{}", data.display());
        let mut all = vec!["--eval-store", &store, "--register", &register];
        all.extend(flags);
        Running { service: Service::start(&all).await, pairs, _folder: folder }
    }

    async fn request(&self, method: Method, path: &str, body: Option<Value>) -> Response {
        let mut request = self.service.client.request(method, format!("{}{path}", self.service.url));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        request.send().await.unwrap()
    }

    async fn post(&self, body: Value) -> Response {
        self.request(Method::POST, "/eval", Some(body)).await
    }

    async fn json(&self, path: &str) -> Value {
        let response = self.service.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        serde_json::from_str(&response.text().await.unwrap()).unwrap()
    }

    /// Takes an evaluation that must be taken, and gives its id.
    async fn take(&self, body: Value) -> String {
        taken(self.post(body).await).await
    }

    /// Waits until the evaluation has ended.
    async fn ended(&self, id: &str) -> Value {
        for _ in 0..1200 {
            let job = self.json(&format!("/eval/{id}")).await;
            if ["done", "failed", "cancelled"].contains(&job["state"].as_str().unwrap()) {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{id} does not end");
    }
}

async fn taken(response: Response) -> String {
    let status = response.status();
    let location = response.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
    let text = response.text().await.unwrap();
    assert_eq!(status, 202, "{text}");
    let job: Value = serde_json::from_str(&text).unwrap();
    let id = job["id"].as_str().unwrap().to_owned();
    assert_eq!(location.as_deref(), Some(format!("/eval/{id}").as_str()));
    id
}

/// A run at the smallest resolution, which is quick.
fn quick() -> Value {
    json!({"resolution": 112})
}
