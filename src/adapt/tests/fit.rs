//! The loop over a problem that can be solved by hand.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod common;

use common::{Noise, Quadratic, assert_same_run, fit, fit_until, parameters, training};
use homolog_adapt::{
    Batch, Batches, Best, Ended, Error, Folder, Training,
    run::{Checkpoint, Record},
};
use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tempfile::tempdir;

fn records(folder: &Path) -> Vec<Record> {
    let text = fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn failing_at(batches: u64) -> Quadratic {
    let before = move |computed| match computed == batches {
        true => Err(Error::Compute("the power went out".into())),
        false => Ok(()),
    };
    Quadratic { before: Box::new(before), ..Quadratic::new() }
}

#[test]
fn a_quadratic_converges() {
    let folder = tempdir().unwrap();
    let (outcome, found) = fit(folder.path(), &training(), &mut Quadratic::new(), false).unwrap();
    assert_eq!((outcome.ended, outcome.step), (Ended::Finished, 100));
    assert!(outcome.best.unwrap().pck > 0.99, "{outcome:?}");
    assert!(found.iter().flat_map(|parameter| &parameter.data).all(|value| (value - 1.0).abs() < 0.05), "{found:?}");
    let last = Checkpoint::read(&folder.path().join("checkpoints/last.safetensors")).unwrap();
    let mut restored = parameters();
    last.restore(&mut restored).unwrap();
    assert_eq!(restored, found);
}

#[test]
fn each_step_and_each_validation_stands_once_in_the_metrics() {
    let folder = tempdir().unwrap();
    let (outcome, _) = fit(folder.path(), &training(), &mut Quadratic::new(), false).unwrap();
    let (mut steps, mut validations) = (Vec::new(), Vec::new());
    for record in records(folder.path()) {
        match record {
            Record::Step { step, epoch, loss, parts, gradient_norm, .. } => {
                steps.push(step);
                assert_eq!(epoch, step as f64 / 10.0);
                assert_eq!(parts["distance"], loss);
                assert!(gradient_norm > 0.0);
            }
            Record::Validation { step, best, per_image, .. } => {
                validations.push(step);
                if best && Some(step) == outcome.best.map(|best| best.step) {
                    assert_eq!(per_image[1], (0.1, outcome.best.unwrap().pck));
                }
            }
        }
    }
    assert!(steps.into_iter().eq(1..=100));
    assert!(validations.into_iter().eq((10..=100).step_by(10)));
    for plot in ["loss.svg", "pck.svg"] {
        assert!(fs::read_to_string(folder.path().join(plot)).unwrap().contains("<polyline"), "{plot}");
    }
}

#[test]
fn gradients_are_the_mean_of_the_micro_batches() {
    struct One(Noise, usize);
    impl Batches for One {
        fn steps_per_epoch(&self) -> u64 {
            1
        }
        fn batch(&self, step: u64) -> Result<Vec<Batch>, Error> {
            let one = self.0.batch(step)?.remove(0);
            Ok(vec![one; self.1])
        }
    }
    // without what is dropped out, whose noise is each micro-batch's own, the loss is that of one
    let loss = |micro_batches| {
        let folder = tempdir().unwrap();
        let training = Training { steps: Some(1), ..training() };
        let batches = One(Noise { steps_per_epoch: 1 }, micro_batches);
        let opened = Folder::open(folder.path(), &training).unwrap();
        let (mut objective, cancel) = (Quadratic::new(), AtomicBool::new(false));
        homolog_adapt::fit(&mut objective, &batches, &mut parameters(), &training, &opened, &cancel, false).unwrap();
        match records(folder.path()).remove(0) {
            Record::Step { loss, gradient_norm, .. } => (loss, gradient_norm),
            other => panic!("{other:?}"),
        }
    };
    let ((one, norm), (four, mean_norm)) = (loss(1), loss(4));
    assert_eq!(one, four);
    assert!((norm / mean_norm - 1.0).abs() < 0.01, "{norm} {mean_norm}");
}

#[test]
fn what_is_dropped_out_depends_on_seed_and_place_alone() {
    let run = |seed| {
        let folder = tempdir().unwrap();
        let training = Training { steps: Some(3), seed, ..training() };
        fit(folder.path(), &training, &mut Quadratic::new(), false).unwrap().1
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn a_run_stops_when_pck_gets_no_better_for_as_long_as_its_patience() {
    let folder = tempdir().unwrap();
    let training = Training { patience: 3, validate_every: 4, ..training() };
    let pcks = vec![0.1, 0.3, 0.2, 0.3, 0.4, 0.4, 0.3, 0.2, 0.9];
    let mut objective = Quadratic { pcks, ..Quadratic::new() };
    let (outcome, _) = fit(folder.path(), &training, &mut objective, false).unwrap();
    assert_eq!((outcome.ended, outcome.step), (Ended::Stopped, 32));
    assert_eq!(outcome.best, Some(Best { step: 20, pck: 0.4 }));
    let best = Checkpoint::read(&folder.path().join("checkpoints/best.safetensors")).unwrap();
    assert_eq!((best.state.step, best.state.stale), (20, 0));
    // it has ended, and going on changes nothing
    let again = fit(folder.path(), &training, &mut Quadratic::new(), true).unwrap().0;
    assert_eq!((again.ended, again.step, again.best), (outcome.ended, outcome.step, outcome.best));
}

#[test]
fn a_cancelled_run_goes_on_to_the_same_result() {
    let (whole, cut) = (tempdir().unwrap(), tempdir().unwrap());
    let expected = fit(whole.path(), &training(), &mut Quadratic::new(), false).unwrap();
    // between two micro-batches of step 33, and before the first of step 60
    for (resume, batches) in [(false, 67), (true, 54)] {
        let cancel = Arc::new(AtomicBool::new(false));
        let flag = cancel.clone();
        let before = move |computed| {
            flag.store(computed + 1 == batches, Ordering::Relaxed);
            Ok(())
        };
        let mut objective = Quadratic { before: Box::new(before), ..Quadratic::new() };
        let (outcome, _) = fit_until(cut.path(), &training(), &mut objective, resume, &cancel).unwrap();
        assert_eq!(outcome.ended, Ended::Cancelled);
        assert_eq!(outcome.step, if resume { 60 } else { 33 });
    }
    let found = fit(cut.path(), &training(), &mut Quadratic::new(), true).unwrap();
    assert_eq!((found.0.best, found.1), (expected.0.best, expected.1));
    assert_same_run(whole.path(), cut.path());
}

#[test]
fn what_was_written_after_the_checkpoint_is_written_again_once() {
    let (whole, cut) = (tempdir().unwrap(), tempdir().unwrap());
    fit(whole.path(), &training(), &mut Quadratic::new(), false).unwrap();
    let error = fit(cut.path(), &training(), &mut failing_at(2 * 33), false).unwrap_err();
    assert_eq!(error.to_string(), "the power went out");
    let last = cut.path().join("checkpoints/last.safetensors");
    assert_eq!(Checkpoint::read(&last).unwrap().state.step, 28);
    assert_eq!(records(cut.path()).last().unwrap().step(), 33);
    // as if the next line, and the next event, had been cut off in the middle
    for (file, torn) in
        [("metrics.jsonl", &b"{\"kind\":\"step\",\"st"[..]), ("events.out.tfevents.homolog", b"\x40\0\0")]
    {
        let path = cut.path().join(file);
        fs::write(&path, [&fs::read(&path).unwrap()[..], torn].concat()).unwrap();
    }
    fit(cut.path(), &training(), &mut Quadratic::new(), true).unwrap();
    assert_same_run(whole.path(), cut.path());
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_keeps_its_checkpoint() {
    let folder = tempdir().unwrap();
    let training = Training { learning_rate: 1e30, clip_norm: 0.0, checkpoint_every: 1, warmup: 0, ..training() };
    let error = fit(folder.path(), &training, &mut Quadratic::new(), false).unwrap_err();
    assert!(matches!(error, Error::NotFinite { .. }), "{error}");
    assert!(error.to_string().contains("A lower learning rate"), "{error}");
    let last = Checkpoint::read(&folder.path().join("checkpoints/last.safetensors")).unwrap();
    let mut kept = parameters();
    last.restore(&mut kept).unwrap();
    assert!(kept.iter().flat_map(|parameter| &parameter.data).all(|value| value.is_finite()));
}

#[test]
fn a_pck_that_is_no_number_stops_the_run() {
    let folder = tempdir().unwrap();
    let mut objective = Quadratic { pcks: vec![0.5, f64::NAN], ..Quadratic::new() };
    let error = fit(folder.path(), &training(), &mut objective, false).unwrap_err().to_string();
    assert!(error.starts_with("step 20: PCK is not finite"), "{error}");
}

#[test]
fn a_gradient_of_another_length_is_named() {
    struct Short;
    impl homolog_adapt::Objective for Short {
        fn gradients(
            &mut self,
            _: &homolog_adapt::Parameters,
            _: &Batch,
            _: u64,
        ) -> Result<homolog_adapt::Gradients, Error> {
            Ok(homolog_adapt::Gradients { loss: 1.0, parts: vec![], gradients: vec![vec![0.0; 32], vec![0.0; 3]] })
        }
        fn validate(&mut self, _: &homolog_adapt::Parameters) -> Result<homolog_adapt::Validation, Error> {
            unreachable!()
        }
    }
    let folder = tempdir().unwrap();
    let opened = Folder::open(folder.path(), &training()).unwrap();
    let (batches, cancel) = (Noise { steps_per_epoch: 10 }, AtomicBool::new(false));
    let error = homolog_adapt::fit(&mut Short, &batches, &mut parameters(), &training(), &opened, &cancel, false);
    let expected = "the gradient of blocks.1.bias has 3 values where the parameter has 4";
    assert_eq!(error.unwrap_err().to_string(), expected);
}

#[test]
fn an_alpha_that_is_not_measured_is_named() {
    let folder = tempdir().unwrap();
    let training = Training { alpha: 0.15, ..training() };
    let error = fit(folder.path(), &training, &mut Quadratic::new(), false).unwrap_err();
    assert_eq!(error.to_string(), "alpha: 0.15 is not measured: [0.05, 0.1] are");
}
