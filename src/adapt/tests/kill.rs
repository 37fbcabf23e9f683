//! A run that is killed at any instant goes on to the same bytes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod common;

use common::{Quadratic, assert_same_run, fit, training};
use homolog_adapt::Training;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use std::{
    env,
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};
use tempfile::tempdir;

/// Names the folder for the process that is to be killed.
const FOLDER: &str = "HOMOLOG_TEST_KILLED_RUN";

fn settings() -> Training {
    Training { validate_every: 7, checkpoint_every: 5, patience: 6, ..training() }
}

/// A step of about two milliseconds.
fn slow() -> Quadratic {
    let before = |_| {
        let end = Instant::now() + Duration::from_millis(1);
        while Instant::now() < end {
            std::hint::spin_loop();
        }
        Ok(())
    };
    Quadratic { before: Box::new(before), ..Quadratic::new() }
}

fn start(folder: &Path) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "the_process_that_is_killed"]).env(FOLDER, folder);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Does nothing but in the process that the other test starts.
#[test]
fn the_process_that_is_killed() {
    if let Some(folder) = env::var_os(FOLDER) {
        fit(Path::new(&folder), &settings(), &mut slow(), true).unwrap();
    }
}

#[test]
fn ten_runs_killed_at_random_instants_end_in_the_same_bytes() {
    let whole = tempdir().unwrap();
    let begun = Instant::now();
    assert!(start(whole.path()).wait().unwrap().success());
    let length = begun.elapsed();
    let mut random = ChaCha8Rng::seed_from_u64(5);
    for _ in 0..10 {
        let folder = tempdir().unwrap();
        // twice: what was taken up again is killed as well
        for _ in 0..2 {
            let mut child = start(folder.path());
            sleep(length.mul_f64(f64::from(random.next_u32()) / f64::from(u32::MAX)));
            // SIGKILL; one that had already ended is no worse
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert!(start(folder.path()).wait().unwrap().success());
        assert_same_run(whole.path(), folder.path());
    }
}
