//! A finished evaluation as one JSON document: what was run, on what, and everything that was measured.
//!
//! The same results give the same bytes: when, how long and on what machine it ran stands elsewhere.

mod build;
mod compare;

use std::collections::BTreeMap;
use std::io::Write;

use homolog_core::features::Sampling;
use homolog_core::matching;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::dataset::{Problem, ProblemKind};
use crate::pck::{self, Comparison};
use crate::readers::Format;
use crate::report::Report;
use crate::result::PairResult;
pub use build::Finished;
pub use compare::compare;

/// The version of the document that this program writes and reads.
pub const SCHEMA: u32 = 1;

/// Problems of a dataset that a document tells in full; all are counted.
pub const PROBLEMS_IN_FULL: usize = 100;

/// An evaluation of one or several runs over the same pairs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// The version of this format: 1.
    pub schema: u32,
    /// The version of Homolog that measured.
    pub version: String,
    /// On what.
    pub dataset: DatasetSummary,
    /// How PCK was measured.
    pub settings: pck::Settings,
    /// What was run, in the order in which it was asked for.
    pub runs: Vec<Run>,
    /// Each two runs that have pairs in common, in the order of the runs.
    pub comparisons: Vec<RunComparison>,
}

/// A dataset, as far as a reader of the numbers must know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DatasetSummary {
    /// Its name.
    pub name: String,
    /// In what form it was read, and which part of it.
    pub format: Format,
    /// Pairs that can be evaluated.
    pub pairs: usize,
    /// Pairs that its list names and that cannot.
    pub pairs_left_out: usize,
    /// Images that the pairs use.
    pub images: usize,
    /// Keypoints that the pairs have.
    pub keypoints: usize,
    /// Its categories, in the order of their names.
    pub categories: Vec<String>,
    /// How many problems it has, by kind.
    pub problems: BTreeMap<ProblemKind, usize>,
    /// The first of them, at most [`PROBLEMS_IN_FULL`]; files are relative to the dataset's folder.
    pub first_problems: Vec<Problem>,
}

/// A model at a resolution with a way to match, taken over the pairs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = EvaluationRun))]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// What it is called in tables, unique in the evaluation.
    pub name: String,
    /// The model.
    pub model: Model,
    /// How it was matched.
    pub matching: matching::Settings,
    /// Everything measured.
    pub report: Report,
    /// Pairs without a result, in the order of the dataset. They count in no number.
    pub failures: Vec<PairFailure>,
    /// The predictions, in the order of the dataset; left out where only numbers were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub results: Option<Vec<PairResult>>,
}

/// A bundle at a resolution.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = EvaluatedModel))]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The bundle's id.
    pub id: String,
    /// Its digest: the same digest, the same answers.
    pub digest: String,
    /// What its manifest says of it.
    pub description: String,
    /// Side of the network's input, px.
    pub resolution: u32,
}

impl Model {
    /// What a run of this model is called unless it is given a name: `demo@336 argmax`.
    pub fn run_name(&self, matching: &matching::Settings) -> String {
        let sampling = match matching.sampling {
            Sampling::Bilinear => "",
            Sampling::Nearest => " nearest",
        };
        let cycle = if matching.cycle { " cycle" } else { "" };
        format!("{}@{} {}{sampling}{cycle}", self.id, self.resolution, matching.matcher)
    }
}

/// A pair that could not be run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PairFailure {
    /// The pair's name in its dataset.
    pub pair: String,
    /// Why, as a sentence.
    pub reason: String,
}

/// How much better one run is than another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RunComparison {
    /// Name of the first run.
    pub first: String,
    /// Name of the second run.
    pub second: String,
    /// Second minus first.
    pub comparison: Comparison,
}

impl Evaluation {
    /// Reads a document.
    ///
    /// # Errors
    /// [`Error::DocumentVersion`] for one of another version, [`Error::Document`] with the field for what is none.
    pub fn from_json(text: &[u8]) -> Result<Evaluation, Error> {
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
        }
        let wrong = |field: String, detail: String| Error::Document { field, detail };
        let Version { schema } =
            serde_json::from_slice(text).map_err(|error| wrong("schema".to_owned(), error.to_string()))?;
        if schema != SCHEMA {
            return Err(Error::DocumentVersion { found: schema, known: SCHEMA });
        }
        let mut json = serde_json::Deserializer::from_slice(text);
        let read = serde_path_to_error::deserialize(&mut json);
        read.map_err(|error| wrong(error.path().to_string(), error.inner().to_string()))
    }

    /// Writes the document on one line, since predictions are many, with a line feed at its end.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write_json(&self, mut out: impl Write) -> Result<(), Error> {
        serde_json::to_writer(&mut out, self).map_err(|error| Error::Write(error.into()))?;
        out.write_all(b"\n").and_then(|()| out.flush()).map_err(Error::Write)
    }

    /// The run of this name.
    pub fn run(&self, name: &str) -> Option<&Run> {
        self.runs.iter().find(|run| run.name == name)
    }

    /// What was measured, by the runs' names.
    pub fn reports(&self) -> impl Iterator<Item = (&str, &Report)> {
        self.runs.iter().map(|run| (run.name.as_str(), &run.report))
    }

    /// The predictions, by the runs' names; none of a run without.
    pub fn results(&self) -> impl Iterator<Item = (&str, &[PairResult])> {
        self.runs.iter().map(|run| (run.name.as_str(), run.results.as_deref().unwrap_or_default()))
    }

    /// The same without predictions: numbers only, a small part of the size.
    pub fn without_results(mut self) -> Evaluation {
        for run in &mut self.runs {
            run.results = None;
        }
        self
    }
}

impl Run {
    /// The predictions.
    ///
    /// # Errors
    /// [`Error::NoPredictions`] if they were left out.
    pub fn predictions(&self) -> Result<&[PairResult], Error> {
        self.results.as_deref().ok_or_else(|| Error::NoPredictions { run: self.name.clone() })
    }
}
