//! Replicas on one PostgreSQL.

use super::{Data, assert_same, several_runs};
use homolog_tests::{postgres::Postgres, service::Service};
use serde_json::Value;
use sqlx::PgPool;
use std::time::{Duration, Instant};

/// Three services on a database of their own; none where there is no PostgreSQL.
struct Replicas {
    services: Vec<Service>,
    pool: PgPool,
    _server: Postgres,
}

impl Replicas {
    async fn start(data: &Data) -> Option<Replicas> {
        let server = Postgres::start()?;
        let url = server.database("evaluations");
        let flags = ["--eval-store", url.as_str(), "--eval-lease-s", "2", "--threads", "1"];
        // all at once: they make the tables at the same time
        let services = futures::future::join_all((0..3).map(|_| data.serve(&flags))).await;
        Some(Replicas { services, pool: PgPool::connect(&url).await.unwrap(), _server: server })
    }

    async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }

    /// Waits until so many work on the only job that is not done.
    async fn until_at_work(&self, replicas: i64) {
        let begun = Instant::now();
        while self.count("SELECT count(DISTINCT owner) FROM eval_shards WHERE done = 0").await != replicas {
            assert!(begun.elapsed() < Duration::from_secs(60), "they do not share the work");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_replicas_of_which_one_is_killed_give_the_result_of_one_alone() {
    let data = Data::write(24, 6, 4);
    let body = several_runs();
    let Some(mut replicas) = Replicas::start(&data).await else { return };
    let expected = data.undisturbed(&body).await;
    let id = replicas.services[0].evaluate(&body).await;
    replicas.until_at_work(3).await;
    replicas.services[1].evaluation_until(&id, |now| now["progress"]["pairs_done"].as_u64() > Some(50)).await;
    // a claim of it dies with it
    let before: Vec<String> = sqlx::query_scalar("SELECT DISTINCT owner FROM eval_shards WHERE owner IS NOT NULL")
        .fetch_all(&replicas.pool)
        .await
        .unwrap();
    replicas.services.remove(0).kill();
    println!("one of {} owners was killed", before.len());
    for (index, service) in replicas.services.iter().enumerate() {
        assert_same(&service.result(&id).await, &expected, &format!("by replica {index}"));
        assert_eq!(service.evaluation(&id).await["progress"]["pairs_done"], data.pairs);
    }
    let runs = body["runs"].as_array().unwrap().len();
    assert_eq!(replicas.count("SELECT count(*) FROM eval_results").await, (data.pairs * runs) as i64);
    assert_eq!(replicas.count("SELECT count(*) FROM eval_shards WHERE done = 0 OR owner IS NOT NULL").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evaluation_is_listed_and_cancelled_through_any_replica_and_all_of_them_stop() {
    let data = Data::write(24, 20, 6);
    let Some(replicas) = Replicas::start(&data).await else { return };
    let [one, other, third] = replicas.services.as_slice() else { panic!("there are three") };
    let id = one.evaluate(&several_runs()).await;
    replicas.until_at_work(3).await;
    let listed: Value = serde_json::from_str(&other.get("/eval").await.text().await.unwrap()).unwrap();
    assert_eq!(listed["evaluations"][0]["id"], id.as_str());
    let begun = Instant::now();
    assert_eq!(third.client.delete(format!("{}/eval/{id}", third.url)).send().await.unwrap().status(), 200);
    assert_eq!(one.evaluation(&id).await["state"], "cancelled");
    let results = replicas.count("SELECT count(*) FROM eval_results").await;
    replicas.until_at_work(0).await;
    println!("all had stopped {:.2?} after one was told", begun.elapsed());
    assert_eq!(replicas.count("SELECT count(*) FROM eval_results").await, results, "nothing was kept afterwards");
    // they are free
    let body = serde_json::json!({"dataset": "squares", "runs": [{"resolution": 112}]});
    let next = other.evaluate(&body).await;
    replicas.until_at_work(3).await;
    assert_eq!(third.client.delete(format!("{}/eval/{next}", third.url)).send().await.unwrap().status(), 200);
}
