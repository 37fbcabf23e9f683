//! Positional debiasing against the official formula in PyTorch (tests/reference/debias.py, make_heads.py), and the properties
//! that make it what it says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use homolog_backbone::{Error, PositionBasis, checkpoint::Checkpoint, export::Draft};
use homolog_core::bundle::{Bundle, Debias, Feature, Manifest, Precision};
use homolog_tests::{
    golden,
    heads::{black, describe, describe_pixels, engine, tiny},
    options, tensor,
};
use homolog_train::verify::relative_error;
use std::{num::NonZeroUsize, path::Path};

const DIRECTIONS: usize = 4;
const SIDE: u32 = 70;

fn debiased(
    out: &Path,
    feature: Feature,
    precision: Precision,
    directions: usize,
) -> Result<Manifest, homolog_train::Error> {
    let checkpoint = Checkpoint::open(&golden("dinov2-plain/original.pth")).unwrap();
    let (network, options) = (tiny(), options(1, feature, precision));
    let mut draft = Draft::write(&network, &checkpoint, out, &options, |_| {})?;
    homolog_train::debias::apply(&mut draft, NonZeroUsize::new(directions).unwrap())?;
    Ok(draft.finish()?)
}

/// The basis that the export finds, from the plain bundle's descriptors of a black image.
fn basis(folder: &Path, precision: Precision) -> (PositionBasis, Vec<f32>) {
    let checkpoint = Checkpoint::open(&golden("dinov2-plain/original.pth")).unwrap();
    let (network, options) = (tiny(), options(1, Feature::PostNorm, precision));
    let out = folder.join("plain");
    let _ = std::fs::remove_dir_all(&out);
    Draft::write(&network, &checkpoint, &out, &options, |_| {}).unwrap().finish().unwrap();
    let engine = engine(vec![Bundle::open(&out).unwrap()]);
    let descriptors = describe_pixels(&engine, "plain", black(SIDE));
    (PositionBasis::of_black_image(&descriptors, 16, DIRECTIONS).unwrap(), descriptors)
}

/// `UᵀU` and `UUᵀ`, which no sign or turn within the basis changes.
fn products(basis: &PositionBasis) -> (Vec<f32>, Vec<f32>) {
    let tensor = basis.basis();
    let (rows, columns) = (tensor.shape[0], tensor.shape[1]);
    let at = |row: usize, column: usize| tensor.data[row * columns + column];
    let inner =
        (0..columns).flat_map(|a| (0..columns).map(move |b| (0..rows).map(|row| at(row, a) * at(row, b)).sum()));
    let outer =
        (0..rows).flat_map(|a| (0..rows).map(move |b| (0..columns).map(|column| at(a, column) * at(b, column)).sum()));
    (inner.collect(), outer.collect())
}

#[test]
fn debiased_descriptors_are_those_of_the_official_formula_at_this_and_other_sizes() {
    let folder = tempfile::tempdir().unwrap();
    // The network's 16 channels leave 8 bits few values over which their roundings even out.
    for (precision, most) in [(Precision::Fp32, 1e-4), (Precision::Fp16, 1e-2), (Precision::Int8, 5e-2)] {
        for (feature, name) in [(Feature::PreNorm, "prenorm"), (Feature::PostNorm, "postnorm")] {
            let out = folder.path().join(precision.to_string()).join(name);
            std::fs::create_dir_all(out.parent().unwrap()).unwrap();
            let manifest = debiased(&out, feature, precision, DIRECTIONS).unwrap();
            assert_eq!(manifest.debias, Some(Debias { directions: DIRECTIONS, resolution: SIDE }));
            let engine = engine(vec![Bundle::open(&out).unwrap()]);
            let expected = |case: &str| tensor(&golden("heads/debias.safetensors"), &format!("{name}.{case}"));
            let assert_near = |case: &str, found: &[f32], expected: &[f32]| {
                let error = relative_error(found, expected).unwrap();
                eprintln!("{precision} {name} {case}: {error:.1e}");
                assert!(error <= most, "{precision} {name} {case}: {error:.1e}");
            };
            assert_near("black", &describe_pixels(&engine, name, black(SIDE)), &expected("black").1);
            for size in ["70x70", "42x56", "84x140"] {
                for (image, found) in describe(&engine, name, size).iter().enumerate() {
                    let (shape, expected) = expected(size);
                    let one = expected.len() / shape[0];
                    assert_near(size, found, &expected[image * one..][..one]);
                }
            }
        }
    }
}

