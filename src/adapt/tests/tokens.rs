//! The cache of frozen tokens, and the batches that are read from it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "common/made.rs"]
mod made;

#[path = "common/cached.rs"]
mod cached;

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use cached::*;
use homolog_adapt::data::{
    CacheSettings, Inputs, Order, OrderSettings, Prepared, Progress, Samples, TokenCache, TokenSource, TokenSpec,
    Tokens, TrainingSet,
};
use homolog_adapt::{Batches, Error};
use homolog_core::features::Dtype;
use homolog_core::geometry::FitMode;

#[test]
fn tokens_are_computed_once_for_this_run_and_later_ones() {
    let place = Place::new(3);
    let source = Source::new(100);
    let seen = Mutex::new(Vec::new());
    let (mut cache, _) = open(&place, spec(), ROOM, source.clone());
    let prepared = cache.prepare(place.views(), &|progress| seen.lock().unwrap().push(progress)).unwrap();
    assert_eq!(prepared, Prepared { reused: 0, computed: 6, removed: 0 });
    assert_eq!(seen.into_inner().unwrap(), (0..=6).map(|done| Progress { done, total: 6 }).collect::<Vec<_>>());
    assert_reads(&cache, place.views());
    drop(cache);
    let (mut cache, notices) = open(&place, spec(), ROOM, source.clone());
    assert_eq!(prepare(&mut cache, place.views()).unwrap(), Prepared { reused: 6, computed: 0, removed: 0 });
    assert_reads(&cache, place.views());
    assert_eq!(source.asked(), 6);
    assert!(notices.lock().unwrap().is_empty());
}

#[test]
fn whatever_tokens_depend_on_is_in_the_key() {
    let place = Place::new(1);
    let source = Source::new(100);
    let specs = [
        spec(),
        TokenSpec { backbone: "abd".to_owned(), ..spec() },
        TokenSpec { blocks: 11, ..spec() },
        TokenSpec { resolution: 90, ..spec() },
        TokenSpec { fit: FitMode::Pad, ..spec() },
        TokenSpec { dtype: Dtype::F16, ..spec() },
    ];
    for (index, spec) in specs.into_iter().enumerate() {
        prepare(&mut open(&place, spec, ROOM, source.clone()).0, place.views()).unwrap();
        assert_eq!(source.asked(), 2 * (index + 1));
    }
    fs::write(&place.images[0], [9]).unwrap();
    let (mut cache, _) = open(&place, spec(), ROOM, source.clone());
    assert_eq!(prepare(&mut cache, place.views()).unwrap().computed, 2, "another picture under the same name");
    assert_reads(&cache, place.views());
}

#[test]
fn half_precision_takes_half_the_room_and_rounds() {
    let place = Place::new(1);
    let (mut cache, _) = open(&place, TokenSpec { dtype: Dtype::F16, ..spec() }, ROOM, Source::new(100));
    prepare(&mut cache, place.views()).unwrap();
    assert!(place.files().iter().all(|file| fs::metadata(file).unwrap().len() < 256 + 2 * NUMBERS as u64));
    let mut read = vec![0.0; NUMBERS];
    cache.read(&place.images[0], true, &mut read).unwrap();
    let expected = values(&place.images[0], true);
    assert!(read.iter().zip(&expected).all(|(read, expected)| (read - expected).abs() <= expected / 2048.0));
}

#[test]
fn a_file_whose_numbers_changed_is_found_at_first_use_computed_again_and_said() {
    let place = Place::new(2);
    let source = Source::new(100);
    prepare(&mut open(&place, spec(), ROOM, source.clone()).0, place.views()).unwrap();
    for file in place.files() {
        let mut bytes = fs::read(&file).unwrap();
        let last = bytes.len() - 2;
        bytes[last] ^= 1;
        fs::write(&file, bytes).unwrap();
    }
    let (mut cache, notices) = open(&place, spec(), ROOM, source.clone());
    assert_eq!(prepare(&mut cache, place.views()).unwrap().reused, 4);
    assert_reads(&cache, place.views());
    assert_reads(&cache, place.views());
    assert_eq!(source.asked(), 8);
    let notices = notices.lock().unwrap();
    assert_eq!(notices.len(), 4);
    assert!(notices[0].contains("0.png are computed again"), "{}", notices[0]);
}

#[test]
fn a_torn_file_is_computed_again_and_said() {
    let place = Place::new(4);
    let source = Source::new(100);
    prepare(&mut open(&place, spec(), ROOM, source.clone()).0, place.views()).unwrap();
    for (index, file) in place.files().iter().enumerate().take(3) {
        let bytes = fs::read(file).unwrap();
        fs::write(file, &bytes[..[0, 5, bytes.len() - 1][index]]).unwrap();
    }
    let (mut cache, notices) = open(&place, spec(), ROOM, source);
    assert_eq!(prepare(&mut cache, place.views()).unwrap(), Prepared { reused: 5, computed: 3, removed: 0 });
    assert_reads(&cache, place.views());
    assert_eq!(notices.lock().unwrap().len(), 3);
}

