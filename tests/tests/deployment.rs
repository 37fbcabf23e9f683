//! What lies in `docker/`: that it parses, that it fits together, and that dashboard and alerts ask for what the service gives.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use homolog_tests::{
    root,
    service::{Service, form},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Every metric of `GET /metrics`: its name, its type, its labels.
const METRICS: &[(&str, &str, &[&str])] = &[
    ("homolog_http_requests_total", "counter", &["method", "route", "status"]),
    ("homolog_http_request_duration_seconds", "histogram", &["route"]),
    ("homolog_http_requests_in_progress", "gauge", &[]),
    ("homolog_stage_duration_seconds", "histogram", &["stage"]),
    ("homolog_queue_depth", "gauge", &["line"]),
    ("homolog_runs_in_progress", "gauge", &[]),
    ("homolog_runs_total", "counter", &["part"]),
    ("homolog_preemptions_total", "counter", &[]),
    ("homolog_batch_size", "histogram", &[]),
    ("homolog_cache_requests_total", "counter", &["result"]),
    ("homolog_cache_bytes", "gauge", &[]),
    ("homolog_cache_entries", "gauge", &[]),
    ("homolog_model_load_seconds", "gauge", &["model"]),
    ("homolog_evaluations", "gauge", &["state"]),
    ("homolog_evaluation_pairs_total", "counter", &[]),
    ("homolog_build_info", "info", &["version"]),
    ("process_resident_memory_bytes", "gauge", &[]),
    ("process_cpu_seconds_total", "counter", &[]),
    ("process_open_fds", "gauge", &[]),
    ("process_start_time_seconds", "gauge", &[]),
];

/// Labels that Prometheus itself gives, and that of a histogram's buckets.
const COMMON: &[&str] = &["job", "instance", "le"];

fn docker(name: &str) -> PathBuf {
    root().join("docker").join(name)
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let wrong = |error: &dyn std::fmt::Display| -> Value { panic!("{}: {error}", path.display()) };
    match path.extension().unwrap().to_str().unwrap() {
        "json" => serde_json::from_str(&text).unwrap_or_else(|error| wrong(&error)),
        _ => serde_saphyr::from_str(&text).unwrap_or_else(|error| wrong(&error)),
    }
}

/// Every value under `key`, however deep.
fn under<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                match value {
                    Value::String(text) if name == key => found.push(text),
                    other => under(other, key, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| under(value, key, found)),
        _ => {}
    }
}

/// What is asked of Prometheus.
fn expressions(file: &str) -> Vec<String> {
    let value = read(&docker(file));
    let mut found = Vec::new();
    under(&value, "expr", &mut found);
    assert!(!found.is_empty(), "{file} asks for nothing");
    found.into_iter().map(str::to_owned).collect()
}

/// The words of an expression that may be names, each with what follows it.
fn words(expression: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic() || c == '_') {
        let word = &rest[start..];
        let end = word.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(word.len());
        found.push((&word[..end], &word[end..]));
        rest = &word[end..];
    }
    found
}

/// The metric that a name of an expression is of: a histogram has three such names, and is never asked for by its own.
fn metric(name: &str) -> Option<&'static (&'static str, &'static str, &'static [&'static str])> {
    METRICS.iter().find(|(metric, kind, _)| match *kind {
        "histogram" => ["_bucket", "_sum", "_count"].iter().any(|end| name.strip_suffix(end) == Some(metric)),
        _ => name == *metric,
    })
}

/// What OpenMetrics calls a family whose samples have that name.
fn family<'a>(name: &'a str, kind: &str) -> &'a str {
    let end = match kind {
        "counter" => "_total",
        "info" => "_info",
        _ => "",
    };
    name.strip_suffix(end).unwrap_or(name)
}

/// The names in the braces or brackets that a text begins with.
fn listed(text: &str, open: char, close: char) -> Vec<&str> {
    let inside = text.trim_start().strip_prefix(open).and_then(|rest| rest.split_once(close));
    let names = inside.map_or("", |(inside, _)| inside).split(',').map(|entry| {
        let end = entry.find(['=', '!']).unwrap_or(entry.len());
        entry[..end].trim()
    });
    names.filter(|name| !name.is_empty()).collect()
}

#[test]
fn every_file_parses() {
    let mut folders = vec![docker("")];
    let mut parsed = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            if path.is_dir() {
                folders.push(path);
            } else if ["yaml", "yml", "json"].contains(&extension) {
                assert!(read(&path).is_object(), "{}", path.display());
                parsed += 1;
            }
        }
    }
    assert!(parsed >= 6, "{parsed} files");
}

