//! The plan of a run: every pair once, never more than the capacity, few loads.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "common/fake.rs"]
mod fake;

use std::collections::HashMap;

use fake::{cliques, graph};
use homolog_eval::runner::{Plan, Step};
use homolog_eval::{Dataset, Error};
use proptest::prelude::*;

fn plan(dataset: &Dataset, sizes: &[u64], capacity: u64) -> Result<Plan, Error> {
    let pairs: Vec<usize> = (0..dataset.pairs.len()).collect();
    Plan::new(dataset, &pairs, sizes, capacity)
}

/// Carries the steps out on paper.
fn check(dataset: &Dataset, plan: &Plan, sizes: &[u64], capacity: u64) -> Result<(), String> {
    let mut held: HashMap<usize, usize> = HashMap::new();
    let mut matched = vec![0; dataset.pairs.len()];
    let mut loads = vec![0; dataset.images.len()];
    let mut promised = vec![true; dataset.images.len()];
    for step in plan.steps() {
        match *step {
            Step::Load { slot, image } => {
                if held.values().any(|other| *other == image) || held.insert(slot, image).is_some() {
                    return Err(format!("image {image} is loaded twice"));
                }
                if !promised[image] {
                    return Err(format!("image {image} was not to come again"));
                }
                loads[image] += 1;
                let used: u64 = held.values().map(|image| sizes[*image]).sum();
                if used > capacity || used > plan.peak_bytes() {
                    return Err(format!("{used} bytes are held"));
                }
            }
            Step::Match { pair, source, target } => {
                let images = (held.get(&source).copied(), held.get(&target).copied());
                if images != (Some(dataset.pairs[pair].source), Some(dataset.pairs[pair].target)) {
                    return Err(format!("pair {pair} is matched with {images:?}"));
                }
                matched[pair] += 1;
            }
            Step::Release { slot, again } => {
                let image = held.remove(&slot).ok_or(format!("slot {slot} is empty"))?;
                promised[image] = again;
            }
        }
    }
    if matched.iter().any(|count| *count != 1) || !held.is_empty() {
        return Err(format!("pairs were matched {matched:?} times, and {held:?} is left"));
    }
    if loads.iter().sum::<usize>() != plan.loads() {
        return Err("the loads are miscounted".to_owned());
    }
    Ok(())
}

#[test]
fn groups_that_fit_are_loaded_once_and_worked_off_one_after_the_other() {
    // the test split of SPair-71k: 18 categories, up to 30 images each, all of them paired with all
    let (images, edges) = cliques(&[27, 26, 27, 27, 30, 26, 25, 25, 26, 26, 25, 25, 27, 26, 30, 27, 28, 27]);
    let dataset = graph(images, &edges);
    let sizes = vec![1; images];
    let plan = plan(&dataset, &sizes, u64::MAX).unwrap();
    check(&dataset, &plan, &sizes, u64::MAX).unwrap();
    assert_eq!((plan.loads(), plan.peak_images()), (images, 30), "never more than the largest category");
    println!("{} pairs of {images} images: peak {} maps, {} loads", edges.len(), plan.peak_images(), plan.loads());
    for capacity in [24, 16, 12, 8, 4, 2] {
        let plan = self::plan(&dataset, &sizes, capacity).unwrap();
        check(&dataset, &plan, &sizes, capacity).unwrap();
        println!("room for {capacity}: peak {} maps, {} loads", plan.peak_images(), plan.loads());
        // every load but the first of a group makes at most the pairs with the others in memory
        assert!(plan.loads() >= edges.len() / 2 / (capacity as usize - 1));
        // blocks of m - 1 that stay while the rest streams through: n²/2(m - 1) a group, and the blocks themselves
        let bound: usize = 18 * (30 * 30 / (2 * (capacity as usize - 1)) + 2 * 30);
        assert!(plan.loads() <= bound, "{} loads, {bound} at most", plan.loads());
    }
}

#[test]
fn a_chain_is_followed_with_two_images_in_memory() {
    let edges: Vec<(usize, usize)> = (0..50).map(|n| (n, n + 1)).collect();
    let dataset = graph(51, &edges);
    let plan = plan(&dataset, &[1; 51], u64::MAX).unwrap();
    check(&dataset, &plan, &[1; 51], u64::MAX).unwrap();
    assert_eq!((plan.loads(), plan.peak_images()), (51, 2));
}

#[test]
fn a_pair_of_an_image_with_itself_takes_one_place() {
    let dataset = graph(1, &[(0, 0)]);
    let plan = plan(&dataset, &[5], 5).unwrap();
    check(&dataset, &plan, &[5], 5).unwrap();
    assert_eq!((plan.loads(), plan.peak_bytes()), (1, 5));
}

#[test]
fn too_little_memory_for_a_pair_is_said_beforehand() {
    let dataset = graph(3, &[(0, 1), (1, 2)]);
    match plan(&dataset, &[1, 2, 4], 5) {
        Err(Error::BudgetTooSmall { budget: 5, needed: 6 }) => {}
        other => panic!("{other:?}"),
    }
    assert!(matches!(Plan::new(&dataset, &[2], &[1; 3], 9), Err(Error::OutOfRange { index: 2, count: 2, .. })));
    let nothing = Plan::new(&dataset, &[], &[1; 3], 9).unwrap();
    assert_eq!((nothing.steps().len(), nothing.images()), (0, 0));
}

#[test]
fn groups_share_no_image() {
    let dataset = graph(7, &[(0, 1), (2, 3), (4, 4), (1, 5), (3, 2), (5, 6)]);
    assert_eq!(dataset.groups(&[0, 1, 2, 3, 4, 5]), [vec![0, 3, 5], vec![1, 4], vec![2]]);
    // without the pair that joins them, 0-1 and 5-6 are apart
    assert_eq!(dataset.groups(&[5, 4, 0]), [vec![5], vec![4], vec![0]]);
}

proptest! {
    #[test]
    fn every_plan_delivers_each_pair_once_within_its_capacity(
        sizes in prop::collection::vec(1..9_u64, 2..20),
        edges in prop::collection::vec((0..1000_usize, 0..1000_usize), 0..60),
        spare in 0..20_u64,
    ) {
        let edges: Vec<(usize, usize)> = edges.iter().map(|(a, b)| (a % sizes.len(), b % sizes.len())).collect();
        let dataset = graph(sizes.len(), &edges);
        let capacity = plan(&dataset, &sizes, u64::MAX).unwrap().largest_pair() + spare;
        let plan = plan(&dataset, &sizes, capacity).unwrap();
        prop_assert_eq!(check(&dataset, &plan, &sizes, capacity), Ok(()));
    }
}
