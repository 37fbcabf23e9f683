//! All that the service does, at once and for long.

use crate::{ALONE, Memory, amount};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use homolog_tests::{
    photos::{New, examples},
    root,
    service::{Service, file, form},
};
use reqwest::{RequestBuilder, multipart::Form};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::Mutex,
    time::{Duration, Instant},
};

/// How often an evaluation is looked at, and the service's memory.
const LOOKED: Duration = Duration::from_millis(200);

/// A service, and what became of what it was asked.
struct Soak {
    service: Service,
    until: Instant,
    /// Answers by work and status; those that were not expected with their text.
    answers: Mutex<BTreeMap<&'static str, u64>>,
    wrong: Mutex<Vec<String>>,
}

impl Soak {
    fn goes_on(&self) -> bool {
        Instant::now() < self.until
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.service.client.post(format!("{}{path}", self.service.url))
    }

    /// Asks, and requires the status. The body of the answer.
    async fn ask(&self, work: &'static str, status: u16, request: RequestBuilder) -> Vec<u8> {
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                self.wrong.lock().unwrap().push(format!("{work}: {error:?}"));
                return Vec::new();
            }
        };
        let found = answer.status().as_u16();
        let body = answer.bytes().await.unwrap_or_default().to_vec();
        *self.answers.lock().unwrap().entry(work).or_default() += 1;
        if found != status {
            self.wrong.lock().unwrap().push(format!("{work}: {found} {}", String::from_utf8_lossy(&body)));
        }
        body
    }

    /// Photos that nobody has seen, at every resolution in turn, as forms.
    async fn new_photos(&self) {
        let mut photos = New::from(1 << 32);
        for side in [112, 224, 448].into_iter().cycle().take_while(|_| self.goes_on()) {
            let request = json!({ "points": [[120, 80], [200, 95]], "resolution": side, "top_k": 3, "cycle": true });
            let form = form(&photos.next().unwrap(), &photos.next().unwrap(), &request);
            self.ask("new photos", 200, self.post("/match").multipart(form)).await;
        }
    }

    /// Images that are sent once, named, and forgotten.
    async fn known(&self) {
        let mut photos = New::from(2 << 32);
        while self.goes_on() {
            let mut ids = Vec::new();
            for photo in photos.by_ref().take(3) {
                let form = Form::new().part("image", file(&photo));
                let image = self.ask("images kept", 201, self.post("/images").multipart(form)).await;
                ids.push(serde_json::from_slice::<Value>(&image).unwrap_or_default()["id"].clone());
            }
            for turn in 0..30 {
                let (source, target) = (&ids[turn % 3], &ids[(turn + 1) % 3]);
                let request =
                    json!({ "points": [[60, 70]], "source": { "id": source }, "targets": [{ "id": target }] });
                self.ask("known images", 200, json_body(self.post("/match"), &request)).await;
            }
            for id in ids.iter().filter_map(Value::as_str) {
                let delete = self.service.client.delete(format!("{}/images/{id}", self.service.url));
                self.ask("images forgotten", 204, delete).await;
            }
        }
    }

    /// Descriptors, pictures and lines, of photos that come again and again.
    async fn other_answers(&self) {
        let photos = examples();
        for (turn, photo) in photos.iter().cycle().enumerate().take_while(|_| self.goes_on()) {
            let next = &photos[(turn + 3) % photos.len()];
            let request = json!({ "points": [[100, 100], [200, 150]] });
            let image = Form::new().part("image", file(photo));
            self.ask("descriptors", 200, self.post("/describe").multipart(image)).await;
            let picture = self.post("/match").header("accept", "image/png").multipart(form(photo, next, &request));
            self.ask("pictures", 200, picture).await;
            let targets: Vec<Value> = photos.iter().map(|photo| json!({ "base64": STANDARD.encode(photo) })).collect();
            let request = json!({ "points": [[100, 100]], "source": targets[turn % photos.len()], "targets": targets });
            let lines = self.post("/match").header("accept", "application/x-ndjson");
            let lines = self.ask("lines", 200, json_body(lines, &request)).await;
            if !lines.ends_with(b"{\"done\":true}\n") {
                self.wrong.lock().unwrap().push(format!("lines: {}", String::from_utf8_lossy(&lines)));
            }
        }
    }

    /// What is refused, and clients that leave.
    async fn mistakes(&self) {
        let mut photos = New::from(3 << 32);
        while self.goes_on() {
            let outside = form(&photos.next().unwrap(), &photos.next().unwrap(), &json!({ "points": [[9999, 1]] }));
            self.ask("points outside", 422, self.post("/match").multipart(outside)).await;
            let broken = form(b"no picture", &photos.next().unwrap(), &json!({ "points": [[1, 1]] }));
            self.ask("broken images", 422, self.post("/match").multipart(broken)).await;
            self.ask("no JSON", 400, self.post("/match").header("content-type", "application/json").body("{")).await;
            let request = json!({ "points": [[1, 1]], "resolution": 448 });
            let left = self.post("/match").multipart(form(&photos.next().unwrap(), &photos.next().unwrap(), &request));
            // dropped before it is answered, unless it is answered at once
            let _ = tokio::time::timeout(Duration::from_millis(30), left.send()).await;
            tokio::time::sleep(LOOKED).await;
        }
    }

    /// Evaluations, one after the other, behind everything else; each is forgotten.
    async fn evaluations(&self) {
        while self.goes_on() {
            let body = json!({ "dataset": "boats", "runs": [{ "model": "demo", "resolution": 112 }] });
            let made = self.ask("evaluations", 202, json_body(self.post("/eval"), &body)).await;
            let id = serde_json::from_slice::<Value>(&made).unwrap_or_default()["id"].as_str().unwrap_or("").to_owned();
            loop {
                let job = self.service.client.get(format!("{}/eval/{id}", self.service.url));
                let job: Value = serde_json::from_slice(&self.ask("progress", 200, job).await).unwrap_or_default();
                match job["state"].as_str() {
                    Some("waiting" | "running") => tokio::time::sleep(LOOKED).await,
                    Some("done") => break,
                    _ => return self.wrong.lock().unwrap().push(format!("evaluations: {job}")),
                }
            }
            let report = self.service.client.get(format!("{}/eval/{id}/report", self.service.url));
            self.ask("reports", 200, report).await;
            let forget = self.service.client.delete(format!("{}/eval/{id}?forget=true", self.service.url));
            self.ask("evaluations forgotten", 204, forget).await;
        }
    }

    async fn watch(&self) -> Memory {
        let mut memory = Memory::default();
        while self.goes_on() {
            self.ask("metrics", 200, self.service.client.get(format!("{}/metrics", self.service.url))).await;
            memory.look(&self.service);
            tokio::time::sleep(LOOKED).await;
        }
        memory
    }
}

fn json_body(request: RequestBuilder, body: &Value) -> RequestBuilder {
    request.header("content-type", "application/json").body(body.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn mixed_work_takes_flat_memory_and_meets_no_error() {
    let _alone = ALONE.lock().await;
    let time = Duration::from_secs(amount("HOMOLOG_SOAK_S", 8));
    let register = format!("boats=simple@{}", root().join("openapi/examples/boats").display());
    // a cache that is full early, so that memory tells of nothing else
    let service = Service::start(&["--cache-mib", "8", "--log", "warn", "--register", &register]).await;
    let (answers, wrong) = Default::default();
    let soak = Soak { service, until: Instant::now() + time, answers, wrong };
    let (memory, ..) = tokio::join!(
        soak.watch(),
        soak.new_photos(),
        soak.known(),
        soak.other_answers(),
        soak.mistakes(),
        soak.evaluations()
    );
    let wrong = soak.wrong.into_inner().unwrap();
    println!("{time:?} of mixed work: {:?}", soak.answers.into_inner().unwrap());
    println!("memory: {}", memory.flat());
    assert!(wrong.is_empty(), "{} of them: {:#?}", wrong.len(), &wrong[..wrong.len().min(10)]);
}