#[test]
fn compose_names_only_targets_and_files_that_exist() {
    let compose = read(&docker("compose.yaml"));
    let dockerfile = std::fs::read_to_string(docker("Dockerfile")).unwrap();
    let mut targets = Vec::new();
    under(&compose, "target", &mut targets);
    targets.sort_unstable();
    assert_eq!(targets, ["cpu", "cuda"]);
    for target in targets {
        assert!(dockerfile.lines().any(|line| line.starts_with("FROM") && line.ends_with(&format!(" AS {target}"))));
    }
    for (service, settings) in compose["services"].as_object().unwrap() {
        for volume in settings["volumes"].as_array().unwrap() {
            let from = volume.as_str().unwrap().split(':').next().unwrap();
            let known = match from.strip_prefix("./") {
                Some(file) => docker(file).exists(),
                None => compose["volumes"].as_object().unwrap().contains_key(from),
            };
            assert!(known, "{service}: {from}");
        }
    }
    let device = &compose["services"]["homolog-cuda"]["deploy"]["resources"]["reservations"]["devices"][0];
    assert_eq!((&device["driver"], &device["capabilities"]), (&json!("nvidia"), &json!(["gpu"])));
    assert_eq!(compose["services"]["homolog-cuda"]["profiles"], json!(["cuda"]));
    for service in ["homolog", "homolog-cuda"] {
        assert_eq!(compose["services"][service]["read_only"], json!(true), "{service}");
    }
}

#[test]
fn dashboard_and_alerts_ask_only_for_metrics_and_labels_that_exist() {
    let mut asked = BTreeSet::new();
    for file in ["grafana/dashboards/homolog.json", "alerts.yml"] {
        for expression in expressions(file) {
            let mut labels: BTreeSet<&str> = COMMON.iter().copied().collect();
            for (word, rest) in words(&expression) {
                let ours = word.starts_with("homolog_") || word.starts_with("process_");
                if !ours {
                    continue;
                }
                let (name, _, own) = metric(word).unwrap_or_else(|| panic!("{file}: no metric {word} in {expression}"));
                for label in listed(rest, '{', '}') {
                    assert!(own.contains(&label) || COMMON.contains(&label), "{file}: {name} has no label {label}");
                }
                labels.extend(*own);
                asked.insert(*name);
            }
            for (word, rest) in words(&expression) {
                if ["by", "on", "without", "ignoring"].contains(&word) {
                    for label in listed(rest, '(', ')') {
                        assert!(labels.contains(label), "{file}: nothing has the label {label} in {expression}");
                    }
                }
            }
        }
    }
    let unseen: Vec<&str> = METRICS.iter().map(|(name, ..)| *name).filter(|name| !asked.contains(name)).collect();
    assert!(unseen.is_empty(), "on no panel and in no alert: {unseen:?}");
}

#[test]
fn panels_lie_side_by_side_and_have_numbers_of_their_own() {
    let dashboard = read(&docker("grafana/dashboards/homolog.json"));
    let mut numbers = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(numbers.insert(panel["id"].as_u64().unwrap()), "{panel}");
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{panel}");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(taken.insert((x, y)), "{} lies over another", panel["title"]);
            }
        }
    }
}

#[tokio::test]
async fn the_service_gives_the_metrics_of_the_list_and_no_others() {
    let service = Service::start(&[]).await;
    let photo = |name: &str| std::fs::read(root().join("openapi/examples").join(name)).unwrap();
    let matched = service.post_form(form(&photo("a.jpg"), &photo("b.jpg"), &json!({ "points": [[400, 60]] }))).await;
    assert_eq!(matched.status(), 200);
    let response = service.get("/metrics").await;
    assert_eq!(response.status(), 200);
    let text = response.text().await.unwrap();
    let given: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let listed: Vec<String> = METRICS.iter().map(|(name, kind, _)| format!("{} {kind}", family(name, kind))).collect();
    let listed: BTreeSet<&str> = listed.iter().map(String::as_str).collect();
    assert_eq!(given, listed);
    for (name, _, labels) in METRICS {
        let samples = || text.lines().filter(|line| line.starts_with(name) && line.contains('{'));
        for label in *labels {
            assert!(samples().all(|line| line.contains(&format!("{label}=\""))), "{name} has no label {label}");
        }
    }
}