#[test]
fn a_file_under_another_ones_name_is_damaged() {
    let place = Place::new(1);
    let source = Source::new(100);
    prepare(&mut open(&place, spec(), ROOM, source.clone()).0, place.views()).unwrap();
    let files = place.files();
    fs::copy(&files[0], &files[1]).unwrap();
    let (mut cache, notices) = open(&place, spec(), ROOM, source);
    prepare(&mut cache, place.views()).unwrap();
    assert_reads(&cache, place.views());
    assert_eq!(notices.lock().unwrap().len(), 1);
}

#[test]
fn what_is_removed_during_a_run_is_computed_again() {
    let place = Place::new(2);
    let source = Source::new(100);
    let (mut cache, notices) = open(&place, spec(), ROOM, source);
    prepare(&mut cache, place.views()).unwrap();
    place.files().iter().for_each(|file| fs::remove_file(file).unwrap());
    assert_reads(&cache, place.views());
    assert_eq!((place.files().len(), notices.lock().unwrap().len()), (4, 4));
}

#[test]
fn after_a_break_only_the_rest_is_computed() {
    let place = Place::new(4);
    let (mut cache, _) = open(&place, spec(), ROOM, Source::new(3));
    assert!(matches!(prepare(&mut cache, place.views()), Err(Error::Compute(_))));
    drop(cache);
    assert_eq!(place.files().len(), 3);
    let (mut cache, _) = open(&place, spec(), ROOM, Source::new(100));
    assert_eq!(prepare(&mut cache, place.views()).unwrap(), Prepared { reused: 3, computed: 5, removed: 0 });
    assert_reads(&cache, place.views());
}

#[test]
fn what_a_killed_run_left_is_removed() {
    let place = Place::new(1);
    let left = place.cache().join("runs/killed");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("lock"), "").unwrap();
    fs::write(left.join("part"), "half a file").unwrap();
    let (mut cache, _) = open(&place, spec(), ROOM, Source::new(100));
    prepare(&mut cache, place.views()).unwrap();
    assert!(!left.exists());
    drop(cache);
    assert_eq!(fs::read_dir(place.cache().join("runs")).unwrap().count(), 0);
}

#[test]
fn a_bound_that_is_too_small_is_told_before_anything_is_computed() {
    let place = Place::new(3);
    let source = Source::new(100);
    let (mut cache, _) = open(&place, spec(), 6 * FILE - 1, source.clone());
    let error = prepare(&mut cache, place.views()).unwrap_err().to_string();
    assert!(error.contains("take 6.2 kB") && error.contains("the cache may take 6.2 kB: give it more"), "{error}");
    assert_eq!(source.asked(), 0);
}

#[test]
fn a_disk_that_is_too_small_is_told_before_anything_is_computed() {
    let place = Place::new(1);
    let source = Source::new(100);
    let (mut cache, _) = open(&place, TokenSpec { shape: [1 << 24, 1 << 24], ..spec() }, u64::MAX, source.clone());
    let error = prepare(&mut cache, place.views()).unwrap_err().to_string();
    assert!(error.contains("of tokens are to be written, and the disk has"), "{error}");
    assert_eq!(source.asked(), 0);
}

#[test]
fn files_of_runs_that_ended_make_room_the_least_recently_used_first() {
    let place = Place::new(5);
    let source = Source::new(100);
    let views = place.views();
    prepare(&mut open(&place, spec(), ROOM, source.clone()).0, views[..4].to_vec()).unwrap();
    let old = place.files();
    for file in &old {
        let before = SystemTime::now() - Duration::from_secs(1000);
        fs::File::open(file).unwrap().set_modified(before).unwrap();
    }
    prepare(&mut open(&place, spec(), ROOM, source.clone()).0, views[4..6].to_vec()).unwrap();
    // six are there; two more and a use of the first two leave room for seven
    let (mut cache, _) = open(&place, spec(), 7 * FILE, source.clone());
    let mine = [&views[..2], &views[6..8]].concat();
    let Prepared { reused, computed, removed } = prepare(&mut cache, mine.clone()).unwrap();
    assert_eq!((reused, computed), (2, 2));
    assert!((1..=2).contains(&removed), "{removed}");
    assert_reads(&cache, mine);
    drop(cache);
    let (mut cache, _) = open(&place, spec(), ROOM, source.clone());
    assert_eq!(prepare(&mut cache, views[4..6].to_vec()).unwrap().reused, 2, "those used later are there");
    assert_eq!(prepare(&mut cache, views[2..4].to_vec()).unwrap().reused, 2 - removed);
}

