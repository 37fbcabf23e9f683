//! What a second replica brings: two services with a core each against one with one core, on one PostgreSQL.

use homolog_backbone::{catalog, export::export, random};
use homolog_core::bundle::{Feature, Precision};
use homolog_tests::{options, pairs, postgres::Postgres, service::Service};
use serde_json::{Value, json};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// Groups of pairs that share no image, which replicas take in turn, and pictures in each.
const GROUPS: u32 = 32;
const IMAGES: u32 = 6;
/// Partners of each picture in its group.
const PARTNERS: u32 = 4;
const ROUNDS: usize = 3;
/// How often the one who waits asks: a person's page does so once a second, and the services share their cores with it.
const ASKED: Duration = Duration::from_millis(200);

/// The same evaluation by one and by two, in turn; the median of each. ViT-S/14 at 224.
pub fn replicas() {
    let name = "evaluation, ViT-S/14 at 224: throughput of 2 replicas : 1";
    let Some(server) = Postgres::start() else { return };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores < 2 {
        return println!("{name}: skipped, there is one core");
    }
    let folder = tempfile::tempdir().unwrap();
    let count = pairs::write_groups(folder.path(), GROUPS, IMAGES, PARTNERS);
    let register = format!("squares=simple@{}", folder.path().display());
    let models = tempfile::tempdir().unwrap();
    let network = catalog::find("dinov2-vits14").unwrap();
    let options =
        homolog_backbone::export::Options { resolutions: vec![224], ..options(8, Feature::PreNorm, Precision::Fp32) };
    export(&network, &random::weights(&network.family, 0), &models.path().join("vits"), &options, |_| {}).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        for (replicas, times) in [1, 2].into_iter().zip(&mut times) {
            // nothing is kept from one to the other
            let url = server.database(&format!("round_{round}_of_{replicas}"));
            times.push(runtime.block_on(one(replicas, models.path(), &register, &url, count)));
        }
    }
    let [one, two] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[ROUNDS / 2]
    });
    // the larger the better, unlike the others
    println!("{name:<66} {two:>10.3} {one:>10.3} {:>7.3}", one / two);
}

/// Milliseconds from the request to its end.
async fn one(replicas: usize, models: &Path, register: &str, url: &str, pairs: usize) -> f64 {
    let flags = ["--register", register, "--eval-store", url, "--threads", "1", "--log", "warn"];
    let mut services = Vec::new();
    for core in ["0", "1"].into_iter().take(replicas) {
        let launcher = ["taskset", "--cpu-list", core];
        services.push(Service::start_under(&launcher, models, &flags).await);
    }
    let begun = Instant::now();
    let id = services[0].evaluate(&json!({"dataset": "squares", "runs": [{"resolution": 224}]})).await;
    let ended = |job: &Value| !["waiting", "running"].contains(&job["state"].as_str().unwrap());
    let mut job = services[0].evaluation(&id).await;
    while !ended(&job) {
        tokio::time::sleep(ASKED).await;
        job = services[0].evaluation(&id).await;
    }
    let took = begun.elapsed().as_secs_f64() * 1e3;
    assert_eq!((&job["state"], &job["progress"]["pairs_done"]), (&json!("done"), &json!(pairs)), "{job}");
    took
}
