//! What can go wrong in this crate, each variant a sentence that a user can act on.
//!
//! What is wrong with single pairs of a dataset is a [`Problem`](crate::dataset::Problem), and what is wrong with single images
//! while they are run is a [`Failure`](crate::runner::Failure): both are counted and reported, and the rest goes on.

use std::path::PathBuf;

use crate::dataset::Problem;

/// Every failure of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // ---- reading
    /// A file or folder without which nothing can be read.
    #[error("{} cannot be read: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A list of pairs that cannot be understood as a whole.
    #[error("{}: {detail}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// SPair-71k unpacked where a file's name must not hold a colon.
    #[error(
        "the pair files in {} have `{found}` in place of the colon (there is `{example}`): the archive was unpacked by a program \
         that replaces colons, as on Windows; unpack it again on a file system that has them, or rename the files",
        folder.display()
    )]
    ColonReplaced {
        /// The folder of the pair annotations.
        folder: PathBuf,
        /// What stands in place of the colon.
        found: String,
        /// A file of the folder.
        example: String,
    },
    /// Nothing is left to evaluate.
    #[error("{} holds no pair that can be evaluated ({problems} problems{})", path.display(), first_of(.first))]
    Empty {
        /// The list of pairs.
        path: PathBuf,
        /// How many problems there are.
        problems: usize,
        /// The first of them.
        first: Option<Box<Problem>>,
    },
    /// Problems in a dataset that was to be read strictly.
    #[error("the dataset has {count} problems, and it was to have none; the first: {first}")]
    Strict {
        /// How many there are.
        count: usize,
        /// The first of them.
        first: Box<Problem>,
    },
    /// A table of keypoints that comes with this crate and contradicts itself.
    #[error("the table of keypoints {name} is wrong: {detail}")]
    Table {
        /// The table.
        name: &'static str,
        /// What is wrong with it.
        detail: String,
    },

    // ---- measuring
    /// A word that names none of the choices.
    #[error("`{found}` is no {what}; choose one of {choices}")]
    UnknownChoice {
        /// What was to be chosen.
        what: &'static str,
        /// What was written.
        found: String,
        /// The words that are understood.
        choices: &'static str,
    },
    /// A setting outside its range.
    #[error("{name} must be {range}, not {found}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// What it may be.
        range: &'static str,
        /// What it was.
        found: String,
    },
    /// A threshold that a pair has nothing for.
    #[error("pair {pair} has no {threshold}, so that its threshold cannot be taken from it; choose another threshold")]
    NoThreshold {
        /// The pair.
        pair: String,
        /// What the threshold was to be taken from.
        threshold: crate::pck::Threshold,
    },
    /// Two runs that are not over the same pairs.
    #[error("the two runs cannot be compared: {detail}")]
    Incomparable {
        /// In what they differ.
        detail: String,
    },
    /// Two runs without a common pair.
    #[error("the two runs cannot be compared: they have no pair in common")]
    NothingInCommon,
    /// A run whose predictions were left out of its document.
    #[error(
        "run `{run}` has no predictions beside its numbers, so that it can neither be compared nor measured again; take the \
         document with results"
    )]
    NoPredictions {
        /// The run.
        run: String,
    },

    // ---- documents
    /// A document of another version.
    #[error(
        "the document has version {found} and this program knows {known}; use the version of Homolog that wrote it"
    )]
    DocumentVersion {
        /// The document's.
        found: u32,
        /// This program's.
        known: u32,
    },
    /// What is no document of an evaluation.
    #[error("this is no document of an evaluation: {field}: {detail}")]
    Document {
        /// The field that is wrong, as a path.
        field: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A plot that cannot be drawn.
    #[error("a plot of the report cannot be drawn: {0}")]
    Plot(String),
    /// A document or page that cannot be written.
    #[error("the report cannot be written: {0}")]
    Write(#[source] std::io::Error),
    /// A table that cannot be written.
    #[error("the CSV cannot be written: {0}")]
    Csv(#[from] csv::Error),

    // ---- running
    /// Less memory than two images need.
    #[error("{budget} bytes of memory for feature maps are too few: the two largest images of a pair take {needed}")]
    BudgetTooSmall {
        /// The setting, bytes.
        budget: u64,
        /// What is needed at least, bytes.
        needed: u64,
    },
    /// A pair or task that does not exist.
    #[error("{what} {index} was asked for, and there are {count}")]
    OutOfRange {
        /// What was asked for.
        what: &'static str,
        /// Its index.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// The encoder can go on with no image.
    #[error("the evaluation stopped: {0}")]
    Encoder(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A thread could not be started, or ended before its work did.
    #[error("an encoding thread {0}")]
    Thread(String),
}

fn first_of(problem: &Option<Box<Problem>>) -> String {
    problem.as_ref().map(|problem| format!("; the first: {problem}")).unwrap_or_default()
}
