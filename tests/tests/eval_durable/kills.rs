//! A process that ends at any instant costs no result and changes none.

use super::{Data, assert_same, several_runs};
use homolog_tests::spair_tree::Random;
use std::time::Duration;

/// Kills of an evaluation that was not done.
const KILLS: u32 = 24;
/// Longest time between a service's being ready and its end.
const LONGEST: u64 = 500;
const SEED: u64 = 20_260_101;

#[tokio::test(flavor = "multi_thread")]
async fn an_evaluation_that_is_killed_again_and_again_has_the_result_of_one_that_is_not() {
    let data = Data::write(4, 25, 6);
    let body = several_runs();
    let expected = data.undisturbed(&body).await;
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("evaluations.sqlite").display().to_string();
    let mut random = Random(SEED);
    let (mut kills, mut finished, mut pairs) = (0, 0, 0);
    let mut current: Option<String> = None;
    loop {
        let service = data.serve(&["--eval-store", &store]).await;
        if let Some(id) = &current {
            let job = service.evaluation(id).await;
            let done = job["progress"]["pairs_done"].as_u64().unwrap();
            assert!(done >= pairs, "what was kept once is kept: {done} of {pairs}");
            pairs = done;
            if kills == KILLS || job["state"] == "done" {
                assert_same(&service.result(id).await, &expected, &format!("after {kills} kills"));
                finished += 1;
                current = None;
            } else {
                kills += 1;
            }
            if kills == KILLS && current.is_none() {
                break;
            }
        }
        if current.is_none() {
            current = Some(service.evaluate(&body).await);
            pairs = 0;
        }
        let after = Duration::from_millis(random.below(LONGEST));
        tokio::time::sleep(after).await;
        // now and then an operator is the cause
        let politely = random.below(4) == 0;
        println!("kill {kills}: {after:?} after {pairs} pairs, {}", if politely { "SIGTERM" } else { "SIGKILL" });
        if politely {
            service.signal_stop();
            assert!(service.ended().success());
        } else {
            service.kill();
        }
    }
    println!("seed {SEED}: {finished} evaluations, {kills} kills");
}
