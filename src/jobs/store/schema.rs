//! The tables.

use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::{Dialect, Store};
use crate::Error;

/// Version 1. `{bytes}` is the type of a string of bytes, the one that both databases do not share.
///
/// A result's `points` and `hits` (of the α that progress shows) stand beside it and in an index, so that progress reads no result.
const TABLES: &str = "
CREATE TABLE eval_jobs (
    id TEXT PRIMARY KEY NOT NULL,
    state TEXT NOT NULL,
    created BIGINT NOT NULL,
    started BIGINT,
    ended BIGINT,
    digest TEXT NOT NULL,
    specification TEXT NOT NULL,
    dataset TEXT NOT NULL,
    pairs BIGINT NOT NULL,
    images BIGINT NOT NULL,
    reason TEXT,
    idempotency_key TEXT UNIQUE,
    document TEXT
);
CREATE TABLE eval_shards (
    job TEXT NOT NULL REFERENCES eval_jobs (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    done BIGINT NOT NULL,
    owner TEXT,
    lease BIGINT,
    images BIGINT NOT NULL,
    images_per_second DOUBLE PRECISION,
    PRIMARY KEY (job, number)
);
CREATE TABLE eval_results (
    job TEXT NOT NULL REFERENCES eval_jobs (id) ON DELETE CASCADE,
    run BIGINT NOT NULL,
    pair BIGINT NOT NULL,
    points BIGINT NOT NULL,
    hits BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    result TEXT,
    failure TEXT,
    PRIMARY KEY (job, run, pair)
);
CREATE INDEX eval_results_progress ON eval_results (job, run, points, hits, failed);
CREATE TABLE images (
    id TEXT PRIMARY KEY NOT NULL,
    length BIGINT NOT NULL,
    width BIGINT NOT NULL,
    height BIGINT NOT NULL,
    used BIGINT NOT NULL,
    bytes {bytes} NOT NULL
);
CREATE TABLE eval_images (
    job TEXT NOT NULL REFERENCES eval_jobs (id) ON DELETE CASCADE,
    image TEXT NOT NULL REFERENCES images (id),
    PRIMARY KEY (job, image)
);
CREATE INDEX eval_images_image ON eval_images (image);
";

/// Brings the tables up to this program's version; replicas that start together wait for each other.
pub(super) async fn migrate(store: &Store) -> Result<(), Error> {
    let bytes = match store.dialect {
        Dialect::Sqlite => "BLOB",
        Dialect::Postgres => "BYTEA",
    };
    // no part of it comes from outside
    let sql: SqlStr = AssertSqlSafe(TABLES.replace("{bytes}", bytes)).into_sql_str();
    let first = Migration::new(1, Cow::Borrowed("evaluations"), MigrationType::Simple, sql, false);
    let migrated = Migrator::with_migrations(vec![first]).run(&store.pool).await;
    migrated.map_err(|error| match error {
        sqlx::migrate::MigrateError::Execute(error) | sqlx::migrate::MigrateError::ExecuteMigration(error, _) => {
            error.into()
        }
        other => Error::Open { reason: other.to_string() },
    })
}
