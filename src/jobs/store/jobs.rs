//! Jobs: taken, listed, cancelled, forgotten.

use homolog_eval::document::DatasetSummary;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Dialect, Store};
use crate::{Error, Specification};

/// What becomes of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It has its place in the queue.
    Waiting,
    /// Pairs are being evaluated, or were when the last process stopped.
    Running,
    /// Every pair has its result.
    Done,
    /// It cannot be finished; `reason` says why.
    Failed,
    /// It was told to stop.
    Cancelled,
}

impl State {
    fn parse(text: &str) -> Result<State, Error> {
        serde_json::from_value(serde_json::Value::String(text.to_owned())).map_err(Error::corrupt("state"))
    }

    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Running => "running",
            State::Done => "done",
            State::Failed => "failed",
            State::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        matches!(self, State::Done | State::Failed | State::Cancelled)
    }
}

/// A job as it stands in the store.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// What becomes of it.
    pub state: State,
    /// When it was taken.
    pub created: Timestamp,
    /// When the first pair was begun.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// What it is.
    pub specification: Specification,
    /// What was read of its dataset.
    pub dataset: DatasetSummary,
    /// Why it failed, or what keeps it from being worked on.
    pub reason: Option<String>,
    /// How far it is.
    pub progress: Progress,
}

/// How far a job is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Progress {
    /// Pairs with a result of every run.
    pub pairs_done: u64,
    /// All pairs.
    pub pairs_total: u64,
    /// Images encoded, repetitions included.
    pub images_done: u64,
    /// Images that its pairs use.
    pub images_total: u64,
    /// Images encoded in a second, all replicas together; null when nothing runs.
    #[schema(required)]
    pub images_per_second: Option<f64>,
    /// Seconds until it is done, by that speed; null when nothing runs.
    #[schema(required)]
    pub seconds_left: Option<f64>,
    /// PCK of the pairs that are done, a run each.
    pub running_pck: Vec<RunningPck>,
}

/// PCK of the pairs that are done so far, at α = 0.10.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct RunningPck {
    /// The run's name.
    pub run: String,
    /// 0.10.
    pub alpha: f64,
    /// Per-image PCK; null before the first pair.
    #[schema(required)]
    pub per_image: Option<f64>,
    /// Per-point PCK; null before the first pair.
    #[schema(required)]
    pub per_point: Option<f64>,
    /// Pairs that could not be evaluated.
    pub failures: u64,
}

/// The caller's own name for a request, by which a repetition is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The name.
    pub name: String,
    /// A digest of what was asked for, of which a repetition has the same; none for that of the specification, which is another
    /// for another version of the program, of a bundle or of the dataset.
    pub digest: Option<String>,
}

/// A job to be taken.
#[derive(Debug)]
pub struct NewJob<'a> {
    /// What it is.
    pub specification: &'a Specification,
    /// What was read of its dataset.
    pub dataset: &'a DatasetSummary,
    /// By what a repetition is known.
    pub key: Option<&'a Key>,
    /// Shards that it is cut into.
    pub shards: usize,
    /// Ids of uploaded images that it needs.
    pub images: &'a [String],
}

/// What became of a [`NewJob`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// It was taken under this id.
    New(String),
    /// It is the repetition of a request that was taken under this id.
    Before(String),
}

const COLUMNS: &str = "SELECT j.id, j.state, j.created, j.started, j.ended, j.specification, j.dataset, j.reason, j.pairs, \
    j.images, s.images AS images_done, s.speed FROM eval_jobs j LEFT JOIN (SELECT job, CAST(sum(images) AS BIGINT) AS images, \
    sum(speed) AS speed FROM (SELECT job, owner, sum(images) AS images, CASE WHEN owner IS NULL THEN NULL ELSE \
    max(images_per_second) END AS speed FROM eval_shards GROUP BY job, owner) o GROUP BY job) s ON s.job = j.id";

