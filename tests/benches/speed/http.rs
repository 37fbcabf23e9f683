//! What the whole way by HTTP costs beside a bare loop over ONNX Runtime's sessions, and what is left of it when both photos are known.

use super::{
    full_size::{FullSize, ID, SIDE},
    maps, median, quantile, row, session,
};
use futures::{StreamExt, stream};
use homolog_core::{
    bundle::Bundle,
    geometry::Point,
    image::{DecodeLimits, Photo},
    matching::{self, Settings},
};
use homolog_tests::{
    photos::{New, examples},
    root,
    service::{Service, form},
};
use ort::{session::Session, value::Tensor};
use reqwest::{Client, multipart::Form};
use serde_json::{Value, json};
use std::{hint::black_box, path::Path, time::Instant};

const ROUNDS: usize = 3;
/// Clients that ask again as soon as they are answered.
const CLIENTS: [usize; 3] = [1, 2, 8];
/// Requests for known photos by each client, after some that are not counted.
const KNOWN: usize = 2000;

/// Points in the photos, px.
pub fn points(count: usize) -> Vec<[f64; 2]> {
    (0..count).map(|i| [20.0 + (i * 67 % 350) as f64, 15.0 + (i * 41 % 250) as f64]).collect()
}

/// As many pairs of photos that were not seen before.
pub fn new_pairs(photos: &mut New, count: usize, request: &Value) -> Vec<Form> {
    (0..count).map(|_| form(&photos.next().unwrap(), &photos.next().unwrap(), request)).collect()
}

/// Milliseconds of a match when so many clients send these forms to `url`.
pub async fn milliseconds(url: &str, clients: usize, forms: Vec<Form>) -> f64 {
    let (client, count, begun) = (Client::new(), forms.len(), Instant::now());
    let asked = stream::iter(forms).for_each_concurrent(clients, |form| async {
        let answer = client.post(format!("{url}/match")).multipart(form).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        black_box(answer.bytes().await.unwrap());
    });
    asked.await;
    begun.elapsed().as_secs_f64() * 1e3 / count as f64
}

/// The two graphs of a bundle, run one after the other on pixels that are prepared.
struct Raw {
    backbone: Session,
    head: Session,
    pixels: Vec<f32>,
    side: usize,
    patch: usize,
}

impl Raw {
    fn new(bundle: &Path, side: u32) -> Raw {
        let bundle = Bundle::open(bundle).unwrap();
        let photo = Photo::decode(&examples()[0], &DecodeLimits::default()).unwrap();
        let (pixels, _) = bundle.manifest().preparation(side).prepare(&photo).unwrap();
        let patch = bundle.manifest().backbone.patch as usize;
        let (backbone, head) = (session(&bundle.backbone()), session(&bundle.head()));
        Raw { backbone, head, pixels: pixels.into_data(), side: side as usize, patch }
    }

    fn run(&mut self) {
        let image = Tensor::from_array(([1, 3, self.side, self.side], self.pixels.clone())).unwrap();
        let mut outputs = self.backbone.run(ort::inputs!["image" => image]).unwrap();
        let tokens = outputs.remove("tokens").unwrap();
        let grid = Tensor::from_array(([2usize], vec![(self.side / self.patch) as i64; 2])).unwrap();
        black_box(self.head.run(ort::inputs!["tokens" => tokens, "grid" => grid]).unwrap());
    }
}

/// Matches of new photos by HTTP, nothing kept, against as many runs of the sessions.
pub fn new_photos() {
    one("demo", &root().join("models"), "demo", 224, 40);
    let full = FullSize::new();
    one("ViT-B/14", &full.models(), ID, SIDE, 4);
}

fn one(label: &str, models: &Path, id: &str, side: u32, least: usize) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let service = runtime.block_on(Service::start_with(models, &["--cache-mib", "0", "--log", "warn"]));
    let mut raw = Raw::new(&models.join(id), side);
    let mut photos = New::from(0);
    let request = json!({ "points": points(20), "model": id, "resolution": side });
    let (mut bare, mut http) = (Vec::new(), [const { Vec::new() }; CLIENTS.len()]);
    for round in 0..=ROUNDS {
        for (clients, times) in CLIENTS.into_iter().zip(&mut http) {
            let matches = least.max(2 * clients);
            let begun = Instant::now();
            (0..2 * matches).for_each(|_| raw.run());
            let alone = begun.elapsed().as_secs_f64() * 1e3 / matches as f64;
            let forms = new_pairs(&mut photos, matches, &request);
            let asked = runtime.block_on(milliseconds(&service.url, clients, forms));
            // the first round warms both
            if round > 0 {
                bare.push(alone);
                times.push(asked);
            }
        }
    }
    let bare = median(&bare);
    for (clients, times) in CLIENTS.into_iter().zip(&http) {
        let name = format!("POST /match, {label} at {side}, clients: {clients} : raw session loop");
        row(&name, median(times), bare);
    }
}

/// Matches of two photos whose descriptors are kept, named by their ids, against the matching alone.
pub fn known_photos() {
    let full = FullSize::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let service = runtime.block_on(Service::start_with(&full.models(), &["--log", "warn"]));
    let photos = examples();
    let points = points(20);
    let (source, target) = runtime.block_on(async { (service.keep(&photos[0]).await, service.keep(&photos[1]).await) });
    let body = json!({ "points": points, "source": { "id": source }, "targets": [{ "id": target }] }).to_string();

    let ((a, b), fit) = maps();
    let (source, target) = (matching::View { features: &a, fit: &fit }, matching::View { features: &b, fit: &fit });
    let points: Vec<Point> = points.iter().map(|[x, y]| Point::new(*x, *y)).collect();
    let alone = (0..200).map(|_| {
        let begun = Instant::now();
        black_box(matching::run(&source, &target, &points, &Settings::default()).unwrap());
        begun.elapsed().as_secs_f64() * 1e3
    });
    let alone = median(&alone.collect::<Vec<f64>>());

    for clients in [1, 8] {
        let times = runtime.block_on(known(&service, clients, &body));
        for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
            let name = format!("known photos, 20 points, 32×32, clients: {clients}, {name} : matching alone");
            row(&name, quantile(&times, share), alone);
        }
    }
}

/// Milliseconds of each of [`KNOWN`] requests of a client.
async fn known(service: &Service, clients: usize, body: &str) -> Vec<f64> {
    let ask = async || {
        let begun = Instant::now();
        let answer = service.post_json(body.to_owned()).await;
        assert_eq!(answer.status(), 200);
        black_box(answer.bytes().await.unwrap());
        begun.elapsed().as_secs_f64() * 1e3
    };
    for _ in 0..20 {
        ask().await;
    }
    stream::iter(0..clients * KNOWN).map(|_| ask()).buffer_unordered(clients).collect().await
}
