//! `make bench`: what Homolog adds to, or saves beside, a yardstick that runs in the same process, turn by turn. Absolute times
//! depend on the machine; a ratio says what a change did. Nothing here is asserted.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

#[path = "speed/cuda.rs"]
mod cuda;
#[path = "speed/evaluation.rs"]
mod evaluation;
#[path = "speed/full_size.rs"]
mod full_size;
#[path = "speed/global_attention.rs"]
mod global_attention;
#[path = "speed/http.rs"]
mod http;
#[path = "speed/int8.rs"]
mod int8;
#[path = "speed/memory.rs"]
mod memory;
#[path = "speed/peer.rs"]
mod peer;
#[path = "speed/replicas.rs"]
mod replicas;

use homolog_backbone::{catalog, export::export, random};
use homolog_core::{
    bundle::{Bundle, Feature, Precision},
    features::{Descriptors, FeatureMap, Sampling},
    geometry::{Fit, FitMode, Grid, Point, Size},
    image::{Interpolation, Photo, resize},
    matching::{self, Matcher, Settings, View},
};
use homolog_engine::{Engine, EngineConfig, ProviderChoice};
use homolog_tests::options;
use ort::{
    session::{Session, builder::SessionBuilder},
    value::Tensor,
};
use std::{hint::black_box, path::Path, time::Instant};

fn main() {
    if global_attention::is_child() {
        return;
    }
    let sections: [(&str, fn()); 13] = [
        ("resizing", resizing),
        ("matching", matching_points),
        ("new-photos", http::new_photos),
        ("known-photos", http::known_photos),
        ("peer", peer::peer),
        ("memory", memory::bundles),
        ("positions", position_embedding),
        ("int8-products", int8::products),
        ("int8-networks", int8::networks),
        ("global-attention", global_attention::ways),
        ("evaluation", evaluation::evaluation),
        ("replicas", replicas::replicas),
        ("cuda", cuda::throughput),
    ];
    // `cargo bench … -- replicas peer`: those alone, minutes less
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let names = sections.map(|(name, _)| name);
    if let Some(word) = wanted.iter().find(|word| !names.contains(&word.as_str())) {
        panic!("there is no section {word}: {}", names.join(", "));
    }
    println!("{:<66} {:>10} {:>10} {:>7}", "Homolog : yardstick", "ms", "ms", "ratio");
    for (_, run) in sections.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|word| word == name)) {
        run();
    }
}

/// Prints what ours takes, what the yardstick takes, and the ratio.
fn row(name: &str, ours: f64, yardstick: f64) {
    println!("{name:<66} {ours:>10.3} {yardstick:>10.3} {:>7.3}", ours / yardstick);
}

fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value that stands at this share of the sorted values.
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[((values.len() as f64 * share) as usize).min(values.len() - 1)]
}

/// Medians of both, run in turn so that a busy machine slows both.
fn compare(name: &str, rounds: usize, mut ours: impl FnMut(), mut yardstick: impl FnMut()) {
    let timed = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64() * 1e3
    };
    ours();
    yardstick();
    let (a, b): (Vec<f64>, Vec<f64>) = (0..rounds).map(|_| (timed(&mut ours), timed(&mut yardstick))).unzip();
    row(name, median(&a), median(&b));
}

/// A photo-like picture: smooth shapes with noise on them.
fn photo(width: u32, height: u32) -> Photo {
    let mut state = 1u32;
    let rgb = (0..width * height * 3)
        .map(|i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (x, y) = (i / 3 % width, i / 3 / width);
            let smooth = 128.0 + 60.0 * (x as f32 / 40.0).sin() + 60.0 * (y as f32 / 30.0).cos();
            (smooth + (state >> 29) as f32) as u8
        })
        .collect();
    Photo::from_rgb(Size::new(width, height), rgb).unwrap()
}

fn resizing() {
    let photo = photo(500, 375);
    let theirs = image::RgbImage::from_raw(500, 375, photo.rgb().to_vec()).unwrap();
    compare(
        "resize 500×375 → 448×448, bicubic : the image crate",
        40,
        || drop(black_box(resize(&photo, Size::new(448, 448), Interpolation::Bicubic).unwrap())),
        || drop(black_box(image::imageops::resize(&theirs, 448, 448, image::imageops::CatmullRom))),
    );
}

