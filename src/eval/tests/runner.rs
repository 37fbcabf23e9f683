//! A run: the same results whatever the memory, threads and interruptions; each image once; failures counted.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "common/fake.rs"]
mod fake;

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use fake::{Fake, MAP, cliques, graph};
use homolog_core::geometry::Size;
use homolog_core::matching::{self, Matcher, View};
use homolog_eval::dataset::Image;
use homolog_eval::result::PairResult;
use homolog_eval::runner::{Cancel, Delivery, EncodeError, Encoded, Encoder, Failure, Outcome, Settings, Task, run};
use homolog_eval::{Dataset, Error};

fn task(model: usize, matcher: Matcher) -> Task {
    Task { model, matching: matching::Settings { matcher, ..matching::Settings::default() } }
}

fn two_tasks() -> Vec<Task> {
    vec![task(1, Matcher::default()), task(0, Matcher::Argmax {})]
}

fn memory(maps: u64, spill: bool, encoders: usize) -> Settings {
    Settings { memory: maps * MAP, spill: spill.then(std::env::temp_dir), encoders }
}

type Results = BTreeMap<usize, Vec<Result<PairResult, Failure>>>;

/// Runs all pairs; results by pair, and the order in which they came.
fn all(
    dataset: &Dataset,
    encoder: &dyn Encoder,
    tasks: &[Task],
    settings: &Settings,
) -> (Results, Vec<usize>, Outcome) {
    let pairs: Vec<usize> = (0..dataset.pairs.len()).collect();
    let (mut results, mut order) = (Results::new(), Vec::new());
    let outcome = run(dataset, &pairs, tasks, encoder, settings, &Cancel::default(), |delivery: Delivery| {
        assert_eq!(delivery.progress.pairs, order.len() + 1);
        assert_eq!(delivery.progress.pairs_total, pairs.len());
        order.push(delivery.pair);
        assert!(results.insert(delivery.pair, delivery.results).is_none(), "a pair came twice");
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(outcome.complete);
    (results, order, outcome)
}

fn two_groups() -> Dataset {
    let (images, edges) = cliques(&[7, 9]);
    graph(images, &edges)
}

#[test]
fn results_are_those_of_matching_each_pair_by_itself() {
    let (dataset, encoder) = (two_groups(), Fake::new(2));
    let (results, ..) = all(&dataset, &encoder, &two_tasks(), &memory(100, false, 1));
    for (index, results) in &results {
        let pair = &dataset.pairs[*index];
        for (task, result) in two_tasks().iter().zip(results) {
            let encode =
                |image: usize| encoder.encode(&dataset.images[image], &[task.model], &Cancel::default()).unwrap();
            let (source, target) = (encode(pair.source), encode(pair.target));
            let points: Vec<_> = pair.keypoints.iter().map(|keypoint| keypoint.source).collect();
            let view = |encoded: &'static Encoded| View { features: &encoded.features, fit: &encoded.fit };
            let leak = |mut maps: Vec<Encoded>| -> &'static Encoded { Box::leak(Box::new(maps.remove(0))) };
            let matches = matching::run(&view(leak(source)), &view(leak(target)), &points, &task.matching).unwrap();
            assert_eq!(result.as_ref().unwrap(), &PairResult::new(&dataset, pair, &matches));
        }
    }
}

#[test]
fn memory_spill_and_threads_change_no_bit_and_each_image_is_encoded_once() {
    let dataset = two_groups();
    let (expected, ..) = all(&dataset, &Fake::new(2), &two_tasks(), &memory(100, false, 1));
    for (maps, spill, encoders) in
        [(100, true, 3), (8, true, 1), (8, true, 4), (8, false, 1), (4, true, 2), (6, false, 3)]
    {
        let encoder = Fake::new(2);
        let settings = memory(maps, spill, encoders);
        let (results, order, outcome) = all(&dataset, &encoder, &two_tasks(), &settings);
        assert_eq!(results, expected, "{settings:?}");
        let statistics = outcome.statistics;
        assert!(statistics.peak_bytes <= settings.memory, "{statistics:?}");
        assert!(
            encoder.most_held.load(Ordering::Relaxed) as u64 <= settings.memory,
            "what is alive, not what is counted"
        );
        if spill || maps == 100 {
            assert_eq!((statistics.encodes, statistics.repeated), (16, 0), "{settings:?}");
            assert!(encoder.encoded.lock().unwrap().values().all(|count| *count == 1));
        } else {
            assert_eq!(statistics.encodes, 16 + statistics.repeated);
        }
        let (_, again, _) = all(&dataset, &Fake::new(2), &two_tasks(), &settings);
        assert_eq!(order, again, "the same order each time");
        println!("{maps} maps, spill {spill}, {encoders} encoders: {statistics:?}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_costs_encodings_and_no_results() {
    let dataset = two_groups();
    let settings = Settings { spill: Some("/nowhere/at/all".into()), ..memory(8, true, 1) };
    let (results, _, outcome) = all(&dataset, &Fake::new(2), &two_tasks(), &settings);
    assert_eq!(results, all(&dataset, &Fake::new(2), &two_tasks(), &memory(100, false, 1)).0);
    assert!(outcome.statistics.repeated > 0);
}

#[test]
fn models_are_asked_for_together_and_only_those_in_use() {
    let (dataset, encoder) = (graph(2, &[(0, 1), (1, 0)]), Fake::new(5));
    let tasks = [task(3, Matcher::default()), task(1, Matcher::Argmax {}), task(3, Matcher::Argmax {})];
    let (results, _, outcome) = all(&dataset, &encoder, &tasks, &memory(4, false, 1));
    assert_eq!((encoder.calls.load(Ordering::Relaxed), outcome.statistics.peak_bytes), (2, 4 * MAP));
    assert_eq!(results[&0].len(), 3);
    assert_ne!(results[&0][0], results[&0][2], "matchers differ");
    let result =
        run(&dataset, &[0], &[task(5, Matcher::default())], &encoder, &memory(9, false, 1), &Cancel::default(), |_| {
            ControlFlow::Continue(())
        });
    assert!(matches!(result, Err(Error::OutOfRange { what: "model", index: 5, count: 5 })));
}

#[test]
fn an_interrupted_run_goes_on_and_encodes_only_what_is_left() {
    let dataset = two_groups();
    let tasks = two_tasks();
    let (expected, order, _) = all(&dataset, &Fake::new(2), &tasks, &memory(100, false, 1));
    for stop in [1, 20, 42, 43, 113] {
        let mut results = Results::new();
        let every: Vec<usize> = (0..dataset.pairs.len()).collect();
        let cancel = Cancel::default();
        let first = run(&dataset, &every, &tasks, &Fake::new(2), &memory(100, false, 2), &cancel, |delivery| {
            results.insert(delivery.pair, delivery.results);
            if results.len() == stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(!first.unwrap().complete || stop == order.len());
        assert_eq!(results.len(), stop);
        let done: HashSet<String> = results.keys().map(|pair| dataset.pairs[*pair].id.clone()).collect();
        let left = dataset.pairs_except(&done);
        let encoder = Fake::new(2);
        run(&dataset, &left, &tasks, &encoder, &memory(100, false, 1), &cancel, |delivery| {
            assert!(results.insert(delivery.pair, delivery.results).is_none());
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(results, expected, "stopped after {stop}");
        let needed: HashSet<usize> =
            left.iter().flat_map(|pair| [dataset.pairs[*pair].source, dataset.pairs[*pair].target]).collect();
        assert_eq!(encoder.calls.load(Ordering::Relaxed), needed.len());
    }
}

#[test]
fn encoding_goes_on_while_a_pair_is_delivered() {
    let (dataset, encoder) = (two_groups(), Fake::new(1));
    let mut first = true;
    let outcome = run(
        &dataset,
        &(0..dataset.pairs.len()).collect::<Vec<_>>(),
        &[task(0, Matcher::default())],
        &encoder,
        &memory(16, false, 1),
        &Cancel::default(),
        |_| {
            if std::mem::take(&mut first) {
                // as long as this holds up the matching, nothing but the encoding can go on
                for _ in 0..500 {
                    if encoder.calls.load(Ordering::Relaxed) == 16 {
                        return ControlFlow::Continue(());
                    }
                    std::thread::sleep(Duration::from_millis(10));
                }
                panic!("{} of 16 images are encoded", encoder.calls.load(Ordering::Relaxed));
            }
            ControlFlow::Continue(())
        },
    );
    assert!(outcome.unwrap().complete);
}

/// Hands every call to a closure first.
struct With<F>(Fake, F);

impl<F: Fn(&Image, &Cancel) -> Result<(), EncodeError> + Sync> Encoder for With<F> {
    fn models(&self) -> usize {
        self.0.models()
    }
    fn bytes(&self, image: &Image, models: &[usize]) -> u64 {
        self.0.bytes(image, models)
    }
    fn encode(&self, image: &Image, models: &[usize], cancel: &Cancel) -> Result<Vec<Encoded>, EncodeError> {
        (self.1)(image, cancel)?;
        self.0.encode(image, models, cancel)
    }
}

#[test]
fn an_image_that_cannot_be_encoded_fails_its_pairs_and_no_others() {
    let dataset = two_groups();
    for settings in [memory(100, true, 2), memory(3, true, 1), memory(3, false, 1)] {
        let encoder = With(Fake::new(1), |image: &Image, _: &Cancel| match image.path.to_str() {
            Some("3.png") => Err(EncodeError::Image("the file is torn".into())),
            _ => Ok(()),
        });
        let (results, ..) = all(&dataset, &encoder, &[task(0, Matcher::default())], &settings);
        for (pair, results) in &results {
            let pair = &dataset.pairs[*pair];
            match &results[0] {
                Ok(_) => assert!(pair.source != 3 && pair.target != 3),
                Err(failure) => {
                    assert!(pair.source == 3 || pair.target == 3);
                    assert_eq!(failure.reason, "3.png: the file is torn");
                }
            }
        }
    }
}

#[test]
fn a_picture_of_another_size_than_annotated_fails_its_pairs() {
    let mut dataset = graph(2, &[(0, 1)]);
    let encoder = Fake::new(1);
    let (ok, ..) = all(&dataset, &encoder, &[task(0, Matcher::default())], &memory(9, false, 1));
    assert!(ok[&0][0].is_ok());
    struct Resized(Fake);
    impl Encoder for Resized {
        fn models(&self) -> usize {
            1
        }
        fn bytes(&self, image: &Image, models: &[usize]) -> u64 {
            self.0.bytes(image, models)
        }
        fn encode(&self, image: &Image, models: &[usize], cancel: &Cancel) -> Result<Vec<Encoded>, EncodeError> {
            self.0.encode(&Image { size: Size::new(56, 42), ..image.clone() }, models, cancel)
        }
    }
    dataset.images[1].size = Size::new(42, 56);
    let (results, ..) = all(&dataset, &Resized(Fake::new(1)), &[task(0, Matcher::default())], &memory(9, false, 1));
    let reason = &results[&0][0].as_ref().unwrap_err().reason;
    assert_eq!(reason, "1.png is 56×42 px and annotated as 42×56: its keypoints are those of another picture");
}

#[test]
fn an_encoder_that_fails_or_panics_ends_the_run_with_an_error() {
    let dataset = two_groups();
    let pairs: Vec<usize> = (0..dataset.pairs.len()).collect();
    let go = |encoder: &dyn Encoder, settings: &Settings| {
        let mut delivered = 0;
        let result =
            run(&dataset, &pairs, &[task(0, Matcher::default())], encoder, settings, &Cancel::default(), |_| {
                delivered += 1;
                ControlFlow::Continue(())
            });
        (result, delivered)
    };
    let failing = With(Fake::new(1), |image: &Image, _: &Cancel| match image.path.to_str() {
        Some("5.png") => Err(EncodeError::Fatal("the engine has stopped".into())),
        _ => Ok(()),
    });
    let (result, delivered) = go(&failing, &memory(100, false, 1));
    assert_eq!(result.unwrap_err().to_string(), "the evaluation stopped: the engine has stopped");
    assert!(delivered < pairs.len());
    let panicking = With(Fake::new(1), |image: &Image, _: &Cancel| {
        assert!(image.path.to_str() != Some("5.png"), "a mistake of the encoder's");
        Ok(())
    });
    let (result, _) = go(&panicking, &memory(100, false, 3));
    assert_eq!(result.unwrap_err().to_string(), "the evaluation stopped: the encoder panicked");
    let (result, _) = go(&Fake::new(1), &memory(1, false, 1));
    assert!(matches!(result, Err(Error::BudgetTooSmall { .. })));
}

#[test]
fn a_cancelled_run_stops_while_an_image_is_encoded() {
    let dataset = two_groups();
    let pairs: Vec<usize> = (0..dataset.pairs.len()).collect();
    let cancel = Cancel::default();
    let (reached, at_last) = mpsc::channel();
    let encoder = With(Fake::new(1), move |image: &Image, cancel: &Cancel| {
        if image.path.to_str() == Some("4.png") {
            reached.send(()).ok();
            while !cancel.is_cancelled() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    });
    std::thread::scope(|scope| {
        let other = cancel.clone();
        scope.spawn(move || {
            at_last.recv().unwrap();
            other.cancel();
        });
        let settings = memory(100, false, 1);
        let outcome = run(&dataset, &pairs, &[task(0, Matcher::default())], &encoder, &settings, &cancel, |_| {
            ControlFlow::Continue(())
        });
        assert!(!outcome.unwrap().complete);
    });
}
