//! Which pairs make which batch.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "common/made.rs"]
mod made;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use homolog_adapt::data::{Order, OrderSettings, Plan, Samples};
use homolog_core::geometry::FitMode;
use homolog_eval::Dataset;
use made::{dataset, image, pair};
use proptest::prelude::*;

const SETTINGS: OrderSettings =
    OrderSettings { seed: 7, images_per_batch: 8, pairs_per_batch: 1000, flip: 0.0, balanced: false, accumulation: 1 };

fn order(dataset: &Dataset, settings: OrderSettings) -> Order {
    let samples = Samples::new(dataset, FitMode::Squash, 80, 10).unwrap();
    Order::new(Arc::new(samples), settings).unwrap()
}

/// Adds images to a category and all ordered pairs of them that are `listed`.
fn fill(dataset: &mut Dataset, category: usize, count: usize, mut listed: impl FnMut() -> bool) {
    let images: Vec<usize> = (0..count).map(|_| image(dataset)).collect();
    for &source in &images {
        for &target in images.iter().filter(|&&target| target != source) {
            if listed() {
                pair(
                    dataset,
                    category,
                    source,
                    target,
                    &[("0", [10.0, 10.0], [10.0, 10.0]), ("1", [30.0, 10.0], [30.0, 10.0])],
                );
            }
        }
    }
}

fn epoch(order: &Order, number: u64) -> Vec<Vec<Plan>> {
    (0..order.steps_per_epoch()).map(|step| order.step(number * order.steps_per_epoch() + step)).collect()
}

fn listed(steps: &[Vec<Plan>]) -> Vec<usize> {
    let mut listed: Vec<usize> = steps.iter().flatten().flat_map(|plan| plan.listed.clone()).collect();
    listed.sort_unstable();
    listed
}

fn by_category(steps: &[Vec<Plan>]) -> HashMap<usize, usize> {
    steps.iter().flatten().fold(HashMap::new(), |mut counts, plan| {
        *counts.entry(plan.category).or_default() += 1;
        counts
    })
}

fn datasets() -> impl Strategy<Value = Dataset> {
    let category = (2..14_usize, prop::collection::vec(any::<bool>(), 200), any::<bool>());
    prop::collection::vec(category, 1..4).prop_map(|categories| {
        let mut dataset = dataset(&["cat", "thing", "horse"]);
        for (index, (count, listed, all)) in categories.into_iter().enumerate() {
            let mut listed = listed.into_iter().cycle();
            let mut first = true;
            fill(&mut dataset, index, count, || listed.next().unwrap() || all || std::mem::take(&mut first));
        }
        dataset
    })
}

