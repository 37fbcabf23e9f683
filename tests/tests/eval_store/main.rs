//! The store of evaluations, the same in SQLite and in PostgreSQL.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod claims;
mod files;
mod jobs;

use homolog_core::geometry::{Point, Size};
use homolog_core::matching;
use homolog_eval::document::DatasetSummary;
use homolog_eval::pck;
use homolog_eval::readers::Format;
use homolog_eval::result::{Extents, KeypointResult, PairResult};
use homolog_jobs::{Address, Created, Done, Lease, NewJob, RunSpec, ShardProgress, Source, Specification, Store};
use homolog_tests::postgres::Postgres;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

/// Runs a test on every kind of store that there is here.
async fn on_each<F: Future<Output = ()>>(test: impl Fn(Store) -> F) {
    let folder = tempfile::tempdir().unwrap();
    let address = Address::Sqlite(folder.path().join("a folder/evaluations?.sqlite"));
    test(Store::open(&address).await.unwrap()).await;
    if let Some(url) = database() {
        test(Store::open(&Address::Postgres(url)).await.unwrap()).await;
    }
}

/// A database of the test's own in the one server of this file.
fn database() -> Option<String> {
    static SERVER: OnceLock<Option<Postgres>> = OnceLock::new();
    static NAMES: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let server = SERVER.get_or_init(Postgres::start).as_ref()?;
    let name = format!("d{}", NAMES.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    Some(server.database(&name))
}

fn specification(name: &str) -> Specification {
    Specification {
        source: Source::Registered { name: name.to_owned(), digest: "d".into() },
        runs: vec![RunSpec {
            model: "demo".into(),
            digest: "m".into(),
            description: String::new(),
            resolution: 112,
            matching: matching::Settings::default(),
        }],
        pck: pck::Settings::default(),
        code: "1".into(),
    }
}

fn summary(pairs: usize) -> DatasetSummary {
    DatasetSummary {
        name: "d".into(),
        format: Format::Simple { list: None },
        pairs,
        pairs_left_out: 0,
        images: 2 * pairs,
        keypoints: 4 * pairs,
        categories: Vec::new(),
        problems: BTreeMap::new(),
        first_problems: Vec::new(),
    }
}

async fn take(store: &Store, name: &str, shards: usize) -> String {
    let (specification, summary) = (specification(name), summary(4));
    let new = NewJob { specification: &specification, dataset: &summary, key: None, shards, images: &[] };
    match store.create(&new, 100).await.unwrap() {
        Created::New(id) => id,
        Created::Before(id) => panic!("{id} was there before"),
    }
}

fn lease(owner: &str) -> Lease {
    Lease { owner: owner.to_owned(), time: Duration::from_secs(60) }
}

/// A pair with four keypoints of which `hits` are right.
fn done(pair: usize, hits: u32) -> Done {
    let place = Point::new(1.25, 0.1 + pair as f64);
    let keypoint = |index: u32| KeypointResult {
        id: index.to_string(),
        source: place,
        prediction: place,
        truth: place,
        error: f64::from(index) / 3.0,
        similarity: 0.1,
        confidence: 0.7,
        ratio: None,
        cycle_error: None,
        geometry_aware: None,
        partner: None,
    };
    let result = PairResult {
        pair: format!("p{pair}"),
        category: "c".into(),
        difficulty: Default::default(),
        extents: Extents { target_box: Some(10.0), keypoints: None, image: Some(Size::new(20, 10).width.into()) },
        keypoints: (0..4).map(keypoint).collect(),
    };
    Done { pair, results: vec![(Ok(result), hits)] }
}

fn progress(shards: usize, images: &[(usize, u64)]) -> ShardProgress {
    ShardProgress { shards, images: BTreeMap::from_iter(images.iter().copied()), images_per_second: 8.0 }
}
