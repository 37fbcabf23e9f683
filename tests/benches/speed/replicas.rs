//! What a second replica brings: two services with a core each against one with one core, on one PostgreSQL.

use homolog_tests::{pairs, postgres::Postgres, root, service::Service};
use serde_json::json;
use std::time::Instant;

/// Groups of pairs that share no image, which replicas take in turn, and pictures in each.
const GROUPS: u32 = 48;
const IMAGES: u32 = 8;
/// Partners of each picture in its group.
const PARTNERS: u32 = 5;
const ROUNDS: usize = 3;

/// The same evaluation by one and by two, in turn; the median of each. The demo at 224.
pub fn replicas() {
    let name = "evaluation, demo at 224: throughput of 2 replicas : 1";
    let Some(server) = Postgres::start() else { return };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores < 2 {
        return println!("{name}: skipped, there is one core");
    }
    let folder = tempfile::tempdir().unwrap();
    let count = pairs::write_groups(folder.path(), GROUPS, IMAGES, PARTNERS);
    let register = format!("squares=simple@{}", folder.path().display());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        for (replicas, times) in [1, 2].into_iter().zip(&mut times) {
            // nothing is kept from one to the other
            let url = server.database(&format!("round_{round}_of_{replicas}"));
            times.push(runtime.block_on(one(replicas, &register, &url, count)));
        }
    }
    let [one, two] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[ROUNDS / 2]
    });
    // the larger the better, unlike the others
    println!("{name:<58} {two:>10.3} {one:>10.3} {:>7.3}", one / two);
}

/// Milliseconds from the request to its end.
async fn one(replicas: usize, register: &str, url: &str, pairs: usize) -> f64 {
    let flags = ["--register", register, "--eval-store", url, "--threads", "1", "--log", "warn"];
    let mut services = Vec::new();
    for core in ["0", "1"].into_iter().take(replicas) {
        let launcher = ["taskset", "--cpu-list", core];
        services.push(Service::start_under(&launcher, &root().join("models"), &flags).await);
    }
    let begun = Instant::now();
    let id = services[0].evaluate(&json!({"dataset": "squares", "runs": [{"resolution": 224}]})).await;
    let job = services[0]
        .evaluation_until(&id, |job| !["waiting", "running"].contains(&job["state"].as_str().unwrap()))
        .await;
    let took = begun.elapsed().as_secs_f64() * 1e3;
    assert_eq!((&job["state"], &job["progress"]["pairs_done"]), (&json!("done"), &json!(pairs)), "{job}");
    took
}
