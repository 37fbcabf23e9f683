//! The document of an evaluation: that it is complete, always the same, and read with care.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "common/invented.rs"]
mod invented;

use std::path::Path;

use homolog_eval::dataset::{Problem, ProblemKind};
use homolog_eval::document::{PROBLEMS_IN_FULL, PairFailure, compare};
use homolog_eval::pck::{Average, Operator, Settings, Threshold};
use homolog_eval::{Dataset, Error, Evaluation};
use invented::{dataset, evaluation, finished, format, results, settings};

fn json(evaluation: &Evaluation) -> Vec<u8> {
    let mut text = Vec::new();
    evaluation.write_json(&mut text).unwrap();
    text
}

fn of(dataset: &Dataset, runs: Vec<homolog_eval::document::Finished>) -> Result<Evaluation, Error> {
    Evaluation::new(dataset, &format(), Path::new("/data"), &settings(), runs)
}

#[test]
fn a_document_survives_being_written_and_read() {
    let evaluation = evaluation(&dataset());
    let text = json(&evaluation);
    let read = Evaluation::from_json(&text).unwrap();
    assert_eq!(read, evaluation);
    assert_eq!(json(&read), text);
    let bare = evaluation.without_results();
    assert_eq!(Evaluation::from_json(&json(&bare)).unwrap(), bare);
    assert!(!String::from_utf8(json(&bare)).unwrap().contains("\"prediction\""));
}

#[test]
fn the_order_in_which_results_come_changes_no_byte() {
    let dataset = dataset();
    let (a, b) = (results(&dataset, 1, 25.0, 4), results(&dataset, 2, 15.0, 9));
    let (mut c, mut d) = (a.clone(), b.clone());
    c.reverse();
    d.rotate_left(17);
    let one = of(&dataset, vec![finished("a", a), finished("b", b)]).unwrap();
    let other = of(&dataset, vec![finished("a", c), finished("b", d)]).unwrap();
    assert_eq!(json(&one), json(&other));
    let order: Vec<&str> = one.runs[1].predictions().unwrap().iter().map(|result| result.pair.as_str()).collect();
    let listed: Vec<&str> = dataset.pairs.iter().map(|pair| pair.id.as_str()).collect();
    assert_eq!(order, listed);
}

#[test]
fn files_are_named_relative_to_the_folder() {
    let mut dataset = dataset();
    let problem = |number: usize| Problem {
        kind: if number == 0 { ProblemKind::MissingImage } else { ProblemKind::DuplicatePair },
        file: "/data/cat/0.png".into(),
        field: None,
        detail: "/data/cat/0.png is not there".into(),
        pair: None,
        left_out: true,
    };
    dataset.problems = (0..PROBLEMS_IN_FULL + 20).map(problem).collect();
    dataset.listed += 3;
    let mut run = finished("a", results(&dataset, 1, 25.0, 4));
    run.results.remove(0);
    run.failures =
        vec![PairFailure { pair: dataset.pairs[0].id.clone(), reason: "/data/cat/1.png: it is torn".into() }];
    let evaluation = of(&dataset, vec![run]).unwrap();
    let summary = &evaluation.dataset;
    assert_eq!((summary.pairs, summary.pairs_left_out, summary.images, summary.keypoints), (56, 3, 15, 480));
    assert_eq!(summary.problems[&ProblemKind::MissingImage], 1);
    assert_eq!(summary.problems[&ProblemKind::DuplicatePair], PROBLEMS_IN_FULL + 19);
    assert_eq!(summary.first_problems.len(), PROBLEMS_IN_FULL);
    assert_eq!(summary.first_problems[0].to_string(), "cat/0.png: cat/0.png is not there (the pair is left out)");
    assert_eq!(evaluation.runs[0].failures[0].reason, "cat/1.png: it is torn");
    assert_eq!(evaluation.runs[0].report.overall.pairs, 55);
    assert!(!String::from_utf8(json(&evaluation)).unwrap().contains("/data/"));
}

#[test]
fn two_runs_of_the_same_name_are_refused() {
    let dataset = dataset();
    let runs = vec![finished("a", results(&dataset, 1, 25.0, 4)), finished("a", results(&dataset, 2, 25.0, 4))];
    let error = of(&dataset, runs).unwrap_err();
    assert_eq!(error.to_string(), "names of runs must be different from each other, not `a` twice");
}

