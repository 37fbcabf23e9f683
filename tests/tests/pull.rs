//! `homolog-train pull` and `add` against servers and networks with their faults.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use homolog_backbone::catalog::{self, NETWORKS, Network, Origin};
use homolog_core::bundle::Bundle;
use homolog_tests::{
    files::{Files, Headers, Reply},
    train::{self, assert_refused, names, said, train},
};
use homolog_train::pull::{self, FetchArgs};
use std::{
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

/// No network's weights, but as good as any for a download.
fn bytes(seed: u8) -> Vec<u8> {
    (0..300_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 ^ seed).collect()
}

/// Pulls `file` for the demo network from `server` into `cache`.
fn pull(server: &Files, cache: &Path) -> Output {
    pull_for("dinov2-demo14", &format!("{}/weights.pth", server.url), cache)
}

fn pull_for(network: &str, url: &str, cache: &Path) -> Output {
    let cache = cache.to_str().unwrap();
    train(["pull", network, "--url", url, "--cache", cache, "--retries", "2", "--wait", "0.01"])
}

fn pulled(cache: &Path) -> PathBuf {
    cache.join("dinov2-demo14/weights.pth")
}

/// Requires success, the path on standard output, those bytes, and no part left.
fn assert_pulled(output: &Output, cache: &Path, bytes: &[u8]) {
    assert!(output.status.success(), "{}", said(output));
    let path = pulled(cache);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), path.to_str().unwrap());
    assert!(std::fs::read(&path).unwrap() == bytes, "the file is another one");
    assert_eq!(names(path.parent().unwrap()), ["weights.pth", "weights.pth.json"]);
}

fn ranges(server: &Files) -> Vec<Option<String>> {
    server.requests().iter().map(|request| request.get("range").cloned()).collect()
}

