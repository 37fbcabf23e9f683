//! Tells [`code_version`](../specification.rs) the commit, where there is one: results are kept with what made them.

use std::process::Command;

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

fn main() {
    let (commit, log) = (git(&["rev-parse", "--short=12", "HEAD"]), git(&["rev-parse", "--git-path", "logs/HEAD"]));
    if let (Some(commit), Some(log)) = (commit, log) {
        println!("cargo::rustc-env=HOMOLOG_COMMIT={commit}");
        println!("cargo::rerun-if-changed={log}");
    }
}