#[test]
fn the_basis_spans_what_the_official_singular_vectors_span() {
    let folder = tempfile::tempdir().unwrap();
    let (_, outer) = products(&basis(folder.path(), Precision::Fp32).0);
    let (_, expected) = tensor(&golden("heads/debias.safetensors"), "postnorm.projection");
    let error = relative_error(&outer, &expected).unwrap();
    assert!(error <= 1e-4, "{error:.1e}");
}

#[test]
fn the_projection_is_idempotent() {
    let folder = tempfile::tempdir().unwrap();
    let (inner, _) = products(&basis(folder.path(), Precision::Fp32).0);
    // (I − UUᵀ)² = I − UUᵀ exactly when UᵀU = I.
    for (place, value) in inner.iter().enumerate() {
        let identity = if place % (DIRECTIONS + 1) == 0 { 1.0 } else { 0.0 };
        assert!((value - identity).abs() <= 1e-6, "{place}: {value}");
    }
}

#[test]
fn debiased_descriptors_are_of_unit_length_and_have_nothing_along_the_basis() {
    let folder = tempfile::tempdir().unwrap();
    // In every precision: the basis stays exact.
    for (precision, name) in [
        (Precision::Fp32, "fp32"),
        (Precision::Fp16Storage, "fp16_storage"),
        (Precision::Fp16, "fp16"),
        (Precision::Int8, "int8"),
    ] {
        let (basis, plain) = basis(folder.path(), precision);
        let basis = basis.basis();
        let along = |descriptor: &[f32]| -> f32 {
            let part = |column: usize| -> f32 {
                descriptor.iter().enumerate().map(|(row, value)| value * basis.data[row * DIRECTIONS + column]).sum()
            };
            (0..DIRECTIONS).map(|column| part(column).powi(2)).sum::<f32>().sqrt()
        };
        let length = |descriptor: &[f32]| descriptor.iter().map(|value| value * value).sum::<f32>().sqrt();
        // It must show that there was something along it, or the test proves nothing.
        assert!(plain.chunks(16).any(|descriptor| along(descriptor) > 0.1 * length(descriptor)));

        let out = folder.path().join(name);
        debiased(&out, Feature::PostNorm, precision, DIRECTIONS).unwrap();
        let engine = engine(vec![Bundle::open(&out).unwrap()]);
        let found = describe_pixels(&engine, name, black(SIDE));
        for descriptor in found.chunks(16) {
            assert!((length(descriptor) - 1.0).abs() <= 1e-5, "{}", length(descriptor));
            assert!(along(descriptor) <= 1e-5, "{name}: {}", along(descriptor));
        }
    }
}

#[test]
fn a_debiased_bundle_shares_the_plain_bundles_backbone() {
    let folder = tempfile::tempdir().unwrap();
    basis(folder.path(), Precision::Fp32);
    debiased(&folder.path().join("debiased"), Feature::PostNorm, Precision::Fp32, DIRECTIONS).unwrap();
    let open = |name: &str| Bundle::open(&folder.path().join(name)).unwrap();
    assert_eq!(engine(vec![open("plain"), open("debiased")]).backbones(), 1);
}

#[test]
fn directions_that_are_not_there_are_refused_and_nothing_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let error = debiased(&folder.path().join("out"), Feature::PostNorm, Precision::Fp32, 16).unwrap_err().to_string();
    assert!(error.contains("16 directions of descriptors of 16 channels"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

    // Three tokens about their mean span two directions, and the rest is rounding.
    let three: Vec<f32> = (0..24).map(|place| ((place * place * 7) % 11) as f32).collect();
    assert!(PositionBasis::of_black_image(&three, 8, 2).is_ok());
    let Err(Error::Option { reason, .. }) = PositionBasis::of_black_image(&three, 8, 3) else {
        panic!("it must be refused");
    };
    assert!(reason.contains("shows 2 directions"), "{reason}");
    assert!(PositionBasis::of_black_image(&[f32::NAN; 24], 8, 2).is_err());
}
