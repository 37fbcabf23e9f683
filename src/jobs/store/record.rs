//! Results: kept as they are made, each once.

use std::collections::{BTreeMap, HashSet};

use homolog_eval::result::PairResult;
use homolog_eval::runner::Failure;
use sqlx::{Any, AssertSqlSafe, Row, Transaction};

use super::{Job, Lease, RunningPck, Shard, Store};
use crate::{ALPHA, Error};

/// A pair that is done.
#[derive(Clone, Debug)]
pub struct Done {
    /// Index of the pair in the dataset.
    pub pair: usize,
    /// For each run what came of it, and how many of its keypoints are right at the α of [`RunningPck`].
    pub results: Vec<(Result<PairResult, Failure>, u32)>,
}

/// How far a replica is with the shards that it has claimed.
#[derive(Clone, Debug)]
pub struct ShardProgress {
    /// How many it has.
    pub shards: usize,
    /// By shard, where it has changed: images that no pair needs any more.
    pub images: BTreeMap<usize, u64>,
    /// Images that it encodes in a second.
    pub images_per_second: f64,
}

/// A result as it is kept.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Index of the pair in the dataset.
    pub pair: usize,
    /// What came of it.
    pub result: Result<PairResult, Failure>,
}

/// Rows of one statement: SQLite takes 32,766 values.
const ROWS: usize = 200;

impl Store {
    /// Keeps results, and how far their shards are. False if one of the shards is no longer this owner's, or the job has ended:
    /// then nothing was kept, and nothing more should be made.
    ///
    /// # Errors
    /// Those of the store; nothing of the batch was kept then.
    pub async fn record(
        &self,
        lease: &Lease,
        job: &str,
        done: &[Done],
        progress: &ShardProgress,
    ) -> Result<bool, Error> {
        let mut transaction = self.begin().await?;
        let until = self.now(&mut transaction).await? + lease.time.as_millis() as i64;
        let owned = sqlx::query(
            "UPDATE eval_shards SET lease = $1, images_per_second = $2 WHERE job = $3 AND owner = $4 AND done = 0 \
             AND EXISTS (SELECT 1 FROM eval_jobs WHERE id = $3 AND state = 'running')",
        )
        .bind(until)
        .bind(progress.images_per_second)
        .bind(job)
        .bind(lease.owner.as_str());
        if owned.execute(&mut *transaction).await?.rows_affected() < progress.shards as u64 {
            return Ok(false);
        }
        for (shard, images) in &progress.images {
            sqlx::query("UPDATE eval_shards SET images = $1 WHERE job = $2 AND number = $3")
                .bind(*images as i64)
                .bind(job)
                .bind(*shard as i64)
                .execute(&mut *transaction)
                .await?;
        }
        insert(&mut transaction, job, done).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Closes shards whose every pair is done; with the last of them the job is done. False if they are no longer this owner's.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn finish(&self, lease: &Lease, shards: &[Shard]) -> Result<bool, Error> {
        let Some(job) = shards.first().map(|shard| shard.job.as_str()) else { return Ok(true) };
        let mut transaction = self.begin().await?;
        let now = self.now(&mut transaction).await?;
        // two replicas that finish the last two shards must see each other: the job's row is locked first
        let going = sqlx::query("UPDATE eval_jobs SET reason = NULL WHERE id = $1 AND state = 'running'").bind(job);
        if going.execute(&mut *transaction).await?.rows_affected() == 0 {
            return Ok(false);
        }
        for shard in shards {
            let closed = sqlx::query(
                "UPDATE eval_shards SET done = 1, owner = NULL, lease = NULL WHERE job = $1 AND number = $2 AND owner = $3",
            )
            .bind(job)
            .bind(shard.number as i64)
            .bind(lease.owner.as_str());
            if closed.execute(&mut *transaction).await?.rows_affected() == 0 {
                return Ok(false);
            }
        }
        sqlx::query(
            "UPDATE eval_jobs SET state = 'done', ended = $1, reason = NULL WHERE id = $2 AND state = 'running' AND NOT EXISTS \
             (SELECT 1 FROM eval_shards WHERE job = $2 AND done = 0)",
        )
        .bind(now)
        .bind(job)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Indices of the pairs that have a result of each of `runs` runs.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn done(&self, job: &str, runs: usize) -> Result<HashSet<usize>, Error> {
        let rows = sqlx::query("SELECT pair FROM eval_results WHERE job = $1 GROUP BY pair HAVING count(*) = $2")
            .bind(job)
            .bind(runs as i64)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Ok(row.try_get::<i64, _>("pair")? as usize)).collect()
    }