#[test]
fn a_file_comes_whole_after_its_licence_and_source_are_told_and_is_not_fetched_twice() {
    let cache = tempfile::tempdir().unwrap();
    let server = Files::serve(|_, request| Reply::ranged(&bytes(0), "\"a\"", request));
    let output = pull(&server, cache.path());
    assert_pulled(&output, cache.path(), &bytes(0));
    let said = said(&output);
    assert!(said.contains("licence MIT OR Apache-2.0") && said.contains(&server.url), "{said}");
    assert!(said.lines().count() <= 2, "not a terminal, and yet: {said}");
    let again = pull(&server, cache.path());
    assert_pulled(&again, cache.path(), &bytes(0));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn another_address_is_another_file() {
    let cache = tempfile::tempdir().unwrap();
    let (one, other) =
        (Files::serve(|_, _| Reply::whole(&bytes(0), "\"a\"")), Files::serve(|_, _| Reply::whole(&bytes(1), "\"a\"")));
    assert_pulled(&pull(&one, cache.path()), cache.path(), &bytes(0));
    assert_pulled(&pull(&other, cache.path()), cache.path(), &bytes(1));
}

#[test]
fn after_a_break_only_the_missing_bytes_are_asked_for() {
    let cache = tempfile::tempdir().unwrap();
    let server = Files::serve(|n, request| {
        let reply = Reply::ranged(&bytes(0), "\"a\"", request);
        if n == 0 { reply.cut(100_000) } else { reply }
    });
    assert_pulled(&pull(&server, cache.path()), cache.path(), &bytes(0));
    assert_eq!(ranges(&server), [None, Some("bytes=100000-".into())]);
    assert_eq!(server.requests()[1]["if-range"], "\"a\"");
}

#[test]
fn where_there_is_no_tag_the_date_of_the_last_change_tells_files_apart() {
    let (old, new) = ("Sun, 01 Nov 2026 10:00:00 GMT", "Mon, 02 Nov 2026 10:00:00 GMT");
    let dated = |reply: Reply, date: &str| Reply {
        headers: reply
            .headers
            .into_iter()
            .filter(|(name, _)| *name != "ETag")
            .chain([("Last-Modified", date.into())])
            .collect(),
        ..reply
    };
    for (date, seed) in [(old, 0), (new, 1)] {
        let cache = tempfile::tempdir().unwrap();
        let server = Files::serve(move |n, request| match n {
            0 => dated(Reply::ranged(&bytes(0), old, request), old).cut(100_000),
            _ => dated(Reply::ranged(&bytes(seed), date, request), date),
        });
        assert_pulled(&pull(&server, cache.path()), cache.path(), &bytes(seed));
        assert_eq!(server.requests()[1]["if-range"], old);
        assert_eq!(ranges(&server)[1].as_deref(), Some("bytes=100000-"));
    }
}

#[test]
fn a_later_run_goes_on_where_the_last_one_gave_up() {
    let cache = tempfile::tempdir().unwrap();
    // Three attempts fail without a further byte; the fourth request is the next run's.
    let server = Files::serve(|n, request| match n {
        0 => Reply::ranged(&bytes(0), "\"a\"", request).cut(100_000),
        1..=3 => Reply::status(503),
        _ => Reply::ranged(&bytes(0), "\"a\"", request),
    });
    let output = pull(&server, cache.path());
    assert_refused(&output, &["attempt 3", "0.1 MB", "goes on from there"]);
    assert!(!pulled(cache.path()).exists());
    assert_pulled(&pull(&server, cache.path()), cache.path(), &bytes(0));
    assert_eq!(ranges(&server).last().unwrap().as_deref(), Some("bytes=100000-"));
}

#[test]
fn attempts_that_bring_something_new_are_not_counted_against_the_limit() {
    let cache = tempfile::tempdir().unwrap();
    let server = Files::serve(|_, request| {
        let reply = Reply::ranged(&bytes(0), "\"a\"", request);
        let cut = reply.body.len().min(40_000);
        reply.cut(cut)
    });
    assert_pulled(&pull(&server, cache.path()), cache.path(), &bytes(0));
    assert_eq!(server.requests().len(), 8);
}

#[test]
fn a_server_without_ranges_is_asked_anew_and_the_parts_are_not_glued() {
    let cache = tempfile::tempdir().unwrap();
    let server = Files::serve(|n, _| {
        let reply = Reply::whole(&bytes(0), "\"a\"");
        if n == 0 { reply.cut(100_000) } else { reply }
    });
    assert_pulled(&pull(&server, cache.path()), cache.path(), &bytes(0));
}

#[test]
fn a_file_that_changed_between_attempts_is_fetched_anew() {
    // A server that heeds If-Range sends the whole; one that does not is found out by its tag; one without tags that match
    // nothing is not resumed at all.
    let heeds = |n: usize, request: &Headers| match n {
        0 => Reply::ranged(&bytes(0), "\"a\"", request).cut(100_000),
        _ => Reply::ranged(&bytes(1), "\"b\"", request),
    };
    let deaf = |n: usize, request: &Headers| match n {
        0 => Reply::ranged(&bytes(0), "\"a\"", request).cut(100_000),
        _ => {
            let mut request = request.clone();
            request.remove("if-range");
            Reply::ranged(&bytes(1), "\"b\"", &request)
        }
    };
    let weak = |n: usize, request: &Headers| match n {
        0 => Reply::ranged(&bytes(0), "W/\"a\"", request).cut(100_000),
        _ => Reply::ranged(&bytes(1), "W/\"a\"", request),
    };
    for server in [Files::serve(heeds), Files::serve(deaf), Files::serve(weak)] {
        let cache = tempfile::tempdir().unwrap();
        assert_pulled(&pull(&server, cache.path()), cache.path(), &bytes(1));
    }
}

#[test]
fn a_range_that_the_server_cannot_satisfy_is_dropped() {
    let cache = tempfile::tempdir().unwrap();
    let server = Files::serve(|n, request| match (n, request.contains_key("range")) {
        (0, _) => Reply::whole(&bytes(0), "\"a\"").cut(100_000),
        (_, true) => Reply::status(416),
        (_, false) => Reply::whole(&bytes(0)[..50_000], "\"a\""),
    });
    assert_pulled(&pull(&server, cache.path()), cache.path(), &bytes(0)[..50_000]);
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn an_answer_with_another_part_than_asked_for_is_not_appended() {
    let cache = tempfile::tempdir().unwrap();
    let server = Files::serve(|n, request| match (n, request.contains_key("range")) {
        (0, _) => Reply::whole(&bytes(0), "\"a\"").cut(100_000),
        (_, true) => {
            let range = ("Content-Range", "bytes 0-299999/300000".to_owned());
            Reply { status: 206, headers: vec![range], body: bytes(0), cut: None }
        }
        (_, false) => Reply::whole(&bytes(0), "\"a\""),
    });
    assert_pulled(&pull(&server, cache.path()), cache.path(), &bytes(0));
}

#[test]
fn a_refusal_is_told_at_once_and_leaves_nothing() {
    for status in [401, 403, 404, 410, 416] {
        let cache = tempfile::tempdir().unwrap();
        let server = Files::serve(move |_, _| Reply::status(status));
        assert_refused(&pull(&server, cache.path()), &[&server.url, &format!("answered {status}")]);
        assert_eq!(server.requests().len(), 1);
        assert!(names(&cache.path().join("dinov2-demo14")).is_empty());
    }
}

#[test]
fn a_server_in_trouble_is_asked_again() {
    let cache = tempfile::tempdir().unwrap();
    let server = Files::serve(|n, _| if n < 2 { Reply::status(503) } else { Reply::whole(&bytes(0), "\"a\"") });
    let output = pull(&server, cache.path());
    assert_pulled(&output, cache.path(), &bytes(0));
    assert!(said(&output).contains("answered 503"), "{}", said(&output));
}

#[test]
fn wrong_bytes_are_refused_with_both_digests_and_removed() {
    let cache = tempfile::tempdir().unwrap();
    let server = Files::serve(|_, request| Reply::ranged(&bytes(0), "\"a\"", request));
    let Origin::Url { sha256: Some(known), .. } = catalog::find("dinov2-vits14").unwrap().origin else {
        panic!("its digest is known");
    };
    let output = pull_for("dinov2-vits14", &format!("{}/w.pth", server.url), cache.path());
    let file = cache.path().join("other");
    std::fs::write(&file, bytes(0)).unwrap();
    let found = homolog_core::bundle::digest_file(&file).unwrap().sha256;
    assert_refused(&output, &[known, &found, "removed"]);
    assert!(names(&cache.path().join("dinov2-vits14")).is_empty());
}

#[test]
fn a_file_that_stays_shorter_than_announced_is_never_taken_for_whole() {
    let cache = tempfile::tempdir().unwrap();
    let server = Files::serve(|_, _| Reply::whole(&bytes(0), "\"a\"").cut(299_999));
    assert_refused(&pull(&server, cache.path()), &["did not come (attempt 3)"]);
    assert!(!pulled(cache.path()).exists());
}

#[test]
fn a_length_that_nobody_knows_is_refused_where_no_digest_is_known() {
    let cache = tempfile::tempdir().unwrap();
    let server = Files::serve(|_, _| {
        let chunked = ("Transfer-Encoding", "chunked".to_owned());
        Reply { status: 200, headers: vec![chunked], body: b"3\r\nabc\r\n0\r\n\r\n".to_vec(), cut: None }
    });
    assert_refused(&pull(&server, cache.path()), &["does not say how long"]);
}

#[test]
fn a_server_that_is_not_there_is_told_after_the_attempts_asked_for() {
    let cache = tempfile::tempdir().unwrap();
    // The discard port answers nobody.
    let output = pull_for("dinov2-demo14", "http://127.0.0.1:9/weights.pth", cache.path());
    assert_refused(&output, &["http://127.0.0.1:9/weights.pth", "attempt 3", "refused"]);
}

#[test]
fn an_address_that_is_none_is_refused() {
    let cache = tempfile::tempdir().unwrap();
    for url in
        ["weights.pth", "http://127.0.0.1:9/", "http://127.0.0.1:9/..", "http://127.0.0.1:9/%2e%2e", "ftp://a/b.pth"]
    {
        assert_refused(&pull_for("dinov2-demo14", url, cache.path()), &[url, "cannot be fetched"]);
    }
}

#[test]
fn a_cache_that_cannot_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let server = Files::serve(|_, _| Reply::whole(&bytes(0), "\"a\""));
    assert_refused(&pull(&server, &file), &[file.to_str().unwrap()]);
    assert!(server.requests().is_empty());
}

#[test]
fn two_pulls_of_one_file_do_not_write_into_each_other() {
    let cache = tempfile::tempdir().unwrap();
    let folder = cache.path().join("dinov2-demo14");
    std::fs::create_dir_all(&folder).unwrap();
    let part = std::fs::File::create(folder.join("weights.pth.part")).unwrap();
    part.lock().unwrap();
    let server = Files::serve(|_, _| Reply::whole(&bytes(0), "\"a\""));
    assert_refused(&pull(&server, cache.path()), &["weights.pth", "another process"]);
    part.unlock().unwrap();
    assert_pulled(&pull(&server, cache.path()), cache.path(), &bytes(0));
}

#[test]
fn an_unknown_network_is_told_with_the_names_there_are() {
    let output = train(["pull", "dinov2-vitx14"]);
    assert_refused(&output, &["dinov2-vitx14", "dinov2-vits14", "dinov2-vitl14-reg4"]);
}

#[test]
fn a_gated_network_says_where_to_ask_and_what_to_do_then() {
    let gated = Network { name: "gated", origin: Origin::Gated { ask: &["https://a.example/ask"] }, ..catalog::DEMO };
    let fetch = FetchArgs { cache: None, url: None, retries: 0, wait: Duration::ZERO };
    let error = pull::fetch(&gated, &fetch).unwrap_err().to_string();
    assert!(error.contains("https://a.example/ask") && error.contains("add gated --weights FILE"), "{error}");
    for network in NETWORKS {
        if let Origin::Gated { ask } = network.origin {
            assert_refused(&train(["pull", network.name]), ask);
            assert_refused(&train(["add", network.name, "--out", "/nowhere/gated"]), ask);
        }
    }
}

#[test]
fn the_demo_network_has_nothing_to_pull() {
    assert_refused(&train(["pull", "dinov2-demo14"]), &["no official weights", "homolog-train pretrain"]);
}

#[test]
fn add_fetches_and_exports_and_the_bundle_opens() {
    let folder = tempfile::tempdir().unwrap();
    let server = Files::serve(|n, request| {
        let reply = Reply::ranged(&train::DEMO, "\"a\"", request);
        if n == 0 { reply.cut(1_000_000) } else { reply }
    });
    let (out, cache) = (folder.path().join("models/small"), folder.path().join("cache"));
    let url = format!("{}/small.safetensors", server.url);
    let (out_text, cache_text) = (out.to_str().unwrap(), cache.to_str().unwrap());
    let fetch = ["--url", &url, "--cache", cache_text, "--wait", "0"];
    let output = train([&["add", "dinov2-demo14", "--out", out_text, "--split", "3"][..], &fetch].concat());
    assert!(output.status.success(), "{}", said(&output));
    let bundle = Bundle::open(&out).unwrap();
    let manifest = bundle.manifest();
    assert_eq!((manifest.split, manifest.feature), (3, catalog::DEMO.feature));
    assert_eq!(manifest.provenance.checkpoint, "small.safetensors");
    let file = homolog_core::bundle::digest_file(&cache.join("dinov2-demo14/small.safetensors")).unwrap();
    assert_eq!(manifest.provenance.checkpoint_sha256.as_deref(), Some(file.sha256.as_str()));
    // A second time it stops before anything is fetched.
    let before = server.requests().len();
    std::fs::remove_dir_all(&cache).unwrap();
    let again = train([&["add", "dinov2-demo14", "--out", out_text][..], &fetch].concat());
    assert_refused(&again, &["already there"]);
    assert_eq!(server.requests().len(), before);
}

#[test]
fn the_catalogue_is_a_table_and_every_entry_holds_together() {
    let output = train(["networks"]);
    let table = String::from_utf8(output.stdout).unwrap();
    for network in NETWORKS {
        let line = table.lines().find(|line| line.split_whitespace().next() == Some(network.name)).unwrap();
        assert!(line.contains(network.licence) && line.contains(network.family.name()), "{line}");
        network.family.check().unwrap();
        assert!(network.family.features().contains(&network.feature), "{}", network.name);
        let patch = network.family.info(network.name).patch;
        assert!(network.resolution.is_multiple_of(patch), "{}", network.name);
        assert_eq!(NETWORKS.iter().filter(|other| other.name == network.name).count(), 1);
        if let Origin::Url { url, sha256 } = network.origin {
            assert!(url.starts_with("https://") && line.contains(url), "{line}");
            let hex = |digest: &str| digest.len() == 64 && digest.bytes().all(|b| b"0123456789abcdef".contains(&b));
            assert!(sha256.is_none_or(hex), "{}", network.name);
        }
    }
}
