//! Shards: who works on what, and for how long that is believed.
//!
//! A shard that is claimed has an owner and a lease, which the owner renews. When a replica dies its leases run out and others
//! claim its shards. An owner whose lease ran out learns it at its next statement, all of which ask for the owner's name.

use std::time::Duration;

use sqlx::Row;

use super::{Dialect, Store};
use crate::Error;

/// A part of a job: pairs that share no image with those of other parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// The job.
    pub job: String,
    /// Which of its shards.
    pub number: usize,
}

/// For how long a claim holds unless it is renewed, and whose it is.
#[derive(Clone, Debug)]
pub struct Lease {
    /// A name that no other process has.
    pub owner: String,
    /// How long.
    pub time: Duration,
}

impl Store {
    /// Claims up to `most` shards of the oldest job that has open ones, `passed_over` jobs apart. All are of one job.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn claim(&self, lease: &Lease, most: usize, passed_over: &[String]) -> Result<Vec<Shard>, Error> {
        let mut transaction = self.begin().await?;
        let now = self.now(&mut transaction).await?;
        let open = "s.done = 0 AND (s.owner IS NULL OR s.lease < $1)";
        let candidates = sqlx::AssertSqlSafe(format!(
            "SELECT j.id FROM eval_jobs j WHERE j.state IN ('waiting', 'running') AND EXISTS \
             (SELECT 1 FROM eval_shards s WHERE s.job = j.id AND {open}) ORDER BY j.created, j.id"
        ));
        let candidates: Vec<String> = sqlx::query_scalar(candidates).bind(now).fetch_all(&mut *transaction).await?;
        let lock = match self.dialect {
            Dialect::Sqlite => "",
            Dialect::Postgres => " FOR UPDATE SKIP LOCKED",
        };
        for job in candidates.into_iter().filter(|job| !passed_over.contains(job)) {
            // chosen once: a planner may otherwise choose again for each row, and claim more than it was asked for
            let claim = sqlx::AssertSqlSafe(format!(
                "WITH chosen AS MATERIALIZED (SELECT s.number FROM eval_shards s WHERE s.job = $2 AND {open} ORDER BY s.number \
                 LIMIT $5{lock}) UPDATE eval_shards SET owner = $3, lease = $4 WHERE job = $2 AND number IN (SELECT number FROM \
                 chosen) RETURNING number"
            ));
            let claimed = sqlx::query(claim)
                .bind(now)
                .bind(job.as_str())
                .bind(lease.owner.as_str())
                .bind(now + lease.time.as_millis() as i64)
                .bind(i64::try_from(most).unwrap_or(i64::MAX))
                .fetch_all(&mut *transaction)
                .await?;
            if claimed.is_empty() {
                // another replica was quicker
                continue;
            }
            sqlx::query("UPDATE eval_jobs SET state = 'running', started = coalesce(started, $1) WHERE id = $2 AND state = 'waiting'")
                .bind(now)
                .bind(job.as_str())
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            let mut numbers = claimed
                .iter()
                .map(|row| Ok(row.try_get::<i64, _>("number")? as usize))
                .collect::<Result<Vec<usize>, Error>>()?;
            numbers.sort_unstable();
            return Ok(numbers.into_iter().map(|number| Shard { job: job.clone(), number }).collect());
        }
        Ok(Vec::new())
    }

    /// Renews the claims on a job's shards. False if the job has ended, was cancelled say: then there is nothing left to do.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn renew(&self, lease: &Lease, job: &str) -> Result<bool, Error> {
        let mut transaction = self.begin().await?;
        let now = self.now(&mut transaction).await?;
        sqlx::query("UPDATE eval_shards SET lease = $1 WHERE job = $2 AND owner = $3 AND done = 0")
            .bind(now + lease.time.as_millis() as i64)
            .bind(job)
            .bind(lease.owner.as_str())
            .execute(&mut *transaction)
            .await?;
        let going: i64 = sqlx::query_scalar("SELECT count(*) FROM eval_jobs WHERE id = $1 AND state = 'running'")
            .bind(job)
            .fetch_one(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(going > 0)
    }

    /// Lets go of claims that will not be worked on, so that others need not wait for their leases.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn release(&self, lease: &Lease, job: &str) -> Result<(), Error> {
        sqlx::query("UPDATE eval_shards SET owner = NULL, lease = NULL WHERE job = $1 AND owner = $2")
            .bind(job)
            .bind(lease.owner.as_str())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Lets go of every claim: nobody else has this store, so whoever made them is gone.
    pub(super) async fn release_all(&self) -> Result<(), Error> {
        sqlx::query("UPDATE eval_shards SET owner = NULL, lease = NULL WHERE owner IS NOT NULL")
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}
