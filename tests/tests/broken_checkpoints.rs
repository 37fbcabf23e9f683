//! `homolog-train export` given a file that is not what it should be: one sentence, and nothing left behind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use homolog_backbone::checkpoint::Tensor;
use homolog_tests::{
    golden,
    train::{DEMO, assert_refused, demo_tensors, names, safetensors, train},
};
use std::path::Path;

/// Exports `checkpoint` as `network`, and requires a refusal with those words that leaves no folder, hidden or not.
fn assert_export_refused(network: &str, checkpoint: &Path, words: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let (weights, out) = (checkpoint.to_str().unwrap(), folder.path().join("bundle"));
    let output = train(["export", network, "--weights", weights, "--out", out.to_str().unwrap()]);
    assert_refused(&output, words);
    assert!(names(folder.path()).is_empty(), "left behind: {:?}", names(folder.path()));
}

fn assert_bytes_refused(name: &str, bytes: &[u8], words: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    assert_export_refused("dinov2-demo14", &path, words);
}

fn assert_tensor_refused(name: &str, change: impl FnOnce(&mut Tensor), words: &[&str]) {
    let mut tensors = demo_tensors();
    change(tensors.get_mut(name).unwrap());
    assert_bytes_refused("changed.safetensors", &safetensors(&tensors), words);
}

#[test]
fn a_truncated_pth() {
    let whole = std::fs::read(golden("dinov2-plain/original.pth")).unwrap();
    for kept in [3, whole.len() / 2, whole.len() - 1] {
        assert_bytes_refused("cut.pth", &whole[..kept], &["cut.pth", "not a checkpoint"]);
    }
}

#[test]
fn a_truncated_safetensors_file() {
    for kept in [4, 100, DEMO.len() / 2, DEMO.len() - 1] {
        assert_bytes_refused("cut.safetensors", &DEMO[..kept], &["cut.safetensors", "not a checkpoint"]);
    }
}

#[test]
fn a_page_instead_of_a_file() {
    assert_bytes_refused("page.pth", b"<!DOCTYPE html><title>Sign in</title>", &["page.pth", "not a checkpoint"]);
}

#[test]
fn an_empty_file_and_no_file() {
    assert_bytes_refused("empty.pth", b"", &["empty.pth", "not a checkpoint"]);
    assert_export_refused("dinov2-demo14", Path::new("/nowhere/w.pth"), &["/nowhere/w.pth", "No such file"]);
}

#[test]
fn wrong_shapes_are_named() {
    let widen = |tensor: &mut Tensor| {
        tensor.shape[0] += 1;
        tensor.data.extend_from_within(..192);
    };
    assert_tensor_refused("blocks.2.mlp.fc1.weight", widen, &["blocks.2.mlp.fc1.weight is [769, 192], not [768, 192]"]);
}

#[test]
fn another_size_of_the_family() {
    assert_export_refused(
        "dinov2-vits14",
        &golden("dinov2-plain/original.pth"),
        &["dinov2-vits14", "missing: blocks.3"],
    );
}

#[test]
fn another_family() {
    let tensors = demo_tensors().into_iter().filter(|(name, _)| name.starts_with("blocks.0."));
    let sam = tensors.map(|(name, tensor)| (format!("image_encoder.{name}"), tensor)).collect();
    let words = ["dinov2-demo14", "does not use a naming known", "image_encoder.blocks.0"];
    assert_bytes_refused("sam.safetensors", &safetensors(&sam), &words);
}

#[test]
fn a_pickle_that_asks_for_what_no_weights_need() {
    assert_export_refused("dinov2-demo14", &golden("pickle/evil.pth"), &["posix.system", "nothing of it was executed"]);
    assert!(!Path::new("homolog-was-here").exists());
}

#[test]
fn weights_that_are_not_finite() {
    // The first is read for the backbone part, the last for the head: by then files have been written.
    for (name, value, shown) in [
        ("pos_embed", f32::NAN, "NaN"),
        ("blocks.0.attn.qkv.weight", f32::INFINITY, "inf"),
        ("blocks.7.mlp.fc2.bias", f32::NEG_INFINITY, "-inf"),
        ("norm.weight", f32::NAN, "NaN"),
    ] {
        let spoil = |tensor: &mut Tensor| *tensor.data.last_mut().unwrap() = value;
        assert_tensor_refused(name, spoil, &[&format!("tensor {name} holds {shown}")]);
    }
}

#[test]
fn a_weight_that_is_not_used_may_be_anything() {
    let mut tensors = demo_tensors();
    tensors.get_mut("norm.weight").unwrap().data.fill(f32::NAN);
    let folder = tempfile::tempdir().unwrap();
    let weights = folder.path().join("w.safetensors");
    std::fs::write(&weights, safetensors(&tensors)).unwrap();
    let (weights, out) = (weights.to_str().unwrap(), folder.path().join("bundle"));
    let out = out.to_str().unwrap();
    let output = train(["export", "dinov2-demo14", "--weights", weights, "--out", out, "--feature", "pre-norm"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_bundle_that_is_there_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (weights, out) = (folder.path().join("w.safetensors"), folder.path().join("bundle"));
    std::fs::write(&weights, &*DEMO).unwrap();
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("mine"), "").unwrap();
    let (weights, text) = (weights.to_str().unwrap(), out.to_str().unwrap());
    assert_refused(&train(["export", "dinov2-demo14", "--weights", weights, "--out", text]), &[text, "already there"]);
    assert_eq!(
        (names(&out), names(folder.path())),
        (vec!["mine".into()], vec!["bundle".into(), "w.safetensors".into()])
    );
}

#[test]
fn a_place_that_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let weights = folder.path().join("w.safetensors");
    std::fs::write(&weights, &*DEMO).unwrap();
    // A file where a folder would have to be: no user may write there, not even root.
    let out = weights.join("bundle");
    let output =
        train(["export", "dinov2-demo14", "--weights", weights.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    assert_refused(&output, &[weights.to_str().unwrap(), "is not a folder"]);
    assert_eq!(names(folder.path()), ["w.safetensors"]);
}
