//! The same matches by the usual server, FastAPI and PyTorch with transformers (`tests/peer`), on the same weights, photos and
//! threads. `make peer` makes its environment.

use super::{
    full_size::{FullSize, ID, SIDE},
    http::{milliseconds, new_pairs, points},
    median, quantile, row,
};
use homolog_tests::{
    photos::{New, examples},
    process::mib,
    root,
    service::{Service, form},
};
use reqwest::{Client, multipart::Form};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

const ROUNDS: usize = 3;
/// Clients that ask again as soon as they are answered.
const CLIENTS: [usize; 2] = [1, 8];
/// Places that both servers call the same lie so near each other, in px of photos of some 430 px.
const SAME: f64 = 0.5;

/// A running Python server; killed when dropped.
struct Peer {
    child: Child,
    url: String,
}

impl Peer {
    /// None, and a line that says so, where its environment is not there.
    fn start(weights: &Path, flags: &[&str]) -> Option<Peer> {
        let (python, packages) = (root().join(".venv/bin/python"), root().join(".cache/peer"));
        if !python.is_file() || !packages.join("fastapi").is_dir() {
            println!("FastAPI + PyTorch: skipped, its environment is not there (`make peer`)");
            return None;
        }
        let threads = std::thread::available_parallelism().map_or(1, usize::from).to_string();
        let mut command = Command::new(python);
        command.arg(root().join("tests/peer/server.py")).arg("--weights").arg(weights).args(flags);
        command.args(["--threads", &threads, "--resolution", &SIDE.to_string()]).env("PYTHONPATH", packages);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("http://"), "the peer does not start: {line}");
        Some(Peer { child, url: line.trim().to_owned() })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every pair of different photos of the documentation.
fn pairs(request: &Value) -> Vec<Form> {
    let photos = examples();
    let pairs = photos.iter().flat_map(|a| photos.iter().filter(move |b| a != *b).map(move |b| (a, b)));
    pairs.map(|(a, b)| form(a, b, request)).collect()
}

/// Both servers, photo by photo: do they answer the same, and what does it take?
pub fn peer() {
    let full = FullSize::new();
    let Some(theirs) = Peer::start(&full.weights(), &[]) else { return };
    let Some(keeping) = Peer::start(&full.weights(), &["--cache"]) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let start = |flags: &[&str]| runtime.block_on(Service::start_with(&full.models(), flags));
    let bare = start(&["--cache-mib", "0", "--log", "warn"]);
    let kept = start(&["--log", "warn"]);
    let request = json!({ "points": points(20), "model": ID, "resolution": SIDE });

    runtime.block_on(agreement(&kept, &keeping, &request));
    let mut photos = New::from(0);
    for clients in CLIENTS {
        let matches = clients.max(4);
        let name = format!("new photos, ViT-B/14 at {SIDE}, clients: {clients} : FastAPI + PyTorch");
        let forms = |photos: &mut New| new_pairs(photos, matches, &request);
        compare(&name, clients, (&bare.url, &theirs.url), || (forms(&mut photos), forms(&mut photos)));
    }
    for clients in CLIENTS {
        // theirs computes them again each time: fewer are enough
        let few = || pairs(&request).into_iter().take(clients.max(4)).collect();
        let name = format!("photos seen before, clients: {clients} : FastAPI + PyTorch");
        compare(&name, clients, (&kept.url, &theirs.url), || (pairs(&request), few()));
        let name = format!("photos seen before, clients: {clients} : the same, made to keep them");
        compare(&name, clients, (&kept.url, &keeping.url), || (pairs(&request), pairs(&request)));
    }
    let memory = |process: u32| mib(process, "VmHWM");
    row("  peak memory, MiB, nothing kept", memory(bare.process()), memory(theirs.child.id()));
}

/// Medians of a match in milliseconds, in turn.
fn compare(
    name: &str,
    clients: usize,
    (ours, theirs): (&str, &str),
    mut forms: impl FnMut() -> (Vec<Form>, Vec<Form>),
) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let (to_ours, to_theirs) = forms();
        let ours = runtime.block_on(milliseconds(ours, clients, to_ours));
        let theirs = runtime.block_on(milliseconds(theirs, clients, to_theirs));
        // the first round warms both
        if round > 0 {
            a.push(ours);
            b.push(theirs);
        }
    }
    row(name, median(&a), median(&b));
}

async fn places(url: &str, form: Form) -> Vec<[f64; 2]> {
    let answer = Client::new().post(format!("{url}/match")).multipart(form).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    let matches = answer["targets"][0]["matches"].as_array().unwrap();
    matches.iter().map(|found| [0, 1].map(|axis| found["target"][axis].as_f64().unwrap())).collect()
}

/// Prints how far apart the places are that both find.
async fn agreement(ours: &Service, theirs: &Peer, request: &Value) {
    let mut apart = Vec::new();
    for (to_ours, to_theirs) in pairs(request).into_iter().zip(pairs(request)) {
        let (a, b) = (places(&ours.url, to_ours).await, places(&theirs.url, to_theirs).await);
        apart.extend(a.iter().zip(&b).map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1])));
    }
    let same = apart.iter().filter(|distance| **distance <= SAME).count() as f64 / apart.len() as f64;
    println!(
        "both find {:.1} % of {} places within {SAME} px of each other: p50 {:.3} px, p99 {:.3} px",
        100.0 * same,
        apart.len(),
        quantile(&apart, 0.5),
        quantile(&apart, 0.99)
    );
}
