//! The real binary, started as an operator would and spoken to over a socket.

use crate::root;
use reqwest::{
    Client, Response,
    multipart::{Form, Part},
};
use serde_json::Value;
use std::{
    ffi::OsStr,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The `homolog` binary.
pub fn binary() -> PathBuf {
    built("homolog")
}

/// A binary of the workspace, beside this test (`cargo build --workspace` makes it).
pub fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().parent().unwrap().join(name);
    assert!(path.is_file(), "{} is not there: run `cargo build --workspace` first", path.display());
    path
}

/// A running service; killed when dropped, with the store of evaluations that it was given.
pub struct Service {
    child: Child,
    /// `http://ADDRESS`.
    pub url: String,
    /// A client without its own time limit.
    pub client: Client,
    log: std::sync::mpsc::Receiver<String>,
    _store: Option<TempDir>,
}

impl Service {
    /// Starts the service on a free port with the repository's bundles and further flags, and waits until it is ready.
    pub async fn start(flags: &[&str]) -> Service {
        Service::start_with(&root().join("models"), flags).await
    }

    /// As [`Service::start`], with the bundles in `models`.
    pub async fn start_with(models: &Path, flags: &[&str]) -> Service {
        Service::start_under(&[], models, flags).await
    }

    /// As [`Service::start_with`], started by the program and arguments of `launcher`, say `taskset --cpu-list 0`. Evaluations
    /// are kept in a folder of the service's own unless the flags say where.
    pub async fn start_under(launcher: &[&str], models: &Path, flags: &[&str]) -> Service {
        let store = (!flags.contains(&"--eval-store")).then(|| tempfile::tempdir().unwrap());
        let binary = binary();
        let words = launcher.iter().map(AsRef::as_ref).chain([binary.as_os_str()]).collect::<Vec<&OsStr>>();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(["serve", "--listen", "127.0.0.1:0", "--models"]).arg(models).args(flags);
        if let Some(folder) = &store {
            command.arg("--eval-store").arg(folder.path().join("evaluations.sqlite"));
        }
        command.current_dir(root()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (send, lines) = std::sync::mpsc::channel();
        let streams: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let send = send.clone();
            // Read to the end, so that a full pipe never stops the service.
            std::thread::spawn(move || {
                BufReader::new(stream).lines().map_while(Result::ok).for_each(|line| {
                    let _ = send.send(line);
                })
            });
        }
        // so that the lines end with a service that does not start
        drop(send);
        let url = loop {
            let line = lines.recv_timeout(Duration::from_secs(60)).expect("the service says where it listens");
            if let Some((_, rest)) = line.split_once("http://") {
                let address: String = rest.chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
                break format!("http://{address}");
            }
        };
        let service = Service { child, url, client: Client::new(), log: lines, _store: store };
        for _ in 0..600 {
            if service.get("/health/ready").await.status() == 200 {
                return service;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the service did not become ready");
    }

    /// Reads what the service writes until a line has all of `words`; `None` after ten seconds.
    pub fn log_line(&self, words: &[&str]) -> Option<String> {
        self.log_until(|line| words.iter().all(|word| line.contains(word)))
    }

    /// As [`Service::log_line`], for a line that has any of `words`.
    pub fn log_any(&self, words: &[&str]) -> Option<String> {
        self.log_until(|line| words.iter().any(|word| line.contains(word)))
    }

    /// What the service has written since it was last looked at, up to the next line that has all of `words`.
    pub fn log_through(&self, words: &[&str]) -> Vec<String> {
        let lines = std::cell::RefCell::new(Vec::new());
        let found = self.log_until(|line| {
            lines.borrow_mut().push(line.to_owned());
            words.iter().all(|word| line.contains(word))
        });
        assert!(found.is_some(), "no line with {words:?}");
        lines.into_inner()
    }

    fn log_until(&self, found: impl Fn(&str) -> bool) -> Option<String> {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let line = self.log.recv_timeout(end.saturating_duration_since(Instant::now())).ok()?;
            if found(&line) {
                return Some(line);
            }
        }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Response {
        self.client.get(format!("{}{path}", self.url)).send().await.unwrap()
    }

    /// `POST /match` with a multipart form.
    pub async fn post_form(&self, form: Form) -> Response {
        self.client.post(format!("{}/match", self.url)).multipart(form).send().await.unwrap()
    }

    /// `POST /match` with a JSON text.
    pub async fn post_json(&self, body: impl Into<reqwest::Body>) -> Response {
        let post = self.client.post(format!("{}/match", self.url)).header("content-type", "application/json");
        post.body(body).send().await.unwrap()
    }

    /// `POST /images`: the id of the image.
    pub async fn keep(&self, image: &[u8]) -> String {
        let form = Form::new().part("image", file(image));
        let response = self.client.post(format!("{}/images", self.url)).multipart(form).send().await.unwrap();
        assert_eq!(response.status(), 201);
        response.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// A value of `GET /metrics`, by its name and labels as they are printed; 0 where the series does not exist yet.
    pub async fn metric(&self, series: &str) -> f64 {
        let text = self.get("/metrics").await.text().await.unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.trim().parse().unwrap())
    }

    /// `POST /eval` with a JSON text.
    pub async fn post_eval(&self, body: &Value) -> Response {
        let post = self.client.post(format!("{}/eval", self.url)).header("content-type", "application/json");
        post.body(body.to_string()).send().await.unwrap()
    }

    /// Takes an evaluation that must be taken, and gives its id.
    pub async fn evaluate(&self, body: &Value) -> String {
        let response = self.post_eval(body).await;
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert_eq!(status, 202, "{text}");
        serde_json::from_str::<Value>(&text).unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// An evaluation as it stands.
    pub async fn evaluation(&self, id: &str) -> Value {
        let response = self.get(&format!("/eval/{id}")).await;
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Looks at an evaluation again and again until `found`; fails after two minutes.
    pub async fn evaluation_until(&self, id: &str, found: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let now = self.evaluation(id).await;
            if found(&now) {
                return now;
            }
            assert!(begun.elapsed() < Duration::from_secs(120), "{now}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until an evaluation is done, and gives its result with every prediction, as it is sent.
    pub async fn result(&self, id: &str) -> String {
        let ended = |now: &Value| ["done", "failed", "cancelled"].contains(&now["state"].as_str().unwrap());
        let now = self.evaluation_until(id, ended).await;
        assert_eq!(now["state"], "done", "{now}");
        let response = self.get(&format!("/eval/{id}/result?predictions=true")).await;
        assert_eq!(response.status(), 200);
        response.text().await.unwrap()
    }

    /// The service's process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Ends the service at once and unasked, as a power cut would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks the service to stop, as an operator would.
    pub fn signal_stop(&self) {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
    }

    /// Waits for the service to end, and gives its exit status.
    pub fn ended(mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file part.
pub fn file(bytes: &[u8]) -> Part {
    Part::bytes(bytes.to_vec()).file_name("photo")
}

/// A photo that no other seed gives, small and quick to read.
pub fn noise(seed: u32) -> Vec<u8> {
    let pixel = |x: u32, y: u32| {
        let mixed = (x + 97 * y + 7919 * seed).wrapping_mul(2_654_435_761);
        image::Rgb([(mixed >> 24) as u8, (mixed >> 16) as u8, (mixed >> 8) as u8])
    };
    let mut file = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_fn(96, 64, pixel).write_to(&mut file, image::ImageFormat::Png).unwrap();
    file.into_inner()
}

/// A form of one source, one target and a request.
pub fn form(source: &[u8], target: &[u8], request: &Value) -> Form {
    Form::new().part("source", file(source)).part("target", file(target)).text("request", request.to_string())
}

/// Requires a problem: its status, the end of its type, and the field it names.
pub async fn assert_problem(response: Response, status: u16, kind: &str, field: Option<&str>) {
    let found = response.status().as_u16();
    let content_type = response.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
    let text = response.text().await.unwrap();
    assert_eq!(found, status, "{text}");
    assert_eq!(content_type.as_deref(), Some("application/problem+json"), "{text}");
    let problem: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(problem["status"], status, "{text}");
    assert!(problem["type"].as_str().unwrap().ends_with(kind), "{text} is not {kind}");
    if let Some(field) = field {
        assert_eq!(problem["field"], field, "{text}");
    }
}
