//! The folder of a run, and what can be wrong with it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod common;

use common::{Quadratic, fit, parameters, training};
use homolog_adapt::{Error, Folder, Parameter, Parameters, Training, run::Checkpoint};
use std::{fs, os::unix::fs::symlink, path::PathBuf};
use tempfile::{TempDir, tempdir};

/// A folder with a run of 20 steps in it, and its last checkpoint.
fn run() -> (TempDir, PathBuf) {
    let folder = tempdir().unwrap();
    fit(folder.path(), &short(), &mut Quadratic::new(), false).unwrap();
    let last = folder.path().join("checkpoints/last.safetensors");
    (folder, last)
}

fn short() -> Training {
    Training { steps: Some(20), ..training() }
}

#[test]
fn a_torn_checkpoint_is_refused_wherever_it_is_cut() {
    let (folder, last) = run();
    let whole = fs::read(&last).unwrap();
    for length in [0, 7, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(&last, &whole[..length]).unwrap();
        let error = fit(folder.path(), &short(), &mut Quadratic::new(), true).unwrap_err();
        assert!(matches!(error, Error::Checkpoint { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("last.safetensors: the checkpoint is torn"), "{text}");
        assert!(text.contains("put a whole copy in its place"), "{text}");
    }
    fs::write(&last, &whole).unwrap();
    fit(folder.path(), &short(), &mut Quadratic::new(), true).unwrap();
}

#[test]
fn a_bit_that_has_turned_over_is_noticed() {
    let (folder, last) = run();
    let mut bytes = fs::read(&last).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&last, bytes).unwrap();
    let error = fit(folder.path(), &short(), &mut Quadratic::new(), true).unwrap_err().to_string();
    assert!(error.contains("its tensors are not those that were written"), "{error}");
}

#[test]
fn another_programs_file_is_no_checkpoint() {
    let (folder, last) = run();
    let nothing: [(&str, safetensors::tensor::TensorView<'_>); 0] = [];
    fs::write(&last, safetensors::serialize(nothing, None).unwrap()).unwrap();
    let error = fit(folder.path(), &short(), &mut Quadratic::new(), true).unwrap_err().to_string();
    assert!(error.ends_with("a safetensors file, but no checkpoint of this program"), "{error}");
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let ((folder, last), (_other, others)) = (run(), {
        let folder = tempdir().unwrap();
        fit(folder.path(), &Training { seed: 5, ..short() }, &mut Quadratic::new(), false).unwrap();
        let last = folder.path().join("checkpoints/last.safetensors");
        (folder, last)
    });
    fs::copy(others, last).unwrap();
    let error = fit(folder.path(), &short(), &mut Quadratic::new(), true).unwrap_err().to_string();
    assert!(error.ends_with("a checkpoint of a run with other settings"), "{error}");
}

#[test]
fn a_parameter_that_the_checkpoint_lacks_is_named() {
    let (_folder, last) = run();
    let checkpoint = Checkpoint::read(&last).unwrap();
    let one = |name: &str, shape: Vec<usize>| {
        let data = vec![0.0; shape.iter().product()];
        Parameters::new(vec![Parameter { name: name.into(), shape, data, decay: true }])
    };
    let absent = checkpoint.restore(&mut one("blocks.2.weight", vec![4, 8])).unwrap_err().to_string();
    assert!(absent.contains("no parameters.blocks.2.weight"), "{absent}");
    let turned = checkpoint.restore(&mut one("blocks.1.weight", vec![8, 4])).unwrap_err().to_string();
    assert!(turned.contains("parameters.blocks.1.weight has the shape [4, 8], the network's is [8, 4]"), "{turned}");
    checkpoint.restore(&mut parameters()).unwrap();
}

#[test]
fn a_finished_run_is_not_overwritten_unasked() {
    let (folder, _) = run();
    let error = fit(folder.path(), &short(), &mut Quadratic::new(), false).unwrap_err();
    assert!(matches!(error, Error::Exists { .. }));
    assert!(error.to_string().contains("--resume goes on with it"), "{error}");
}

#[test]
fn other_settings_in_the_same_folder_are_named() {
    let (folder, _) = run();
    let other = Training { learning_rate: 0.5, ..short() };
    let error = fit(folder.path(), &other, &mut Quadratic::new(), true).unwrap_err().to_string();
    assert!(error.contains("it has `learning_rate = 0.1`, this run has `learning_rate = 0.5`"), "{error}");
}

#[test]
fn two_processes_do_not_share_a_folder() {
    let folder = tempdir().unwrap();
    let first = Folder::open(folder.path(), &training()).unwrap();
    let error = Folder::open(folder.path(), &training()).unwrap_err();
    assert!(error.to_string().ends_with("is in use by another process"), "{error}");
    drop(first);
    Folder::open(folder.path(), &training()).unwrap();
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Folder::open(&file.join("run"), &training()).unwrap_err().to_string();
    assert!(error.contains("file/run/checkpoints: Not a directory"), "{error}");
}

/// What a write into a full disk gives.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_said_and_the_checkpoint_before_it_is_kept() {
    let folder = tempdir().unwrap();
    let before = fit(folder.path(), &short(), &mut Quadratic::new(), false).unwrap().0;
    let last = folder.path().join("checkpoints/last.safetensors");
    let kept = fs::read(&last).unwrap();
    symlink("/dev/full", folder.path().join("checkpoints/last.safetensors.part")).unwrap();
    let error = fit(folder.path(), &short(), &mut Quadratic::new(), true).unwrap_err().to_string();
    assert!(error.contains("last.safetensors: No space left on device"), "{error}");
    assert_eq!(fs::read(&last).unwrap(), kept);
    // what was half written is gone, and with room the run goes on
    let after = fit(folder.path(), &short(), &mut Quadratic::new(), true).unwrap().0;
    assert_eq!(after.best, before.best);
}

#[test]
fn a_log_that_cannot_be_written_is_named() {
    let folder = tempdir().unwrap();
    fs::create_dir(folder.path().join("metrics.jsonl")).unwrap();
    let error = fit(folder.path(), &short(), &mut Quadratic::new(), false).unwrap_err().to_string();
    assert!(error.contains("metrics.jsonl: Is a directory"), "{error}");
}
