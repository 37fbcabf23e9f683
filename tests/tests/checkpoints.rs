//! Checkpoint files as they come: every container read right, every fault told by name, nothing executed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use homolog_backbone::{
    Error, Family, Mlp, catalog,
    checkpoint::{Checkpoint, Tensor},
    dinov2, random,
};
use homolog_tests::{golden, tensor};
use std::collections::BTreeMap;

fn assert_reads(file: &str, prefix: &str, truth: &str, names: &[&str]) {
    let checkpoint = Checkpoint::open(&golden(&format!("pickle/{file}"))).unwrap();
    for name in names {
        let (shape, data) = tensor(&golden(&format!("pickle/{truth}")), name);
        let found = checkpoint.read(&format!("{prefix}{name}")).unwrap();
        assert_eq!((found.shape, found.data), (shape, data), "{file}: {name}");
    }
}

#[test]
fn strided_views_of_one_storage_are_read_in_their_own_order() {
    let names = ["whole", "transposed", "strided", "tail", "permuted"];
    assert_reads("non_contiguous.pth", "", "non_contiguous.safetensors", &names);
}

#[test]
fn half_precisions_are_widened_exactly() {
    assert_reads("half.pth", "", "half.safetensors", &["float16", "bfloat16", "float32"]);
}

#[test]
fn a_state_dict_inside_a_checkpoint_is_found_under_its_path() {
    assert_reads("nested.pth", "model.", "small.safetensors", &["weight", "bias", "scale"]);
}

#[test]
fn parameters_are_tensors() {
    assert_reads("parameters.pth", "", "small.safetensors", &["weight", "bias", "scale"]);
}

#[test]
fn a_pickle_that_calls_the_system_is_refused_by_the_calls_name_and_the_call_is_not_made() {
    let error = Checkpoint::open(&golden("pickle/evil.pth")).err().unwrap();
    assert!(matches!(error, Error::Pickle { .. }) && error.to_string().contains("asks for posix.system"), "{error}");
    assert!(!std::path::Path::new("homolog-was-here").exists());
}

#[test]
fn a_pickle_from_before_the_archives_is_refused_with_what_to_do() {
    let error = Checkpoint::open(&golden("pickle/legacy.pth")).err().unwrap();
    assert!(error.to_string().contains("save it again"), "{error}");
}

#[test]
fn a_damaged_archive_is_an_error_at_every_length() {
    let whole = std::fs::read(golden("pickle/nested.pth")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.pth");
    for length in (0..whole.len()).step_by(37) {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert!(Checkpoint::open(&path).is_err(), "{length} bytes");
    }
}

#[test]
fn any_bytes_changed_in_an_archive_never_panic() {
    let whole = std::fs::read(golden("pickle/non_contiguous.pth")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changed.pth");
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x55;
        std::fs::write(&path, changed).unwrap();
        if let Ok(checkpoint) = Checkpoint::open(&path) {
            for name in checkpoint.shapes().keys() {
                let _ = checkpoint.read(name);
            }
        }
    }
}

fn tiny() -> dinov2::Config {
    dinov2::Config {
        patch: 14,
        width: 16,
        depth: 2,
        heads: 2,
        mlp: Mlp::Gelu,
        hidden: 64,
        registers: 0,
        position_grid: 5,
    }
}

fn tensors(config: &dinov2::Config) -> BTreeMap<String, Tensor> {
    let checkpoint = random::weights(&Family::DinoV2(*config), 1);
    checkpoint.shapes().keys().map(|name| (name.clone(), checkpoint.read(name).unwrap())).collect()
}

#[test]
fn missing_extra_and_misshapen_tensors_are_listed_by_name() {
    let mut tensors = tensors(&tiny());
    tensors.remove("blocks.1.norm2.bias");
    tensors.remove("norm.weight");
    tensors.insert("head.weight".into(), Tensor::new(vec![1], vec![0.0]).unwrap());
    tensors.insert("pos_embed".into(), Tensor::new(vec![1, 2, 16], vec![0.0; 32]).unwrap());
    let checkpoint = Checkpoint::from_tensors(tensors);
    let Err(Error::Mismatch { missing, extra, misshapen, .. }) = dinov2::resolve(&checkpoint, &tiny(), "tiny") else {
        panic!("it must be refused");
    };
    assert_eq!(missing, ["blocks.1.norm2.bias", "norm.weight"]);
    assert_eq!(extra, ["head.weight"]);
    assert_eq!(misshapen, ["pos_embed is [1, 2, 16], not [1, 26, 16]"]);
}

#[test]
fn a_register_checkpoint_is_not_taken_for_the_plain_network() {
    let config = dinov2::Config { registers: 4, ..tiny() };
    let checkpoint = Checkpoint::from_tensors(tensors(&config));
    let Err(Error::Mismatch { extra, .. }) = dinov2::resolve(&checkpoint, &tiny(), "tiny") else {
        panic!("it must be refused");
    };
    assert_eq!(extra, ["register_tokens"]);
}

#[test]
fn a_network_inside_a_larger_checkpoint_is_found_and_the_rest_left_alone() {
    let inner = tensors(&tiny()).into_iter().map(|(name, tensor)| (format!("teacher.backbone.{name}"), tensor));
    let mut all: BTreeMap<_, _> = inner.collect();
    all.insert("teacher.head.weight".into(), Tensor::new(vec![1], vec![0.0]).unwrap());
    let checkpoint = Checkpoint::from_tensors(all);
    let weights = dinov2::resolve(&checkpoint, &tiny(), "tiny").unwrap();
    assert_eq!(weights.get("blocks.0.attn.k.weight").unwrap().shape, [16, 16]);
}

#[test]
fn another_networks_checkpoint_is_told_with_the_names_found() {
    let one = [("conv1.weight".to_owned(), Tensor::new(vec![1], vec![0.0]).unwrap())];
    let checkpoint = Checkpoint::from_tensors(one.into());
    let error = dinov2::resolve(&checkpoint, &tiny(), "tiny").err().unwrap();
    assert!(matches!(error, Error::UnknownNaming { .. }) && error.to_string().contains("conv1.weight"), "{error}");
}

#[test]
fn the_catalogue_names_every_network_of_the_family() {
    for name in
        ["vits14", "vitb14", "vitl14", "vitg14"].into_iter().flat_map(|size| [size.into(), format!("{size}-reg4")])
    {
        let network = catalog::find(&format!("dinov2-{name}")).unwrap();
        let Family::DinoV2(config) = network.family else { panic!("{name} is of another family") };
        config.check().unwrap();
        assert_eq!(config.registers, if name.ends_with("reg4") { 4 } else { 0 });
    }
    assert!(catalog::find("dinov2-vitx14").err().unwrap().to_string().contains("dinov2-vitb14"));
}