    /// Every result of a run, in the order of the dataset's pairs.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn results(&self, job: &str, run: usize) -> Result<Vec<Stored>, Error> {
        let rows =
            sqlx::query("SELECT pair, result, failure FROM eval_results WHERE job = $1 AND run = $2 ORDER BY pair")
                .bind(job)
                .bind(run as i64)
                .fetch_all(&self.pool)
                .await?;
        let stored = rows.iter().map(|row| {
            let result = match row.try_get::<Option<String>, _>("result")? {
                Some(json) => Ok(serde_json::from_str(&json).map_err(Error::corrupt("result"))?),
                None => Err(Failure { reason: row.try_get::<Option<String>, _>("failure")?.unwrap_or_default() }),
            };
            Ok(Stored { pair: row.try_get::<i64, _>("pair")? as usize, result })
        });
        stored.collect()
    }

    /// Adds what the results say.
    pub(super) async fn with_progress(&self, mut job: Job) -> Result<Job, Error> {
        let rows = sqlx::query(
            "SELECT run, count(*) AS pairs, CAST(coalesce(sum(points), 0) AS BIGINT) AS points, CAST(coalesce(sum(hits), 0) AS \
             BIGINT) AS hits, CAST(coalesce(sum(failed), 0) AS BIGINT) AS failures, sum(CASE WHEN points > 0 THEN CAST(hits AS DOUBLE PRECISION) / points \
             END) AS shares FROM eval_results WHERE job = $1 GROUP BY run ORDER BY run",
        )
        .bind(job.id.as_str())
        .fetch_all(&self.pool)
        .await?;
        let mut least = if rows.len() < job.specification.runs.len() { Some(0) } else { None };
        for row in &rows {
            let count = |column| row.try_get::<i64, _>(column);
            let (pairs, points, hits, failures) =
                (count("pairs")?, count("points")?, count("hits")?, count("failures")?);
            let shares: Option<f64> = row.try_get("shares")?;
            least = Some(least.unwrap_or(pairs).min(pairs));
            let run = job.specification.runs.get(count("run")? as usize);
            let measured = pairs - failures;
            job.progress.running_pck.push(RunningPck {
                run: run.map(crate::RunSpec::name).unwrap_or_default(),
                alpha: ALPHA,
                per_image: shares.filter(|_| measured > 0).map(|shares| shares / measured as f64),
                per_point: (points > 0).then(|| hits as f64 / points as f64),
                failures: failures.max(0) as u64,
            });
        }
        let progress = &mut job.progress;
        progress.pairs_done = least.unwrap_or_default().max(0) as u64;
        let left = progress.images_total.saturating_sub(progress.images_done);
        progress.seconds_left =
            progress.images_per_second.filter(|speed| *speed > 0.0).map(|speed| left as f64 / speed);
        Ok(job)
    }
}

async fn insert(transaction: &mut Transaction<'static, Any>, job: &str, done: &[Done]) -> Result<(), Error> {
    let mut rows = Vec::new();
    for done in done {
        for (run, (result, hits)) in done.results.iter().enumerate() {
            let (json, failure, points) = match result {
                Ok(result) => {
                    let json = serde_json::to_string(result).map_err(Error::corrupt("result"))?;
                    (Some(json), None, result.keypoints.len())
                }
                Err(failure) => (None, Some(failure.reason.clone()), 0),
            };
            rows.push((run as i64, done.pair as i64, points as i64, i64::from(*hits), json, failure));
        }
    }
    for rows in rows.chunks(ROWS) {
        let row = |index: usize| {
            let at = 2 + 7 * index;
            let places: Vec<String> = (at..at + 7).map(|place| format!("${place}")).collect();
            format!("($1, {})", places.join(", "))
        };
        let places: Vec<String> = (0..rows.len()).map(row).collect();
        // a result that is there already is this one: it depends on the images and the task alone
        let sql = AssertSqlSafe(format!(
            "INSERT INTO eval_results (job, run, pair, points, hits, failed, result, failure) VALUES {} ON CONFLICT DO NOTHING",
            places.join(", ")
        ));
        let mut query = sqlx::query(sql).bind(job);
        for (run, pair, points, hits, json, failure) in rows {
            let failed = i64::from(failure.is_some());
            query = query
                .bind(*run)
                .bind(*pair)
                .bind(*points)
                .bind(*hits)
                .bind(failed)
                .bind(json.clone())
                .bind(failure.clone());
        }
        query.execute(&mut **transaction).await?;
    }
    Ok(())
}