impl Store {
    /// Takes a job, unless `limit` wait or run already, or it was taken before under the same key.
    ///
    /// # Errors
    /// [`Error::TooMany`], [`Error::KeyReused`], [`Error::UnknownImage`], and those of the store.
    pub async fn create(&self, new: &NewJob<'_>, limit: usize) -> Result<Created, Error> {
        let mut transaction = self.begin().await?;
        if self.dialect == Dialect::Postgres {
            // two that count at the same time would both find room
            sqlx::query("LOCK TABLE eval_jobs IN SHARE ROW EXCLUSIVE MODE").execute(&mut *transaction).await?;
        }
        let digest = new.key.and_then(|key| key.digest.clone()).unwrap_or_else(|| new.specification.digest());
        if let Some(key) = new.key
            && let Some(id) = before(&mut transaction, &key.name, &digest).await?
        {
            return Ok(Created::Before(id));
        }
        let unfinished: i64 =
            sqlx::query_scalar("SELECT count(*) FROM eval_jobs WHERE state IN ('waiting', 'running')")
                .fetch_one(&mut *transaction)
                .await?;
        if unfinished >= limit as i64 {
            return Err(Error::TooMany { limit });
        }
        let id = Uuid::new_v4().to_string();
        self.insert(&mut transaction, &id, &digest, new).await?;
        transaction.commit().await?;
        Ok(Created::New(id))
    }

    /// The job that was taken under this key, if there is one. The key must have its own digest.
    ///
    /// # Errors
    /// [`Error::KeyReused`], and those of the store.
    pub async fn repeated(&self, key: &Key) -> Result<Option<String>, Error> {
        let Some(digest) = &key.digest else { return Ok(None) };
        let mut transaction = self.pool.begin().await?;
        before(&mut transaction, &key.name, digest).await
    }

    async fn insert(
        &self,
        transaction: &mut Transaction<'static, Any>,
        id: &str,
        digest: &str,
        new: &NewJob<'_>,
    ) -> Result<(), Error> {
        let now = self.now(transaction).await?;
        let json = |what, value: serde_json::Result<String>| value.map_err(Error::corrupt(what));
        sqlx::query(
            "INSERT INTO eval_jobs (id, state, created, digest, specification, dataset, pairs, images, idempotency_key) \
             VALUES ($1, 'waiting', $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(id)
        .bind(now)
        .bind(digest)
        .bind(json("specification", serde_json::to_string(new.specification))?)
        .bind(json("dataset", serde_json::to_string(new.dataset))?)
        .bind(new.dataset.pairs as i64)
        .bind(new.dataset.images as i64)
        .bind(new.key.map(|key| key.name.clone()))
        .execute(&mut **transaction)
        .await?;
        for number in 0..new.shards as i64 {
            sqlx::query("INSERT INTO eval_shards (job, number, done, images) VALUES ($1, $2, 0, 0)")
                .bind(id)
                .bind(number)
                .execute(&mut **transaction)
                .await?;
        }
        for image in new.images {
            let kept = sqlx::query("UPDATE images SET used = $1 WHERE id = $2").bind(now).bind(image.as_str());
            if kept.execute(&mut **transaction).await?.rows_affected() == 0 {
                return Err(Error::UnknownImage { id: image.clone() });
            }
            sqlx::query("INSERT INTO eval_images (job, image) VALUES ($1, $2)")
                .bind(id)
                .bind(image.as_str())
                .execute(&mut **transaction)
                .await?;
        }
        Ok(())
    }

    /// The job of that id.
    ///
    /// # Errors
    /// [`Error::UnknownJob`], and those of the store.
    pub async fn job(&self, id: &str) -> Result<Job, Error> {
        // PostgreSQL has no such text, and refuses it as a fault of the store
        if Uuid::try_parse(id).is_err() {
            return Err(Error::UnknownJob { id: id.to_owned() });
        }
        let sql = sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE j.id = $1"));
        let row = sqlx::query(sql).bind(id).fetch_optional(&self.pool).await?;
        let row = row.ok_or_else(|| Error::UnknownJob { id: id.to_owned() })?;
        self.with_progress(job(&row)?).await
    }

    /// How many jobs there are in each state that any is in.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn counts(&self) -> Result<Vec<(String, u64)>, Error> {
        let rows = sqlx::query("SELECT state, count(*) AS jobs FROM eval_jobs GROUP BY state");
        let rows = rows.fetch_all(&self.pool).await?;
        let one = |row: &AnyRow| Ok((row.try_get("state")?, row.try_get::<i64, _>("jobs")?.max(0) as u64));
        rows.iter().map(one).collect()
    }

