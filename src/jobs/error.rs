//! What can go wrong with an evaluation and its store.

use std::path::PathBuf;

/// Why a job was not taken, found, run or kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store's address is neither a path nor a URL of PostgreSQL.
    #[error("the store {address} is neither a file for SQLite nor a postgres:// URL")]
    Address {
        /// The address, without a password.
        address: String,
    },
    /// The store does not open.
    #[error("the store of evaluations cannot be opened: {reason}")]
    Open {
        /// What the database says.
        reason: String,
    },
    /// Another process has the SQLite file.
    #[error("{} is in use by another process; replicas share a PostgreSQL, not a file", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// There is no room for what is to be kept.
    #[error("the store of evaluations is full: {reason}")]
    Full {
        /// What the database says.
        reason: String,
    },
    /// The store can be read only.
    #[error("the store of evaluations cannot be written: {reason}")]
    ReadOnly {
        /// What the database says.
        reason: String,
    },
    /// The store answers with anything else, or not at all.
    #[error("the store of evaluations failed: {reason}")]
    Store {
        /// What the database says.
        reason: String,
    },
    /// Something in the store is not what this program writes.
    #[error("the store holds something in `{what}` that this program does not understand: {reason}")]
    Corrupt {
        /// Which column.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// No such job.
    #[error("there is no evaluation `{id}`")]
    UnknownJob {
        /// What was asked for.
        id: String,
    },
    /// A job without what is asked for yet, or for good.
    #[error("the evaluation `{id}` is {}, and only one that is done has results", state.name())]
    NotDone {
        /// Its id.
        id: String,
        /// What it is.
        state: crate::State,
    },
    /// As many jobs wait and run as may.
    #[error("{limit} evaluations wait or run already; try again when one has ended")]
    TooMany {
        /// The bound.
        limit: usize,
    },
    /// The idempotency key was used for something else.
    #[error("the idempotency key {key:?} was sent with another evaluation before")]
    KeyReused {
        /// The key.
        key: String,
    },
    /// A dataset that is not registered.
    #[error("there is no dataset `{name}`; registered: {known}")]
    UnknownDataset {
        /// What was asked for.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// A registered dataset that holds something else than when a job was taken.
    #[error("the dataset `{name}` is another than when the evaluation was begun; submit it again")]
    DatasetChanged {
        /// Its key.
        name: String,
    },
    /// An image that was not uploaded, or has expired.
    #[error("there is no image `{id}`; send it first")]
    UnknownImage {
        /// Its id.
        id: String,
    },
    /// More bytes of images than may be kept.
    #[error("uploaded images take {bytes} bytes already; at most {limit} are kept")]
    ImagesFull {
        /// What is kept.
        bytes: u64,
        /// The bound.
        limit: u64,
    },
    /// The networks do not run.
    #[error("images cannot be encoded: {reason}")]
    Encoder {
        /// What the engine says.
        reason: String,
    },
    /// The dataset cannot be read or measured.
    #[error(transparent)]
    Eval(#[from] homolog_eval::Error),
    /// Pairs that came with a request cannot be read.
    #[error(transparent)]
    Pairs(homolog_eval::Error),
    /// The computer refuses a temporary file or a thread.
    #[error("{what}: {reason}")]
    System {
        /// What was wanted.
        what: &'static str,
        /// Why it was refused.
        reason: std::io::Error,
    },
}

/// Primary result codes of SQLite, <https://sqlite.org/rescode.html>; extended codes have them in their low byte.
const SQLITE_READONLY: u32 = 8;
const SQLITE_FULL: u32 = 13;
/// Extended codes of writes that fail for want of room before SQLite sees it so: the log's index, a write, a sync.
const NO_ROOM: [u32; 3] = [4874, 778, 1034];

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Error {
        let reason = error.to_string();
        let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default();
        // five characters: PostgreSQL's SQLSTATE; else SQLite's number
        match code.as_ref() {
            "53100" => return Error::Full { reason },
            "25006" => return Error::ReadOnly { reason },
            _ => {}
        }
        match code.parse::<u32>().ok().filter(|_| code.len() < 5) {
            Some(code) if code & 0xff == SQLITE_FULL || NO_ROOM.contains(&code) => Error::Full { reason },
            Some(code) if code & 0xff == SQLITE_READONLY => Error::ReadOnly { reason },
            _ => Error::Store { reason },
        }
    }
}

impl Error {
    /// Something in the store that does not parse.
    pub(crate) fn corrupt(what: &'static str) -> impl Fn(serde_json::Error) -> Error {
        move |error| Error::Corrupt { what, reason: error.to_string() }
    }

    /// Whether other jobs may go on meanwhile: the images of one cannot be encoded, or its dataset is not there yet.
    pub(crate) fn is_of_one_job(&self) -> bool {
        matches!(self, Error::Encoder { .. } | Error::Eval(_))
    }

    /// Whether it may well work again later: full disks are emptied, databases and devices come back.
    pub fn passes(&self) -> bool {
        match self {
            Error::Full { .. } | Error::ReadOnly { .. } | Error::Store { .. } | Error::Encoder { .. } => true,
            Error::Eval(homolog_eval::Error::Io { .. }) => true,
            // a thread that panicked is `Other`, which the system itself never says
            Error::System { reason, .. } => reason.kind() != std::io::ErrorKind::Other,
            _ => false,
        }
    }
}
