//! `make setup`'s script and the search for the library: what a user sees when something is amiss, and that nothing is lost.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use homolog_tests::{root, service::binary};
use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A folder with a wheel of the pinned name that holds a library of two words, and the file that pins it.
struct Index {
    folder: tempfile::TempDir,
}

const WHEEL: &str = "onnxruntime-1.31.1-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl";
const MAKE_WHEEL: &str = "import hashlib, sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w') as wheel:
    wheel.writestr('onnxruntime/capi/libonnxruntime.so.1.31.1', 'a library')
    wheel.writestr('onnxruntime/LICENSE', 'MIT')
    wheel.writestr('onnxruntime-1.31.1.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: onnxruntime\\nVersion: 1.31.1\\n')
    wheel.writestr('onnxruntime-1.31.1.dist-info/WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: false\\n')
    wheel.writestr('onnxruntime-1.31.1.dist-info/RECORD', '')
print(hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest(), end='')";

impl Index {
    fn new() -> Index {
        let folder = tempfile::tempdir().unwrap();
        let made = Command::new("python3").args(["-c", MAKE_WHEEL]).arg(folder.path().join(WHEEL)).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let index = Index { folder };
        index.pin(&String::from_utf8(made.stdout).unwrap());
        index
    }

    fn pins(&self) -> PathBuf {
        self.folder.path().join("pins.txt")
    }

    fn pin(&self, sha256: &str) {
        std::fs::write(self.pins(), format!("onnxruntime==1.31.1 --hash=sha256:{sha256}\n")).unwrap();
    }

    /// The script with this folder as the only index.
    fn fetch(&self, into: &Path) -> Output {
        let mut command = script(into);
        command.env("PIP_NO_INDEX", "1").env("PIP_FIND_LINKS", self.folder.path()).env("PINS", self.pins());
        command.output().unwrap()
    }
}

fn script(into: &Path) -> Command {
    let mut command = Command::new(root().join("src/engine/runtime/fetch.sh"));
    command.arg(into).env_remove("CUDA").env_remove("PINS").env_remove("PYTHON").env_remove("ORT_DYLIB_PATH");
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn library(folder: &Path) -> Option<String> {
    std::fs::read_to_string(folder.join("libonnxruntime.so.1.31.1")).ok()
}

#[test]
fn the_pinned_library_is_fetched_once() {
    let index = Index::new();
    let into = tempfile::tempdir().unwrap();
    let first = index.fetch(into.path());
    assert!(first.status.success(), "{}", said(&first));
    assert_eq!(library(into.path()).as_deref(), Some("a library"));
    // Nothing is left to fetch it from: a second call has nothing to do.
    std::fs::remove_file(index.folder.path().join(WHEEL)).unwrap();
    let second = index.fetch(into.path());
    assert!(second.status.success() && said(&second).is_empty(), "{}", said(&second));
}

#[test]
fn the_cuda_build_is_kept_until_the_other_is_asked_for() {
    let into = tempfile::tempdir().unwrap();
    let pin = std::fs::read_to_string(root().join("src/engine/runtime/cuda.txt")).unwrap();
    let pin: Vec<&str> = pin.lines().filter(|line| !line.starts_with('#')).collect();
    std::fs::write(into.path().join(".pin"), pin.join("\n")).unwrap();
    std::fs::write(into.path().join("libonnxruntime.so.1.31.1"), "of CUDA").unwrap();
    let fetch = |cuda: Option<&str>| {
        let mut command = script(into.path());
        command.envs(cuda.map(|value| ("CUDA", value))).env("PIP_NO_INDEX", "1").env_remove("PIP_FIND_LINKS");
        command.output().unwrap()
    };
    for cuda in [None, Some("1")] {
        let output = fetch(cuda);
        assert!(output.status.success() && said(&output).is_empty(), "{}", said(&output));
    }
    let output = fetch(Some("0"));
    assert!(!output.status.success() && said(&output).contains("fetching onnxruntime==1.31.1"), "{}", said(&output));
    assert_eq!(library(into.path()).as_deref(), Some("of CUDA"));
}

#[test]
fn a_library_that_is_named_needs_no_fetching() {
    let into = tempfile::tempdir().unwrap();
    let named = into.path().join("libonnxruntime.so");
    std::fs::write(&named, "named").unwrap();
    let output = script(into.path()).env("ORT_DYLIB_PATH", &named).env("PIP_NO_INDEX", "1").output().unwrap();
    assert!(output.status.success() && said(&output).is_empty(), "{}", said(&output));
}

#[test]
fn a_wheel_with_another_hash_is_refused_and_what_was_there_stays() {
    let index = Index::new();
    let into = tempfile::tempdir().unwrap();
    assert!(index.fetch(into.path()).status.success());
    index.pin(&"0".repeat(64));
    let output = index.fetch(into.path());
    assert!(!output.status.success());
    assert!(said(&output).contains("sha256 differs"), "{}", said(&output));
    assert_eq!(library(into.path()).as_deref(), Some("a library"));
}

#[test]
fn without_a_network_the_error_says_so() {
    for (cuda, package) in [("", "onnxruntime==1.31.1"), ("1", "onnxruntime-gpu==1.31.1")] {
        let into = tempfile::tempdir().unwrap();
        let mut command = script(into.path());
        // The discard port answers nobody.
        command.env("CUDA", cuda).env("PIP_INDEX_URL", "http://127.0.0.1:9/simple").env("PIP_RETRIES", "0");
        let output = command.env_remove("PIP_FIND_LINKS").env("PIP_NO_INDEX", "").output().unwrap();
        assert!(!output.status.success());
        let said = said(&output);
        assert!(said.contains(package) && said.contains("is the package index reachable"), "{said}");
        assert!(library(into.path()).is_none());
    }
}

#[cfg(unix)]
#[test]
fn without_pip_or_without_python_the_error_says_what_to_install() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let python = folder.path().join("python-without-pip");
    std::fs::write(&python, "#!/bin/sh\necho 'No module named pip' >&2\nexit 1\n").unwrap();
    std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = script(folder.path()).env("PYTHON", &python).output().unwrap();
    assert!(!output.status.success() && said(&output).contains("has no pip: install it"), "{}", said(&output));
    let output = script(folder.path()).env("PYTHON", "no-such-python").output().unwrap();
    assert!(!output.status.success() && said(&output).contains("install Python 3 with pip"), "{}", said(&output));
}

#[test]
fn a_binary_without_its_library_says_where_it_looked() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("homolog");
    std::fs::copy(binary(), &copy).unwrap();
    let run = |library: Option<&str>| {
        let mut command = Command::new(&copy);
        command.args(["models", "--models"]).arg(root().join("models")).current_dir(folder.path());
        command.env_remove("ORT_DYLIB_PATH").envs(library.map(|path| ("ORT_DYLIB_PATH", path)));
        command.output().unwrap()
    };
    let output = run(None);
    assert!(!output.status.success());
    let beside = folder.path().join(".runtime").display().to_string();
    for place in [beside.as_str(), "/usr/lib", "make setup", "ORT_DYLIB_PATH"] {
        assert!(said(&output).contains(place), "{place} is not in: {}", said(&output));
    }
    // A wrong path that was named is told, and nothing else is taken in its stead.
    let output = run(Some("/nowhere/libonnxruntime.so"));
    assert!(!output.status.success() && said(&output).contains("/nowhere/libonnxruntime.so"), "{}", said(&output));
}