#[test]
fn files_of_a_run_that_lives_are_never_removed() {
    let place = Place::new(4);
    let views = place.views();
    let (mut living, notices) = open(&place, spec(), ROOM, Source::new(100));
    prepare(&mut living, views[..4].to_vec()).unwrap();
    let (mut cache, _) = open(&place, spec(), 6 * FILE, Source::new(100));
    let error = prepare(&mut cache, views[4..].to_vec()).unwrap_err().to_string();
    assert!(error.contains("those of others that are running"), "{error}");
    assert_eq!(prepare(&mut cache, views[4..6].to_vec()).unwrap().removed, 0);
    assert_reads(&living, views[..4].to_vec());
    assert!(notices.lock().unwrap().is_empty());
    drop(living);
    assert!(prepare(&mut cache, views[4..].to_vec()).unwrap().removed > 0, "now it has ended");
}

#[test]
fn two_runs_at_the_same_time_share_a_folder() {
    let place = Place::new(20);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let (mut cache, notices) = open(&place, spec(), ROOM, Source::new(100));
                prepare(&mut cache, place.views()).unwrap();
                assert_reads(&cache, place.views());
                assert!(notices.lock().unwrap().is_empty());
            });
        }
    });
    assert_eq!(place.files().len(), 40);
}

#[test]
fn tokens_of_another_shape_or_without_end_are_an_error_that_names_the_image() {
    struct Wrong(Tokens);
    impl TokenSource for Wrong {
        fn tokens(&self, _: &Path, _: bool) -> Result<Tokens, Error> {
            Ok(self.0.clone())
        }
    }
    let place = Place::new(1);
    let mut infinite = vec![0.0; NUMBERS];
    infinite[7] = f32::INFINITY;
    let mut large = vec![0.0; NUMBERS];
    large[7] = 1e5;
    for (shape, data, words) in [
        ([64, 3], vec![0.0; 64 * 3], "65 tokens of 3 are expected"),
        (SHAPE, infinite, "gives inf"),
        (SHAPE, large, "beyond half precision"),
    ] {
        let settings = CacheSettings { folder: place.cache(), bound: ROOM, callers: 1 };
        let spec = TokenSpec { dtype: Dtype::F16, ..spec() };
        let source = Arc::new(Wrong(Tokens { shape, data }));
        let mut cache = TokenCache::open(spec, settings, source, Box::new(|_| {})).unwrap();
        let error = prepare(&mut cache, place.views()).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("0.png"), "{error}");
    }
}

#[test]
fn what_the_views_take_is_known_without_writing() {
    let place = Place::new(2);
    assert_eq!(spec().cost(&place.cache(), place.views()).unwrap().missing, 4);
    assert!(!place.cache().exists());
    prepare(&mut open(&place, spec(), ROOM, Source::new(100)).0, place.views()[..3].to_vec()).unwrap();
    let cost = spec().cost(&place.cache(), place.views()).unwrap();
    assert_eq!((cost.present, cost.missing, cost.each), (3, 1, FILE));
    assert!(place.files().iter().all(|file| fs::metadata(file).unwrap().len() <= FILE));
}

#[test]
fn a_batch_holds_the_tokens_of_its_views_one_after_the_other() {
    let place = Place::new(4);
    let mut dataset = made::dataset(&["cat"]);
    for path in &place.images {
        let index = made::image(&mut dataset);
        dataset.images[index].path = path.clone();
    }
    for source in 0..4 {
        for target in (0..4).filter(|&target| target != source) {
            let keypoint = ("0", [10.0, 10.0], [10.0, 10.0]);
            made::pair(&mut dataset, 0, source, target, &[keypoint, ("1", [30.0, 10.0], [30.0, 10.0])]);
        }
    }
    let samples = Arc::new(Samples::new(&dataset, FitMode::Squash, 80, 10).unwrap());
    let (mut cache, _) = open(&place, spec(), ROOM, Source::new(100));
    let views = samples.views(true);
    prepare(&mut cache, views.iter().map(|view| (samples.path(view.image), view.flipped)).collect()).unwrap();
    let settings =
        OrderSettings { seed: 1, images_per_batch: 4, pairs_per_batch: 3, flip: 0.5, balanced: true, accumulation: 2 };
    let set = TrainingSet::new(Order::new(samples, settings).unwrap(), cache);
    for step in 0..3 * set.steps_per_epoch() {
        let (plans, batches) = (set.order().step(step), set.batch(step).unwrap());
        assert_eq!(plans.len(), batches.len());
        for (plan, batch) in plans.into_iter().zip(batches) {
            let expected: Vec<f32> =
                plan.views.iter().flat_map(|view| values(&place.images[view.image], view.flipped)).collect();
            assert_eq!(batch.inputs, expected);
            assert_eq!((batch.images, batch.grid.len(), &batch.pairs), (plan.views.len(), 64, &plan.pairs));
        }
    }
}
