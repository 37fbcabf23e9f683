//! `make bench`: times of a request's stages beside the network, by criterion: a photo is decoded, brought onto the network's canvas, and
//! matched. Nothing here is asserted.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use homolog_core::{
    features::FeatureMap,
    geometry::{Fit, FitMode, Grid, Point, Size},
    image::{DecodeLimits, Interpolation, Normalisation, Photo, prepare, resize},
    matching::{self, Settings, View},
};
use homolog_tests::photos::examples;
use std::hint::black_box;

/// Side of the network's input, px, and of a token.
const SIDE: u32 = 448;
const PATCH: u32 = 14;
/// Numbers of a descriptor of ViT-B.
const CHANNELS: usize = 768;

fn photos(criterion: &mut Criterion) {
    let file = &examples()[1];
    let photo = Photo::decode(file, &DecodeLimits::default()).unwrap();
    let Size { width, height } = photo.size();
    let of = |stage: &str| format!("{stage} {width}×{height}");
    criterion.bench_function(&of("decode a JPEG of"), |bencher| {
        bencher.iter(|| Photo::decode(black_box(file), &DecodeLimits::default()).unwrap());
    });
    let canvas = Size::new(SIDE, SIDE);
    criterion.bench_function(&format!("{} to {SIDE}×{SIDE}", of("resize")), |bencher| {
        bencher.iter(|| resize(black_box(&photo), canvas, Interpolation::Bicubic).unwrap());
    });
    let fit = Fit::new(FitMode::Squash, photo.size(), SIDE, PATCH).unwrap();
    criterion.bench_function(&format!("{} and normalise", of("resize")), |bencher| {
        bencher.iter(|| prepare(black_box(&photo), &fit, Interpolation::Bicubic, &Normalisation::IMAGENET).unwrap());
    });
}

fn points(criterion: &mut Criterion) {
    let side = (SIDE / PATCH) as usize;
    let map = |seed: usize| {
        let data: Vec<f32> = (0..side * side * CHANNELS).map(|i| ((i ^ seed) as f32 * 0.37).sin()).collect();
        FeatureMap::new(Grid::new(side, side), CHANNELS, data).unwrap()
    };
    let (a, b) = (map(1), map(77));
    let fit = Fit::new(FitMode::Squash, Size::new(512, 512), SIDE, PATCH).unwrap();
    let (source, target) = (View { features: &a, fit: &fit }, View { features: &b, fit: &fit });
    let mut group = criterion.benchmark_group(format!("match in {side}×{side} tokens of {CHANNELS}, points"));
    for count in [1usize, 20, 1000] {
        let points: Vec<Point> = (0..count).map(|i| Point::new((i * 37 % 512) as f64, (i * 91 % 512) as f64)).collect();
        group.bench_with_input(BenchmarkId::from_parameter(count), &points, |bencher, points| {
            bencher.iter(|| matching::run(&source, &target, black_box(points), &Settings::default()).unwrap());
        });
    }
    group.finish();
}

criterion_group!(stages, photos, points);
criterion_main!(stages);
