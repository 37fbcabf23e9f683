//! Which requests will be in time.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::time::Duration;

use homolog::backlog::{Want, hurts, late, through};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// A request for so many images of 100 ms, two of them ahead, with so many ms left.
fn want(images: usize, left: u64) -> Want {
    Want { images, ahead: 2, each: MS(100), left: Some(MS(left)) }
}

#[test]
fn a_request_waits_for_what_is_before_it_and_for_itself() {
    let line = [want(2, 1000), want(1, 1000), want(2, 1000)];
    assert_eq!(through(&line, 0, 2, 1), MS(200));
    assert_eq!(through(&line, 1, 2, 1), MS(300));
    assert_eq!(through(&line, 2, 2, 1), MS(500));
    assert_eq!(through(&line, 2, 2, 2), MS(250));
    assert_eq!(through(&line, 3, 2, 1), MS(0));
}

#[test]
fn many_images_let_few_pass_and_take_turns_with_many() {
    let line = [want(100, 60_000), want(2, 1000), want(50, 60_000)];
    // a window of the hundred is before it, and its own two
    assert_eq!(through(&line, 1, 2, 1), MS(400));
    // all others pass it, but for the window that was there first
    assert_eq!(through(&line, 0, 2, 1), MS(15_200));
    assert_eq!(through(&line, 2, 2, 1), MS(10_200));
}

#[test]
fn who_would_be_late_is_refused_unless_it_is_alone() {
    // half more than is expected must fit
    let late = |line: &[Want]| late(line, MS(0), 2, 1);
    assert_eq!(late(&[want(2, 1000), want(2, 600)]), None);
    assert_eq!(late(&[want(2, 1000), want(2, 599)]), Some(MS(400)));
    assert_eq!(late(&[want(50, 100)]), None);
    assert_eq!(late(&[want(0, 1000), want(50, 100)]), None);
    assert_eq!(late(&[]), None);
    let unbounded = Want { left: None, ..want(50, 0) };
    assert_eq!(late(&[want(2, 1000), unbounded]), None);
    // who comes last waits for those before it, whatever it wants
    assert_eq!(late(&[want(2, 1000), want(0, 0)]), Some(MS(200)));
    assert_eq!(late(&[want(0, 0), want(0, 0)]), None);
}

#[test]
fn what_others_let_decode_or_search_makes_late_too() {
    assert_eq!(late(&[want(2, 600)], MS(200), 2, 1), None);
    assert_eq!(late(&[want(2, 599)], MS(200), 2, 1), Some(MS(400)));
    assert_eq!(late(&[want(2, 1000), want(2, 600)], MS(100), 2, 1), Some(MS(500)));
    // it would be late alone
    assert_eq!(late(&[want(50, 100)], MS(1), 2, 1), None);
    // one that wants nothing of the workers
    assert_eq!(late(&[want(0, 150)], MS(100), 2, 1), None);
    assert_eq!(late(&[want(0, 149)], MS(100), 2, 1), Some(MS(100)));
    assert_eq!(late(&[want(0, 0)], MS(0), 2, 1), None);
}

#[test]
fn who_would_make_another_late_is_told() {
    let busy = want(10, 2400);
    assert!(!hurts(&[busy, want(6, 60_000)], 2, 1));
    assert!(hurts(&[busy, want(7, 60_000)], 2, 1));
    // its targets wait behind whatever comes while its source is made
    assert!(hurts(&[Want { ahead: 1, ..want(3, 450) }, want(2, 60_000)], 3, 1));
    // it was late before
    assert!(!hurts(&[want(10, 1000), want(7, 60_000)], 2, 1));
    // those behind never pass a request of one pair
    assert!(!hurts(&[want(2, 250), want(100, 60_000)], 2, 1));
    assert!(!hurts(&[want(2, 1000)], 2, 1));
    assert!(!hurts(&[], 2, 1));
}
