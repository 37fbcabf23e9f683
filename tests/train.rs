//! `homolog-train`, run as its user would, and checkpoints for it.

use crate::service::built;
use homolog_backbone::{
    catalog,
    checkpoint::{Checkpoint, Tensor},
    random,
};
use safetensors::{Dtype, tensor::TensorView};
use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Output},
    sync::LazyLock,
};

/// Runs the binary, without proxies and without this user's cache.
pub fn train<A: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = A>) -> Output {
    let mut command = Command::new(built("homolog-train"));
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "HOMOLOG_CACHE"] {
        command.env_remove(name);
    }
    command.args(arguments).output().unwrap()
}

/// What it wrote on standard error.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Requires that it refused: exit status 1, and one sentence with every one of `words`.
pub fn assert_refused(output: &Output, words: &[&str]) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{said}");
    for word in words {
        assert!(said.contains(word), "{word} is not in: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

/// The tensors of the demo network with random weights, under the original release's names.
pub fn demo_tensors() -> BTreeMap<String, Tensor> {
    let checkpoint: Checkpoint = random::weights(&catalog::DEMO.family, 1);
    checkpoint.shapes().keys().map(|name| (name.clone(), checkpoint.read(name).unwrap())).collect()
}

/// `tensors` as a safetensors file, in fp32.
pub fn safetensors(tensors: &BTreeMap<String, Tensor>) -> Vec<u8> {
    let bytes: BTreeMap<&String, Vec<u8>> =
        tensors.iter().map(|(name, t)| (name, t.data.iter().flat_map(|value| value.to_le_bytes()).collect())).collect();
    let views = tensors
        .iter()
        .map(|(name, t)| (name.clone(), TensorView::new(Dtype::F32, t.shape.clone(), &bytes[name]).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

/// The demo network's checkpoint.
pub static DEMO: LazyLock<Vec<u8>> = LazyLock::new(|| safetensors(&demo_tensors()));

/// The names in a folder, hidden ones too, in their order.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
