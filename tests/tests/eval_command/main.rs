//! `homolog eval`, as a user calls it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../../../src/eval/tests/common/python.rs"]
mod python;
mod willow;

use homolog_tests::{pairs, root, service::binary};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// A folder with a dataset of Homolog's own format in `data`.
fn dataset(images: u32, partners: u32) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    pairs::write(&data, images, partners);
    (folder, data)
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(["eval", "--models", "models"]).args(arguments).current_dir(root());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn eval(data: &Path, out: &Path, more: &[&str]) -> Output {
    let (data, out) = (data.to_str().unwrap(), out.to_str().unwrap());
    let mut arguments = vec!["--dataset", "simple", "--data", data, "--out", out];
    arguments.extend(more);
    command(&arguments).output().unwrap()
}

fn text(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

fn document(out: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(out.join("evaluation.json")).unwrap()).unwrap()
}

#[test]
fn an_evaluation_prints_its_tables_and_leaves_its_files() {
    let (folder, data) = dataset(4, 2);
    let out = folder.path().join("report");
    let output = eval(&data, &out, &["--resolution", "112", "--matcher", "argmax", "--matcher", "window-soft-argmax"]);
    let (stdout, stderr) = text(&output);
    assert!(output.status.success(), "{stderr}");
    assert!(stdout.contains("PCK per image, %") && stdout.contains("PCK per point, mean of categories, %"), "{stdout}");
    for file in ["report.html", "evaluation.json", "numbers.csv", "predictions.csv"] {
        assert!(out.join(file).metadata().unwrap().len() > 0, "{file}");
    }
    let document = document(&out);
    assert_eq!(document["runs"].as_array().unwrap().len(), 2);
    // once more: nothing is computed again, and the answer is the same
    let again = eval(&data, &out, &["--resolution", "112", "--matcher", "argmax", "--matcher", "window-soft-argmax"]);
    assert_eq!(text(&again).0, stdout);
    // and without a folder
    let data = data.to_str().unwrap();
    let bare = command(&["--dataset", "simple", "--data", data, "--resolution", "112", "--json"]).output().unwrap();
    assert!(bare.status.success(), "{:?}", text(&bare));
    let json: Value = serde_json::from_slice(&bare.stdout).unwrap();
    assert_eq!(json["dataset"]["pairs"], 8);
}

#[test]
fn another_evaluation_in_the_same_folder_is_refused_until_it_is_to_be_fresh() {
    let (folder, data) = dataset(3, 1);
    let out = folder.path().join("report");
    assert!(eval(&data, &out, &["--resolution", "112"]).status.success());
    let other = eval(&data, &out, &["--resolution", "224"]);
    assert_eq!(other.status.code(), Some(1));
    assert!(text(&other).1.contains("--fresh"), "{:?}", text(&other));
    assert_eq!(document(&out)["runs"][0]["model"]["resolution"], 112);
    let typo = eval(&data, &out, &["--model", "typo", "--fresh"]);
    assert_eq!(typo.status.code(), Some(1));
    assert!(eval(&data, &out, &["--resolution", "112"]).status.success(), "nothing was forgotten for it");
    let fresh = eval(&data, &out, &["--resolution", "224", "--fresh"]);
    assert!(fresh.status.success(), "{:?}", text(&fresh));
    assert_eq!(document(&out)["runs"][0]["model"]["resolution"], 224);
}

#[test]
fn pairs_that_are_left_out_give_an_exit_code_of_their_own_and_strict_an_error() {
    let (folder, data) = dataset(3, 1);
    std::fs::remove_file(data.join("0.png")).unwrap();
    let out = folder.path().join("report");
    let output = eval(&data, &out, &["--resolution", "112"]);
    assert_eq!(output.status.code(), Some(3), "{:?}", text(&output));
    assert_eq!(document(&out)["dataset"]["pairs_left_out"], 2);
    let strict = eval(&data, &folder.path().join("strict"), &["--resolution", "112", "--strict"]);
    assert_eq!(strict.status.code(), Some(1));
    assert!(text(&strict).1.contains("0.png"), "{:?}", text(&strict));
    let unknown = command(&["--dataset", "coco", "--data", "x"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown).1.contains("pf-willow"), "{:?}", text(&unknown));
}

#[test]
fn two_documents_are_compared() {
    let (folder, data) = dataset(5, 2);
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    assert!(eval(&data, &first, &["--resolution", "112"]).status.success());
    assert!(eval(&data, &second, &["--resolution", "112", "--matcher", "argmax"]).status.success());
    let paths = [&first, &second].map(|out| out.join("evaluation.json").display().to_string());
    let output = command(&["--compare", &paths[0], &paths[1]]).output().unwrap();
    let (stdout, stderr) = text(&output);
    assert!(output.status.success(), "{stderr}");
    assert!(stdout.contains("on the 10 pairs that both have") && stdout.contains("95 % interval"), "{stdout}");
    let json = command(&["--compare", &paths[0], &paths[1], "--json"]).output().unwrap();
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json[0]["comparison"]["pairs"], 10);
    let wrong = command(&["--compare", &paths[0], data.join("pairs.jsonl").to_str().unwrap()]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(1));
}

#[test]
fn a_command_that_is_stopped_goes_on_and_ends_with_the_same_document() {
    let (folder, data) = dataset(24, 8);
    let (stopped, whole) = (folder.path().join("stopped"), folder.path().join("whole"));
    let more = ["--resolution", "336", "--matcher", "argmax", "--matcher", "window-soft-argmax"];
    assert!(eval(&data, &whole, &more).status.success());
    let mut codes = Vec::new();
    for wait in [900, 1100, 1300, 1000, 1200] {
        let (data, out) = (data.to_str().unwrap(), stopped.to_str().unwrap());
        let mut arguments = vec!["--dataset", "simple", "--data", data, "--out", out];
        arguments.extend(more);
        let child = command(&arguments).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(wait));
        codes.push(ended(child, if wait % 200 == 0 { "-KILL" } else { "-TERM" }));
    }
    let output = eval(&data, &stopped, &more);
    assert!(output.status.success(), "{:?}", text(&output));
    println!("ended with {codes:?} before");
    assert_eq!(document(&stopped), document(&whole));
}

/// Sends the signal, and gives the exit code; none for a process that was killed by it.
fn ended(mut child: Child, signal: &str) -> Option<i32> {
    Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    let code = child.wait().unwrap().code();
    // done before the signal came, stopped by it, or killed
    assert!(matches!(code, None | Some(0 | 130)), "{code:?}");
    code
}