    /// The newest jobs, `limit` of them after `skip` newer ones.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn jobs(&self, skip: usize, limit: usize) -> Result<Vec<Job>, Error> {
        let sql = sqlx::AssertSqlSafe(format!("{COLUMNS} ORDER BY j.created DESC, j.id LIMIT $1 OFFSET $2"));
        let rows = sqlx::query(sql).bind(limit as i64).bind(skip as i64).fetch_all(&self.pool).await?;
        let mut jobs = Vec::with_capacity(rows.len());
        for row in rows {
            jobs.push(self.with_progress(job(&row)?).await?);
        }
        Ok(jobs)
    }

    /// Ends an unfinished job; of one that has ended, whatever became of it, nothing is changed.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn end(&self, id: &str, state: State, reason: Option<&str>) -> Result<bool, Error> {
        if !matches!(state, State::Failed | State::Cancelled) {
            return Ok(false);
        }
        let mut transaction = self.begin().await?;
        let now = self.now(&mut transaction).await?;
        let ended = sqlx::query(
            "UPDATE eval_jobs SET state = $1, ended = $2, reason = $3 WHERE id = $4 AND state IN ('waiting', 'running')",
        )
        .bind(state.name())
        .bind(now)
        .bind(reason.map(str::to_owned))
        .bind(id)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        transaction.commit().await?;
        Ok(ended > 0)
    }

    /// Says beside an unfinished job what keeps it from being worked on.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn note(&self, id: &str, reason: &str) -> Result<(), Error> {
        sqlx::query("UPDATE eval_jobs SET reason = $1 WHERE id = $2 AND state IN ('waiting', 'running')")
            .bind(reason)
            .bind(id)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Takes up a job again that failed or was cancelled, with the results that it has.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn reopen(&self, id: &str) -> Result<(), Error> {
        sqlx::query(
            "UPDATE eval_jobs SET state = 'waiting', ended = NULL, reason = NULL WHERE id = $1 AND state IN ('failed', 'cancelled')",
        )
        .bind(id)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Forgets a job that has ended, with its results.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn forget(&self, id: &str) -> Result<bool, Error> {
        let gone = sqlx::query("DELETE FROM eval_jobs WHERE id = $1 AND state NOT IN ('waiting', 'running')").bind(id);
        Ok(gone.execute(&self.pool).await?.rows_affected() > 0)
    }

    /// The finished evaluation's document, if it was kept.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn document(&self, id: &str) -> Result<Option<String>, Error> {
        let row =
            sqlx::query("SELECT document FROM eval_jobs WHERE id = $1").bind(id).fetch_optional(&self.pool).await?;
        Ok(row.map(|row| row.try_get("document")).transpose()?.flatten())
    }

    /// Keeps the document of a job that is done: measuring takes seconds, and gives the same every time.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn keep_document(&self, id: &str, document: &str) -> Result<(), Error> {
        let keep = sqlx::query("UPDATE eval_jobs SET document = $1 WHERE id = $2 AND state = 'done'");
        keep.bind(document).bind(id).execute(&self.pool).await?;
        Ok(())
    }
}

async fn before(transaction: &mut Transaction<'static, Any>, key: &str, digest: &str) -> Result<Option<String>, Error> {
    let row = sqlx::query("SELECT id, digest FROM eval_jobs WHERE idempotency_key = $1").bind(key);
    let Some(row) = row.fetch_optional(&mut **transaction).await? else { return Ok(None) };
    match row.try_get::<String, _>("digest")? == digest {
        true => Ok(Some(row.try_get("id")?)),
        false => Err(Error::KeyReused { key: key.to_owned() }),
    }
}

fn job(row: &AnyRow) -> Result<Job, Error> {
    let time = |column| -> Result<Option<Timestamp>, Error> {
        let milliseconds: Option<i64> = row.try_get(column)?;
        Ok(milliseconds.and_then(|milliseconds| Timestamp::from_millisecond(milliseconds).ok()))
    };
    let count = |column| -> Result<u64, Error> {
        Ok(row.try_get::<Option<i64>, _>(column)?.map_or(0, |count| count.max(0) as u64))
    };
    let text = |column| row.try_get::<String, _>(column);
    let state = State::parse(&text("state")?)?;
    let progress = Progress {
        pairs_total: count("pairs")?,
        images_done: count("images_done")?,
        images_total: count("images")?,
        images_per_second: row.try_get::<Option<f64>, _>("speed")?.filter(|_| state == State::Running),
        ..Progress::default()
    };
    Ok(Job {
        id: text("id")?,
        state,
        created: time("created")?.unwrap_or_default(),
        started: time("started")?,
        ended: time("ended")?,
        specification: serde_json::from_str(&text("specification")?).map_err(Error::corrupt("specification"))?,
        dataset: serde_json::from_str(&text("dataset")?).map_err(Error::corrupt("dataset"))?,
        reason: row.try_get("reason")?,
        progress,
    })
}
