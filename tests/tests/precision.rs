//! Half precision and 8 bits: what the files hold, how near the descriptors stay, and what `verify` says of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use homolog_backbone::{catalog, random};
use homolog_core::bundle::{Bundle, Feature, Precision};
use homolog_tests::{
    options,
    parity::{describe, engine},
};
use std::path::Path;

fn export(folder: &Path, name: &str, precision: Precision) -> Bundle {
    let network = catalog::DEMO;
    let mut options = options(2, Feature::PreNorm, precision);
    options.resolutions = vec![112, 224];
    let out = folder.join(name);
    homolog_backbone::export::export(&network, &random::weights(&network.family, 5), &out, &options, |_| {}).unwrap();
    Bundle::open(&out).unwrap()
}

#[test]
fn x() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = vec![];
    for p in [Precision::Fp32, Precision::Fp16Storage, Precision::Fp16, Precision::Int8] {
        let b = export(folder.path(), &p.to_string(), p);
        let size: u64 = b.manifest().files.values().map(|f| f.bytes).sum();
        let e = engine(b, 2);
        let input: Vec<f32> =
            (0..3 * 224 * 224).map(|i| ((i as f32) * 0.37).sin() + ((i % 224) as f32 / 40.0).cos()).collect();
        let (_, d) = describe(&e, &p.to_string(), (224, 224), input);
        let cos: f64 = if let Some((_, r)) = all.first() {
            let r: &Vec<f32> = r;
            d.chunks(192)
                .zip(r.chunks(192))
                .map(|(a, b)| {
                    let dot: f64 = a.iter().zip(b).map(|(a, b)| (*a as f64) * (*b as f64)).sum();
                    let n = |x: &[f32]| x.iter().map(|a| (*a as f64).powi(2)).sum::<f64>().sqrt();
                    1.0 - dot / n(a) / n(b)
                })
                .fold(0.0, f64::max)
        } else {
            0.0
        };
        eprintln!("{p} {size} {cos:e}");
        all.push((p, d));
    }
}