/// Two maps of 32 × 32 tokens of ViT-B, and the fit of their photos.
fn maps() -> ((FeatureMap<'static>, FeatureMap<'static>), Fit) {
    let (side, channels) = (32, 768);
    let map = |seed: u32| {
        let data: Vec<f32> = (0..side * side * channels as u32).map(|i| ((i ^ seed) as f32 * 0.37).sin()).collect();
        FeatureMap::new(Grid::new(side as usize, side as usize), channels, data).unwrap()
    };
    ((map(1), map(77)), Fit::new(FitMode::Squash, Size::new(512, 512), 448, 14).unwrap())
}

fn matching_points() {
    let ((a, b), fit) = maps();
    let (source, target) = (View { features: &a, fit: &fit }, View { features: &b, fit: &fit });
    let settings = Settings { matcher: Matcher::default(), sampling: Sampling::Bilinear, top_k: 0, cycle: false };
    for points in [1usize, 20, 1000] {
        let points: Vec<Point> =
            (0..points).map(|i| Point::new((i * 37 % 512) as f64, (i * 91 % 512) as f64)).collect();
        let tokens: Vec<Point> = points.iter().map(|point| fit.to_token(*point)).collect();
        compare(
            &format!("match {} points, 32×32 tokens × 768 : scalar cosine loop", points.len()),
            10,
            || drop(black_box(matching::run(&source, &target, &points, &settings).unwrap())),
            || drop(black_box(scalar(&a.sample(&tokens, Sampling::Bilinear), &b))),
        );
    }
}

/// The best token of each query by the formula as it is written.
fn scalar(queries: &Descriptors, map: &FeatureMap) -> Vec<usize> {
    let norm = |x: &[f32]| x.iter().map(|value| value * value).sum::<f32>().sqrt();
    let norms: Vec<f32> = map.data().chunks(map.channels()).map(norm).collect();
    let best = |query: &[f32]| {
        let cosines = map.data().chunks(map.channels()).zip(&norms).map(|(token, token_norm)| {
            query.iter().zip(token).map(|(a, b)| a * b).sum::<f32>() / (norm(query) * token_norm)
        });
        cosines.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0
    };
    (0..queries.len()).map(|index| best(queries.row(index))).collect()
}

fn jpeg(photo: &Photo) -> Vec<u8> {
    let mut bytes = Vec::new();
    let image = image::RgbImage::from_raw(photo.size().width, photo.size().height, photo.rgb().to_vec()).unwrap();
    image.write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Jpeg).unwrap();
    bytes
}

fn engine(bundle: Bundle) -> Engine {
    let config =
        EngineConfig { provider: ProviderChoice::Cpu, workers: 1, threads: 0, queue: 4, ..EngineConfig::default() };
    Engine::start(&config, vec![bundle]).unwrap()
}

/// Patches and positions alone (a backbone cut before its first block) against the whole network: what a table of positions
/// for each resolution could save at most.
fn position_embedding() {
    let network = catalog::find("dinov2-vits14").unwrap();
    let checkpoint = random::weights(&network.family, 0);
    let folder = tempfile::tempdir().unwrap();
    let load = |split: usize, name: &str| {
        let out = folder.path().join(name);
        let options = options(split, Feature::PreNorm, Precision::Fp32);
        export(&network, &checkpoint, &out, &options, |_| {}).unwrap();
        session(&out.join("backbone.onnx"))
    };
    let (mut embed, mut whole) = (load(0, "embed"), load(12, "whole"));
    for side in [448usize, 518] {
        let run = |session: &mut Session| {
            let image = Tensor::from_array(([1, 3, side, side], vec![0.1f32; 3 * side * side])).unwrap();
            black_box(session.run(ort::inputs!["image" => image]).unwrap());
        };
        compare(
            &format!("ViT-S/14 at {side}: patches + positions : whole network"),
            10,
            || run(&mut embed),
            || run(&mut whole),
        );
    }
}

/// As the engine loads graphs.
fn session(graph: &Path) -> Session {
    session_with(graph, false)
}

/// The same, and whether weights may be packed for the products anew.
fn session_with(graph: &Path, prepacking: bool) -> Session {
    let environment = homolog_engine::library::environment().unwrap();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let builder = SessionBuilder::new(&environment).unwrap().with_intra_threads(threads).unwrap();
    let builder = builder.with_intra_op_spinning(false).unwrap().with_prepacking(prepacking);
    builder.unwrap().commit_from_file(graph).unwrap()
}
