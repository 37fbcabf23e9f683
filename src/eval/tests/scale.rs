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
use std::time::Instant;

use fake::{Fake, MAP};
use homolog_core::matching;
use homolog_eval::pck::Bootstrap;
use homolog_eval::readers::spair71k::{Layout, read};
use homolog_eval::readers::{ReadOptions, Split};
use homolog_eval::report::Report;
use homolog_eval::result::PairResult;
use homolog_eval::runner::{Cancel, Settings, Task, run};
use homolog_eval::{Dataset, pck};

/// Runs the whole dataset with room for this many maps.
fn results(dataset: &Dataset, maps: u64) -> Vec<PairResult> {
    let pairs: Vec<usize> = (0..dataset.pairs.len()).collect();
    let task = Task { model: 0, matching: matching::Settings::default() };
    let settings = Settings { memory: maps * MAP, ..Settings::default() };
    let encoder = Fake::new(1);
    let mut results = Vec::new();
    let start = Instant::now();
    let outcome = run(dataset, &pairs, &[task], &encoder, &settings, &Cancel::default(), |delivery| {
        results.extend(delivery.results.into_iter().map(Result::unwrap));
        ControlFlow::Continue(())
    })
    .unwrap();
    println!("room for {maps} maps: {:.2?}, {:?}", start.elapsed(), outcome.statistics);
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

    let roomy = results(&dataset, 60);
    assert_eq!(roomy, results(&dataset, 8), "the memory changes no bit");
    let settings = pck::Settings { bootstrap: Some(Bootstrap { resamples: 1000, seed: 0 }), ..Default::default() };
    let start = Instant::now();
    let report = Report::new(&roomy, &settings).unwrap();
    println!("a report with 1,000 resamples in {:.2?}", start.elapsed());
    assert_eq!((report.overall.pairs, report.categories.len()), (12_234, 18));
    assert!(report.geometry_aware.unwrap().points > 0 && report.confusion.all.points > 0);
    if let Some(python) = python::find() {
        python::agrees(&python, &roomy, &pck::Settings { bootstrap: None, ..settings });
    }
}
