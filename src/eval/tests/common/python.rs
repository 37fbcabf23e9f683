//! The second evaluator, and what it must agree on.

use std::path::Path;
use std::process::Command;

use homolog_eval::pck::{Average, Counts, Scores, Settings};
use homolog_eval::report::Report;
use homolog_eval::result::PairResult;
use serde_json::{Value, json};

/// A Python that has numpy.
pub fn find() -> Option<String> {
    let python = std::env::var("HOMOLOG_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let tried = Command::new(&python).args(["-c", "import numpy"]).output();
    if tried.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    eprintln!("skipped: {python} has no numpy (set HOMOLOG_PYTHON to one that has)");
    None
}

/// Requires the same hits of every pair at every α, and every average of every group.
pub fn agrees(python: &str, results: &[PairResult], settings: &Settings) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let data = serde_json::to_vec(&json!({"settings": settings, "results": results})).unwrap();
    std::fs::write(file.path(), data).unwrap();
    // this file is part of tests in two crates
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let script = folders.map(|folder| folder.join("tests/reference/pck.py")).find(|script| script.is_file()).unwrap();
    let output = Command::new(python).arg(script).arg(file.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs: Value = serde_json::from_slice(&output.stdout).unwrap();

    let counts = Counts::of(results, settings, |_| true).unwrap();
    for counts in &counts {
        assert_eq!(theirs["hits"][counts.pair], json!(counts.hits), "{}", counts.pair);
    }
    let ours = Report::new(results, settings).unwrap();
    same("overall", &ours.overall, &theirs["overall"]);
    for (name, scores) in &ours.categories {
        same(name, scores, &theirs["categories"][name]);
    }
    for group in &ours.difficulty {
        let name = format!("{} {}", format!("{:?}", group.flag).to_lowercase(), group.value);
        same(&name, &group.scores, &theirs["difficulty"][name.as_str()]);
    }
    match &ours.geometry_aware {
        Some(scores) => same("geometry-aware", scores, &theirs["geometry_aware"]),
        None => assert_eq!(theirs["geometry_aware"], Value::Null),
    }
    let lengths = [theirs["categories"].as_object().unwrap().len(), theirs["difficulty"].as_object().unwrap().len()];
    assert_eq!(lengths, [ours.categories.len(), ours.difficulty.len()]);
}

fn same(group: &str, ours: &Scores, theirs: &Value) {
    assert_eq!((json!(ours.pairs), json!(ours.points)), (theirs["pairs"].clone(), theirs["points"].clone()), "{group}");
    for average in Average::ALL {
        let values = ours.scores.iter().filter(|score| score.average == average).map(|score| score.value);
        for (place, value) in values.enumerate() {
            let other = theirs[average.to_string()][place].as_f64().unwrap();
            // sums of up to thousands of shares, in another order
            assert!((value - other).abs() < 1e-12, "{group}, {average}: {value} and {other}");
        }
    }
}
