//! What outweighs what in the configuration, seen from outside: the folder that `homolog models` does not find is the one
//! that was chosen.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::Path;
use std::process::Command;

/// Runs `homolog models` in `folder` with a configuration file of this text, and returns what it says is wrong.
fn complaint(folder: &Path, file: Option<&str>, env: &[(&str, &str)], flags: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_homolog"));
    command.arg("models").args(flags).current_dir(folder);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HOMOLOG_")) {
        command.env_remove(name);
    }
    if let Some(text) = file {
        std::fs::write(folder.join("homolog.toml"), text).unwrap();
        command.env("HOMOLOG_CONFIG", "homolog.toml");
    }
    let output = command.envs(env.iter().copied()).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

fn said(file: Option<&str>, env: &[(&str, &str)], flags: &[&str]) -> String {
    complaint(tempfile::tempdir().unwrap().path(), file, env, flags)
}

#[test]
fn a_flag_outweighs_the_environment_that_the_file_and_that_the_default() {
    let file = Some("models = 'of-file'");
    let env: &[_] = &[("HOMOLOG_MODELS", "of-env")];
    let flag: &[_] = &["--models", "of-flag"];
    for (file, env, flags, chosen) in [
        (None, &[][..], &[][..], "models"),
        (file, &[], &[], "of-file"),
        (None, env, &[], "of-env"),
        (file, env, &[], "of-env"),
        (None, &[], flag, "of-flag"),
        (file, env, flag, "of-flag"),
    ] {
        let said = said(file, env, flags);
        assert!(said.contains(&format!("the folder {chosen} ")), "{said}");
    }
}

#[test]
fn a_default_of_the_command_line_does_not_outweigh_the_file() {
    let said = said(Some("queue = 0"), &[], &["--workers", "2"]);
    assert!(said.contains("queue: must be above 0"), "{said}");
}

#[test]
fn settings_of_the_file_may_be_written_with_hyphens() {
    for name in ["max-points", "max_points"] {
        let said = said(Some(&format!("{name} = 0")), &[], &[]);
        assert!(said.contains("max_points: must be above 0"), "{said}");
    }
    let said = said(Some("max-points = 1\nmax_points = 1"), &[], &[]);
    assert!(said.contains("max_points: given twice"), "{said}");
}

#[test]
fn what_is_wrong_is_said_with_the_name_of_the_setting() {
    for (file, says) in [
        ("workers = 'many'", "workers: "),
        ("listen = 'nowhere'", "listen: "),
        ("provider = 'tpu'", "provider: "),
        ("log_format = 'xml'", "log_format: "),
        ("worker = 2", "unknown field `worker`"),
        ("workers = -1", "workers: "),
        ("workers 2", "the configuration file homolog.toml is not TOML"),
    ] {
        let said = said(Some(file), &[], &[]);
        assert!(said.contains(says), "{file}: {said}");
    }
    let env = said(None, &[("HOMOLOG_WORKERS", "many")], &[]);
    assert!(env.contains("--workers"), "{env}");
    let missing = said(None, &[("HOMOLOG_CONFIG", "missing.toml")], &[]);
    assert!(missing.contains("missing.toml cannot be read"), "{missing}");
}

#[test]
fn datasets_are_registered_in_the_file_or_by_flags_and_a_wrong_one_is_explained() {
    let file = Some("[datasets.spair]\nformat = 'spair71k'\nsplit = 'best'\npath = 'x'");
    let wrong = said(file, &[], &[]);
    assert!(wrong.contains("datasets.spair"), "{wrong}");
    let nameless = said(None, &[], &["--register", "pf-willow"]);
    assert!(nameless.contains("KEY=FORMAT@DIR"), "{nameless}");
    let unknown = said(None, &[], &["--register", "x=coco@data"]);
    assert!(unknown.contains("spair71k"), "{unknown}");
    // right ones get as far as the folder of models
    let file = Some("[datasets.spair]\nformat = 'spair71k'\nsplit = 'val'\npath = 'x'");
    for (file, flags) in [(file, &[][..]), (None, &["--register", "a=pf-willow:l.csv@x,b=simple@y"])] {
        let said = said(file, &[], flags);
        assert!(said.contains("the folder models "), "{said}");
    }
    let store = said(None, &[], &["--eval-store", "mysql://host/db"]);
    assert!(store.contains("postgres://"), "{store}");
}

#[test]
fn every_command_line_is_sound() {
    use clap::CommandFactory;
    homolog::cli::Cli::command().debug_assert();
}