fn settings() -> impl Strategy<Value = OrderSettings> {
    (any::<u64>(), 2..11_usize, 1..40_usize, 1..5_usize, prop::sample::select(vec![0.0, 0.5, 1.0])).prop_map(
        |(seed, images_per_batch, pairs_per_batch, accumulation, flip)| OrderSettings {
            seed,
            images_per_batch,
            pairs_per_batch,
            flip,
            balanced: false,
            accumulation,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_pair_is_in_exactly_one_batch_of_an_epoch(dataset in datasets(), settings in settings(), number in 0..5_u64) {
        let order = order(&dataset, OrderSettings { flip: 0.0, ..settings });
        prop_assert_eq!(listed(&epoch(&order, number)), (0..dataset.pairs.len()).collect::<Vec<_>>());
    }

    #[test]
    fn with_flips_a_pair_is_in_one_batch_or_skipped(dataset in datasets(), settings in settings(), number in 0..3_u64) {
        let order = order(&dataset, settings);
        let steps = epoch(&order, number);
        let listed = listed(&steps);
        prop_assert_eq!(listed.iter().collect::<HashSet<_>>().len(), listed.len());
        let skipped: usize = steps.iter().flatten().map(|plan| plan.skipped).sum();
        prop_assert_eq!(listed.len() + skipped, dataset.pairs.len());
        let passes = order.passes(number);
        prop_assert_eq!((passes.pairs, passes.skipped), (listed.len(), skipped));
    }

    #[test]
    fn the_same_seed_gives_the_same_batches_in_whatever_order_they_are_asked_for(
        dataset in datasets(), settings in settings(), balanced in any::<bool>(),
    ) {
        let settings = OrderSettings { balanced, ..settings };
        let (one, other) = (order(&dataset, settings), order(&dataset, settings));
        let steps = 3 * one.steps_per_epoch();
        let forwards: Vec<Vec<Plan>> = (0..steps).map(|step| one.step(step)).collect();
        let mut backwards: Vec<Vec<Plan>> = (0..steps).rev().map(|step| other.step(step)).collect();
        backwards.reverse();
        prop_assert_eq!(forwards, backwards);
    }

    #[test]
    fn a_batch_keeps_to_its_bounds_and_its_weights_add_up_to_one(
        dataset in datasets(), settings in settings(), balanced in any::<bool>(), number in 0..3_u64,
    ) {
        let order = order(&dataset, OrderSettings { balanced, ..settings });
        for plan in epoch(&order, number).iter().flatten() {
            prop_assert!(!plan.pairs.is_empty());
            prop_assert!(plan.views.len() <= settings.images_per_batch.max(2));
            prop_assert!(plan.pairs.len() <= settings.pairs_per_batch);
            prop_assert_eq!(plan.views.iter().map(|view| view.image).collect::<HashSet<_>>().len(), plan.views.len());
            let sum: f32 = plan.pairs.iter().map(|pair| pair.weight).sum();
            prop_assert!((sum - 1.0).abs() < 1e-5);
            prop_assert!(plan.pairs.iter().all(|pair| pair.weight == plan.pairs[0].weight && !pair.points.is_empty()));
            for (pair, &index) in plan.pairs.iter().zip(&plan.listed) {
                let images = (plan.views[pair.source].image, plan.views[pair.target].image);
                prop_assert_eq!(images, (dataset.pairs[index].source, dataset.pairs[index].target));
            }
        }
    }

    #[test]
    fn no_step_is_empty_and_none_but_by_chance_has_more_batches_than_it_accumulates(
        dataset in datasets(), settings in settings(), balanced in any::<bool>(), number in 0..4_u64,
    ) {
        let order = order(&dataset, OrderSettings { balanced, ..settings });
        let first: usize = epoch(&order, 0).iter().map(Vec::len).sum();
        prop_assert_eq!(order.steps_per_epoch() as usize, first.div_ceil(settings.accumulation));
        let steps = epoch(&order, number);
        let count: usize = steps.iter().map(Vec::len).sum();
        let even = count / steps.len();
        prop_assert!(steps.iter().all(|step| !step.is_empty() && (even..=even + 1).contains(&step.len())));
        prop_assert!(number > 0 || steps.iter().all(|step| step.len() <= settings.accumulation));
    }

    #[test]
    fn balanced_categories_have_as_many_batches_each_and_the_largest_keeps_all_pairs(
        dataset in datasets(), settings in settings(), number in 0..3_u64,
    ) {
        let plain = order(&dataset, OrderSettings { flip: 0.0, accumulation: 1, ..settings });
        let balanced = order(&dataset, OrderSettings { flip: 0.0, balanced: true, ..settings });
        let steps = epoch(&balanced, number);
        let counts = by_category(&steps);
        let most = *counts.values().max().unwrap();
        prop_assert!(counts.values().all(|&count| count == most));
        let seen: HashSet<usize> = listed(&steps).into_iter().collect();
        let largest = by_category(&epoch(&plain, 0));
        let largest = (0..3).max_by_key(|category| largest.get(category).copied().unwrap_or(0)).unwrap();
        let all = dataset.pairs.iter().enumerate().filter(|(_, pair)| pair.category == largest);
        // in a later epoch of a sparse list another category may be cut finer; this one is whole in the first
        prop_assert!(number > 0 || all.map(|(index, _)| index).all(|index| seen.contains(&index)));
    }
}

#[test]
fn an_epoch_of_all_pairs_takes_as_many_times_fewer_passes_as_a_batch_has_images() {
    let mut dataset = dataset(&["thing"]);
    fill(&mut dataset, 0, 56, || true);
    let passes = order(&dataset, OrderSettings { images_per_batch: 16, ..SETTINGS }).passes(0);
    // 7 blocks of 8: 21 batches of 16 images and 7 of 8
    assert_eq!((passes.images, passes.pairs), (21 * 16 + 7 * 8, 56 * 55));
    assert!((passes.ratio() - 15.7).abs() < 0.05, "{}", passes.ratio());
    let cut = order(&dataset, OrderSettings { images_per_batch: 16, pairs_per_batch: 64, ..SETTINGS }).passes(0);
    // a batch of two blocks is cut into two, each with half of one block and all of the other
    assert_eq!((cut.images, cut.pairs), (21 * 24 + 7 * 8, 56 * 55));
}

#[test]
fn the_batches_of_a_step_come_from_different_categories() {
    let mut dataset = dataset(&["thing", "cat", "horse", "cow"]);
    (0..4).for_each(|category| fill(&mut dataset, category, 12, || true));
    for balanced in [false, true] {
        let order = order(&dataset, OrderSettings { balanced, accumulation: 4, ..SETTINGS });
        for step in epoch(&order, 1) {
            assert_eq!(step.iter().map(|plan| plan.category).collect::<HashSet<_>>().len(), step.len());
        }
    }
}

#[test]
fn a_small_category_is_repeated_with_another_shuffle() {
    let mut dataset = dataset(&["thing", "cat"]);
    fill(&mut dataset, 0, 24, || true);
    fill(&mut dataset, 1, 6, || true);
    let order = order(&dataset, OrderSettings { balanced: true, ..SETTINGS });
    let steps = epoch(&order, 0);
    // 6 blocks of 4 make 21 batches; 2 blocks make 3, seven times
    assert_eq!(by_category(&steps), [(0, 21), (1, 21)].into());
    let small = steps.iter().flatten().filter(|plan| plan.category == 1);
    let distinct: HashSet<Vec<usize>> = small
        .map(|plan| {
            let mut listed = plan.listed.clone();
            listed.sort_unstable();
            listed
        })
        .collect();
    assert!(distinct.len() > 3, "{} different batches", distinct.len());
}

#[test]
fn epochs_are_shuffled_differently_and_so_are_seeds() {
    let mut dataset = dataset(&["thing"]);
    fill(&mut dataset, 0, 20, || true);
    let one = order(&dataset, SETTINGS);
    let other = order(&dataset, OrderSettings { seed: 8, ..SETTINGS });
    assert_ne!(epoch(&one, 0), epoch(&one, 1));
    assert_ne!(epoch(&one, 0), epoch(&other, 0));
}

#[test]
fn about_as_many_views_are_flipped_as_the_setting_says() {
    let mut dataset = dataset(&["cat", "thing"]);
    (0..2).for_each(|category| fill(&mut dataset, category, 60, || true));
    let order = order(&dataset, OrderSettings { flip: 0.25, ..SETTINGS });
    let steps = epoch(&order, 0);
    let views =
        |category| steps.iter().flatten().filter(move |plan| plan.category == category).flat_map(|plan| &plan.views);
    let share = |category| views(category).filter(|view| view.flipped).count() as f64 / views(category).count() as f64;
    assert!((share(0) - 0.25).abs() < 0.05, "{}", share(0));
    assert_eq!(share(1), 0.0, "left and right of a thing are not known");
}

#[test]
fn where_one_image_is_flipped_a_left_part_goes_with_the_other_right_part() {
    let known = homolog_eval::symmetry::Symmetry::spair71k().unwrap()["cat"].clone();
    let left = (0..).map(|id: u32| id.to_string()).find(|id| known.partner(id).is_some()).unwrap();
    let right = known.partner(&left).unwrap();
    let mut dataset = dataset(&["cat"]);
    let (a, b) = (image(&mut dataset), image(&mut dataset));
    pair(&mut dataset, 0, a, b, &[(left.as_str(), [25.0, 12.5], [50.0, 25.0]), (right, [100.0, 50.0], [150.0, 75.0])]);
    let order = order(&dataset, OrderSettings { flip: 0.5, ..SETTINGS });
    let mut seen = HashSet::new();
    for plan in (0..64).flat_map(|step| order.step(step)) {
        let pair = &plan.pairs[0];
        let flipped = (plan.views[pair.source].flipped, plan.views[pair.target].flipped);
        let mut points: Vec<[f64; 4]> =
            pair.points.iter().map(|point| [point.source.x, point.source.y, point.target.x, point.target.y]).collect();
        points.sort_by(|a, b| a[1].total_cmp(&b[1]));
        // 25 px a token across, 12.5 down; by the height in the source
        let expected = match flipped {
            (false, false) => [[1.0, 1.0, 2.0, 2.0], [4.0, 4.0, 6.0, 6.0]],
            (true, true) => [[7.0, 1.0, 6.0, 2.0], [4.0, 4.0, 2.0, 6.0]],
            (true, false) => [[7.0, 1.0, 6.0, 6.0], [4.0, 4.0, 2.0, 2.0]],
            (false, true) => [[1.0, 1.0, 2.0, 6.0], [4.0, 4.0, 6.0, 2.0]],
        };
        assert_eq!(points, expected, "{flipped:?}");
        seen.insert(flipped);
    }
    assert_eq!(seen.len(), 4);
}

#[test]
fn settings_beyond_their_range_are_told() {
    let mut dataset = dataset(&["thing"]);
    fill(&mut dataset, 0, 3, || true);
    let samples = Arc::new(Samples::new(&dataset, FitMode::Squash, 80, 10).unwrap());
    for settings in [
        OrderSettings { images_per_batch: 1, ..SETTINGS },
        OrderSettings { pairs_per_batch: 0, ..SETTINGS },
        OrderSettings { accumulation: 0, ..SETTINGS },
        OrderSettings { flip: 1.5, ..SETTINGS },
        OrderSettings { flip: f64::NAN, ..SETTINGS },
    ] {
        assert!(Order::new(samples.clone(), settings).is_err(), "{settings:?}");
    }
}