#[test]
fn what_is_no_document_is_refused_by_version_or_field() {
    let mut text = String::from_utf8(json(&evaluation(&dataset()))).unwrap();
    let other = text.replacen("\"schema\":1", "\"schema\":7", 1);
    assert!(matches!(
        Evaluation::from_json(other.as_bytes()),
        Err(Error::DocumentVersion { found: 7, known: homolog_eval::document::SCHEMA })
    ));
    text = text.replacen("\"resolution\":336", "\"resolution\":\"336\"", 1);
    match Evaluation::from_json(text.as_bytes()) {
        Err(Error::Document { field, .. }) => assert_eq!(field, "runs[0].model.resolution"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(Evaluation::from_json(b"[1, 2"), Err(Error::Document { .. })));
}

#[test]
fn measuring_again_is_measuring_in_that_way_at_once() {
    let dataset = dataset();
    let other = Settings { threshold: Threshold::Image, operator: Operator::Below, ..settings() };
    let runs = || vec![finished("a", results(&dataset, 1, 25.0, 4)), finished("b", results(&dataset, 2, 15.0, 9))];
    let at_once = Evaluation::new(&dataset, &format(), Path::new("/data"), &other, runs()).unwrap();
    let evaluation = of(&dataset, runs()).unwrap();
    assert_ne!(evaluation.runs[0].report, at_once.runs[0].report);
    assert_eq!(evaluation.measured_again(&other).unwrap(), at_once);
    let error = evaluation.without_results().measured_again(&other).unwrap_err();
    assert!(matches!(error, Error::NoPredictions { run } if run == "a"));
}

#[test]
fn each_two_runs_are_compared_unless_they_share_no_pair() {
    let dataset = dataset();
    let (a, b) = (results(&dataset, 1, 25.0, 4), results(&dataset, 2, 15.0, 9));
    let runs = vec![finished("a", a.clone()), finished("b", b[..30].to_vec()), finished("c", b[30..].to_vec())];
    let evaluation = of(&dataset, runs).unwrap();
    let named: Vec<(&str, &str, usize)> = evaluation
        .comparisons
        .iter()
        .map(|compared| (compared.first.as_str(), compared.second.as_str(), compared.comparison.pairs))
        .collect();
    assert_eq!(named, [("a", "b", 30), ("a", "c", 26)]);
    let run = finished("empty", Vec::new());
    assert!(of(&dataset, vec![finished("a", a), run]).unwrap().comparisons.is_empty());
}

#[test]
fn documents_compare_their_only_runs_or_those_of_the_same_name() {
    let dataset = dataset();
    let run = |name: &str, seed: u64| finished(name, results(&dataset, seed, 20.0, 4));
    let one = of(&dataset, vec![run("a", 1)]).unwrap();
    let other = of(&dataset, vec![run("b", 2)]).unwrap();
    let both = of(&dataset, vec![run("b", 3), run("a", 2)]).unwrap();
    let names = |first: &Evaluation, second: &Evaluation| -> Vec<(String, String)> {
        compare(first, second).unwrap().into_iter().map(|compared| (compared.first, compared.second)).collect()
    };
    assert_eq!(names(&one, &other), [("a".to_owned(), "b".to_owned())]);
    assert_eq!(names(&one, &both), [("a".to_owned(), "a".to_owned())]);
    let compared = &compare(&one, &both).unwrap()[0].comparison;
    for difference in &compared.differences {
        let value = |evaluation: &Evaluation, average: Average| {
            evaluation.run("a").unwrap().report.overall.get(average, difference.alpha).unwrap().value
        };
        assert_eq!(difference.first, value(&one, difference.average));
        assert_eq!(difference.second, value(&both, difference.average));
    }
    let strangers = of(&dataset, vec![run("x", 1), run("y", 2)]).unwrap();
    let error = compare(&both, &strangers).unwrap_err();
    assert_eq!(error.to_string(), "the two runs cannot be compared: no run of `b`, `a` has its name among `x`, `y`");
    assert!(matches!(compare(&one.without_results(), &other), Err(Error::NoPredictions { .. })));
}

#[test]
fn a_run_without_a_name_is_called_after_its_model_and_matcher() {
    let model = finished("", Vec::new()).model;
    let name = model.run_name(&homolog_core::matching::Settings::default());
    assert_eq!(name, "demo@336 window_soft_argmax:window=5,temperature=0.05");
}
