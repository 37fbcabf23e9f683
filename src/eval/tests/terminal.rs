//! The table on the terminal, character by character.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod common;
#[path = "common/invented.rs"]
mod invented;

use std::path::Path;

use common::result;
use homolog_eval::Evaluation;
use homolog_eval::document::PairFailure;
use homolog_eval::pck::{Alphas, Settings};
use homolog_eval::report::terminal;
use invented::{dataset, finished, format};

/// Two runs over three pairs, measured at two α without intervals.
fn two_runs() -> Evaluation {
    let mut first = vec![
        result("a", "cat", 100.0, &[1.0, 50.0]),
        result("b", "cat", 100.0, &[12.0]),
        result("c", "dog", 10.0, &[9.0; 4]),
    ];
    first[2].difficulty.viewpoint = Some(2);
    let mut second = first.clone();
    second[1].keypoints[0].error = 2.0;
    let mut runs = vec![finished("one", first), finished("the\x1b[31mother", second)];
    runs[1].failures = vec![PairFailure { pair: "d".to_owned(), reason: "3.png: it\nis torn".to_owned() }];
    let settings = Settings { alphas: Alphas::try_from(vec![0.1, 0.125]).unwrap(), ..common::settings() };
    Evaluation::new(&dataset(), &format(), Path::new("/data"), &settings, runs).unwrap()
}

#[test]
fn the_tables_are_those_written_by_hand() {
    let expected = "\
spair71k/test: 56 pairs, 15 images, 480 keypoints
error ≤ α · longer side of the target's box

PCK per image, %   α=0.10  α=0.125
──────────────────────────────────
[1] one             16.7     50.0*
[2] the\u{FFFD}[31mother   50.0*    50.0*

PCK per point, %   α=0.10  α=0.125
──────────────────────────────────
[1] one             14.3     28.6*
[2] the\u{FFFD}[31mother   28.6*    28.6*

PCK per image, mean of categories, %  α=0.10  α=0.125
─────────────────────────────────────────────────────
[1] one                                12.5     37.5*
[2] the\u{FFFD}[31mother                      37.5*    37.5*

PCK per point, mean of categories, %  α=0.10  α=0.125
─────────────────────────────────────────────────────
[1] one                                16.7     33.3*
[2] the\u{FFFD}[31mother                      33.3*    33.3*

PCK per image at α=0.10, %  pairs    [1]    [2]
───────────────────────────────────────────────
cat                             2  25.0   75.0*
dog                             1   0.0*   0.0*
viewpoint: difficult            1   0.0*   0.0*

beside PCK         median error  mean error  left for right, %    ECE  AUROC
────────────────────────────────────────────────────────────────────────────
[1] one                   0.900       0.604                  –  0.357  0.500
[2] the\u{FFFD}[31mother         0.900       0.590                  –  0.214  0.500

[2] the\u{FFFD}[31mother, pairs failed: 1; the first: 3.png: it\u{FFFD}is torn
";
    let found = terminal::evaluation(&two_runs());
    assert_eq!(found, expected, "\n{found}");
}

#[test]
fn a_comparison_is_that_written_by_hand() {
    let found = terminal::comparison(&two_runs().comparisons[0]);
    let expected = "\
one → the\u{FFFD}[31mother, on the 3 pairs that both have

PCK per image, %  first  second  difference  95 % interval
";
    assert!(found.starts_with(expected), "\n{found}");
    assert!(found.contains("\nα=0.10             16.7    50.0       +33.3\n"), "\n{found}");
    assert!(found.contains("\nα=0.125            50.0    50.0         0.0\n"), "\n{found}");
    assert!(found.ends_with("\nchanged most at α=0.10, %  first  second\n────────────────────────────────────────\nb                            0.0   100.0\n"), "\n{found}");
}

#[test]
fn an_interval_is_told_by_half_its_width_and_a_single_run_has_no_mark() {
    let dataset = dataset();
    let runs = vec![finished("one", invented::results(&dataset, 1, 25.0, 4))];
    let evaluation = Evaluation::new(&dataset, &format(), Path::new("/data"), &invented::settings(), runs).unwrap();
    let score = evaluation.runs[0].report.overall.get(homolog_eval::pck::Average::PerImage, 0.1).unwrap();
    let interval = score.interval.unwrap();
    let half = format!("±{:.1}", (interval.high - interval.low) * 50.0);
    let text = terminal::evaluation(&evaluation);
    assert!(text.contains("±: half the width of 95 % intervals of 200 bootstrap resamples of the pairs, seed 0\n"));
    assert!(text.contains(&format!("{:.1} {half:>5}", score.value * 100.0)), "{text}");
    assert!(!text.contains('*') && !text.contains("[1]"), "{text}");
    assert!(text.contains("geometry-aware subset"), "{text}");
}
