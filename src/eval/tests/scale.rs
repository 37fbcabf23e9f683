//! SPair-71k at its real size: read, run in bounded memory, and measured by both evaluators. Times are printed, not required.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "common/fake.rs"]
mod fake;
#[path = "common/python.rs"]
mod python;
#[path = "../../../tests/spair_tree.rs"]
mod spair_tree;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fake::{Fake, MAP};
use homolog_core::matching;
use homolog_eval::pck::Bootstrap;
use homolog_eval::readers::spair71k::{Layout, read};
use homolog_eval::readers::{ReadOptions, Split};
use homolog_eval::report::Report;
use homolog_eval::result::PairResult;
use homolog_eval::runner::{Cancel, Settings, Task, run};
use homolog_eval::{Dataset, pck};

/// Runs the whole dataset with room for this many maps and an encoder that takes its time.
fn results(dataset: &Dataset, maps: u64, pause: Duration) -> Vec<PairResult> {
    let pairs: Vec<usize> = (0..dataset.pairs.len()).collect();
    let task = Task { model: 0, matching: matching::Settings::default() };
    let settings = Settings { memory: maps * MAP, ..Settings::default() };
    let encoder = Fake { pause, ..Fake::new(1) };
    let mut results = Vec::new();
    let start = Instant::now();
    let outcome = run(dataset, &pairs, &[task], &encoder, &settings, &Cancel::default(), |delivery| {
        results.extend(delivery.results.into_iter().map(Result::unwrap));
        ControlFlow::Continue(())
    })
    .unwrap();
    let (took, encoding) = (start.elapsed(), Duration::from_micros(encoder.spent.load(Ordering::Relaxed) as u64));
    let ratio = took.as_secs_f64() / encoding.as_secs_f64();
    println!("room for {maps} maps: {took:.2?}, {ratio:.3} × the {encoding:.2?} of encoding, {:?}", outcome.statistics);
    assert!(outcome.complete);
    assert!(outcome.statistics.peak_bytes <= settings.memory);
    assert_eq!(outcome.statistics.encodes, dataset.images.len(), "each image once");
    results.sort_by(|a, b| a.pair.cmp(&b.pair));
    results
}

#[test]
fn the_test_split_of_real_size_is_read_run_and_measured() {
    let folder = tempfile::tempdir().unwrap();
    spair_tree::write(folder.path(), spair_tree::Splits::Test, 71).unwrap();
    let start = Instant::now();
    let options = ReadOptions { strict: true, check_images: true };
    let dataset = read(folder.path(), Layout::Large, Split::Test, &options).unwrap();
    println!("{} pairs of {} images read in {:.2?}", dataset.pairs.len(), dataset.images.len(), start.elapsed());
    assert_eq!((dataset.pairs.len(), dataset.categories.len()), (12_234, 18));
    let mut counts = BTreeMap::new();
    for pair in &dataset.pairs {
        *counts.entry(dataset.categories[pair.category].name.as_str()).or_insert(0) += 1;
    }
    for (name, pairs, _) in spair_tree::CATEGORIES {
        assert_eq!(counts[name], pairs, "{name}");
    }
    assert_eq!(read(folder.path(), Layout::Small, Split::Test, &options).unwrap().pairs.len(), 2_438);

    let roomy = results(&dataset, 60, Duration::from_millis(5));
    assert_eq!(roomy, results(&dataset, 8, Duration::ZERO), "the memory changes no bit");
    let settings = pck::Settings { bootstrap: Some(Bootstrap { resamples: 100, seed: 0 }), ..Default::default() };
    let start = Instant::now();
    let report = Report::new(&roomy, &settings).unwrap();
    println!("a report with 100 resamples in {:.2?}", start.elapsed());
    assert_eq!((report.overall.pairs, report.categories.len()), (12_234, 18));
    assert!(report.geometry_aware.unwrap().points > 0 && report.confusion.all.points > 0);
    if let Some(python) = python::find() {
        python::agrees(&python, &roomy, &pck::Settings { bootstrap: None, ..settings });
    }
}

#[test]
#[ignore = "writes 75,000 files: minutes on a slow disk; `cargo test -p homolog-eval --test scale -- --ignored`"]
fn every_split_has_its_real_number_of_pairs() {
    let folder = tempfile::tempdir().unwrap();
    spair_tree::write(folder.path(), spair_tree::Splits::All, 71).unwrap();
    let options = ReadOptions { strict: true, check_images: true };
    for ((split, large), (_, small)) in spair_tree::LARGE.into_iter().zip(spair_tree::SMALL) {
        for (layout, count) in [(Layout::Large, large), (Layout::Small, small)] {
            let start = Instant::now();
            let dataset = read(folder.path(), layout, split.parse().unwrap(), &options).unwrap();
            println!("{}: {} pairs read in {:.2?}", dataset.name, dataset.pairs.len(), start.elapsed());
            assert_eq!((dataset.pairs.len(), dataset.left_out()), (count, 0));
        }
    }
}
