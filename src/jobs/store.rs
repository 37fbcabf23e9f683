//! Where evaluations are kept: an SQLite file of one process's own, or a PostgreSQL that replicas share. One text of SQL serves both.
//!
//! A pair's results are kept as they are made, each at most once (the table's key sees to that), so that whatever ends a
//! process ends no evaluation. Times are the store's own clock, in milliseconds since 1970: replicas need not agree on theirs.

mod claim;
mod images;
mod jobs;
mod record;
mod schema;
mod seen;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Any, AnyConnection, AnyPool, ConnectOptions, Connection, Executor, Transaction};
use tokio::sync::Mutex;

use crate::Error;
pub use claim::{Lease, Shard};
pub use images::ImageInfo;
pub use jobs::{Created, Job, Key, NewJob, Progress, RunningPck, State};
pub use record::{Done, ShardProgress, Stored};
use seen::Seen;

/// Where the store is: a file for SQLite, or `postgres://user:password@host/database`.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Address {
    /// A file, made if it is not there.
    Sqlite(PathBuf),
    /// A URL; it may hold a password.
    Postgres(String),
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Address, Error> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Address::Postgres(text.to_owned()));
        }
        let path = text.strip_prefix("sqlite://").unwrap_or(text);
        if path.is_empty() || path.contains("://") {
            return Err(Error::Address { address: without_password(text) });
        }
        Ok(Address::Sqlite(path.into()))
    }
}

impl TryFrom<String> for Address {
    type Error = Error;

    fn try_from(text: String) -> Result<Address, Error> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> String {
        match address {
            Address::Sqlite(path) => path.display().to_string(),
            Address::Postgres(url) => url,
        }
    }
}

/// Without a password: addresses stand in logs.
impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Sqlite(path) => write!(f, "{}", path.display()),
            Address::Postgres(url) => f.write_str(&without_password(url)),
        }
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

fn without_password(url: &str) -> String {
    // the query may hold one as well
    let url = url.split_once('?').map_or(url, |(url, _)| url);
    match (url.find("://"), url.rfind('@')) {
        (Some(start), Some(end)) if start + 3 <= end => format!("{}…{}", &url[..start + 3], &url[end..]),
        _ => url.to_owned(),
    }
}

/// Which database it is, where the two differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Sqlite,
    Postgres,
}

/// An open store; cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: AnyPool,
    dialect: Dialect,
    /// SQLite's: never used, so that nothing ends it. With the last connection to a file its log's index goes, and on a full
    /// disk none could be opened again to say so.
    idle: Option<Arc<Mutex<Option<AnyConnection>>>>,
    /// SQLite's, which nobody else writes to.
    seen: Option<Arc<Seen>>,
    /// Held as long as the store is open: a second process must not work on the same file.
    _lock: Option<Arc<File>>,
}

/// How long a statement waits for a connection, or SQLite for its file.
const PATIENCE: Duration = Duration::from_secs(10);

impl Store {
    /// Opens the store, makes its tables if they are not there, and, of an SQLite file, takes over whatever a process that
    /// died had in hand.
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::Open`], [`Error::ReadOnly`], [`Error::Full`].
    pub async fn open(address: &Address) -> Result<Store, Error> {
        sqlx::any::install_default_drivers();
        let (url, dialect, lock) = match address {
            Address::Sqlite(path) => (sqlite_url(path), Dialect::Sqlite, Some(lock(path)?)),
            Address::Postgres(url) => (url.clone(), Dialect::Postgres, None),
        };
        // the pool tries again and again, and in the end says only that it waited in vain
        let mut first = AnyConnection::connect(&url).await.map_err(opening)?;
        set_up(&mut first, dialect).await.map_err(opening)?;
        let idle = match dialect {
            Dialect::Sqlite => Some(Arc::new(Mutex::new(Some(first)))),
            Dialect::Postgres => {
                first.close().await.map_err(opening)?;
                None
            }
        };
        let pool = AnyPoolOptions::new()
            .max_connections(8)
            .acquire_timeout(PATIENCE)
            // a file's connection does not break while it lies there, and was asked when it was given back
            .test_before_acquire(dialect == Dialect::Postgres)
            .after_connect(move |connection, _| Box::pin(set_up(connection, dialect)))
            .after_release(move |connection, _| {
                Box::pin(async move {
                    if dialect == Dialect::Sqlite {
                        // A full disk makes SQLite roll back by itself, whereupon the driver's own rollback fails and leaves it
                        // counting a transaction that is none: such a connection begins no other. The ping comes after it.
                        connection.ping().await?;
                    }
                    Ok(!connection.is_in_transaction())
                })
            })
            .connect(&url)
            .await
            .map_err(opening)?;
        let seen = (dialect == Dialect::Sqlite).then(Arc::default);
        let store = Store { pool, dialect, idle, seen, _lock: lock.map(Arc::new) };
        schema::migrate(&store).await.map_err(opening_or_known)?;
        if dialect == Dialect::Sqlite {
            store.release_all().await?;
        }
        Ok(store)
    }

    /// Whether other processes may work on the same jobs.
    pub fn is_shared(&self) -> bool {
        self.dialect == Dialect::Postgres
    }

    /// Closes every connection, so that an SQLite file is left without its log.
    pub async fn close(&self) {
        self.pool.close().await;
        let Some(idle) = &self.idle else { return };
        if let Some(last) = idle.lock().await.take()
            && let Err(reason) = last.close().await
        {
            tracing::warn!(%reason, "the store of evaluations was not closed in order");
        }
    }

    /// A transaction that writes. SQLite's would otherwise begin to read, and find the file changed when it comes to write.
    async fn begin(&self) -> Result<Transaction<'static, Any>, Error> {
        let begin = match self.dialect {
            Dialect::Sqlite => "BEGIN IMMEDIATE",
            Dialect::Postgres => "BEGIN",
        };
        Ok(self.pool.begin_with(begin).await?)
    }

    /// The store's clock, ms since 1970.
    async fn now(&self, transaction: &mut Transaction<'static, Any>) -> Result<i64, Error> {
        let now = match self.dialect {
            Dialect::Sqlite => "SELECT CAST(unixepoch('subsec') * 1000 AS BIGINT)",
            Dialect::Postgres => "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
        };
        Ok(sqlx::query_scalar(now).fetch_one(&mut **transaction).await?)
    }
}

/// Readies a new connection.
async fn set_up(connection: &mut AnyConnection, dialect: Dialect) -> Result<(), sqlx::Error> {
    if dialect == Dialect::Sqlite {
        // FULL: what was answered survives a power cut, too
        let settings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
            PRAGMA busy_timeout = 10000;";
        connection.execute(settings).await?;
    }
    Ok(())
}

fn sqlite_url(path: &Path) -> String {
    // through the driver's own type, which knows what to escape
    SqliteConnectOptions::new().filename(path).create_if_missing(true).to_url_lossy().into()
}

/// Locks a file beside the database: the system lets go of it with the process, however that ends.
fn lock(path: &Path) -> Result<File, Error> {
    let system = |reason| Error::Open { reason: format!("{}: {reason}", path.display()) };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(system)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = File::options().create(true).truncate(false).write(true).open(name).map_err(system)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::InUse { path: path.to_owned() }),
        Err(std::fs::TryLockError::Error(reason)) => Err(system(reason)),
    }
}

fn opening(error: sqlx::Error) -> Error {
    opening_or_known(error.into())
}

fn opening_or_known(error: Error) -> Error {
    match error {
        Error::Store { reason } => Error::Open { reason },
        known => known,
    }
}
