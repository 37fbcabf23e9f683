//! What the service says of an evaluation.

use homolog_eval::document::DatasetSummary;
use homolog_eval::pck;
use homolog_jobs::{Job, Progress, RunSpec, State};
use serde::Serialize;
use utoipa::ToSchema;

/// An evaluation: what it is, and how far.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EvalResponse {
    /// Its id.
    pub id: String,
    /// What becomes of it.
    pub state: State,
    /// When it was taken, as RFC 3339 writes it.
    #[schema(value_type = String, format = DateTime)]
    pub created: jiff::Timestamp,
    /// When the first pair was begun.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub started: Option<jiff::Timestamp>,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub ended: Option<jiff::Timestamp>,
    /// Why it failed, or what keeps it from being worked on; null otherwise.
    #[schema(required)]
    pub reason: Option<String>,
    /// What keeps this process from going on with evaluations at the moment, a full disk say; null when nothing does.
    #[schema(required)]
    pub trouble: Option<String>,
    /// How far it is.
    pub progress: Progress,
    /// The pairs.
    pub dataset: DatasetSummary,
    /// What they are run through.
    pub runs: Vec<RunSpec>,
    /// How PCK is measured.
    pub pck: pck::Settings,
    /// The program that began it, and that must end it.
    pub version: String,
}

/// Evaluations, the newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EvalList {
    /// They.
    pub evaluations: Vec<EvalResponse>,
}

impl EvalResponse {
    /// Of a job, and what troubles the process.
    pub fn new(job: Job, trouble: Option<String>) -> EvalResponse {
        let Job { id, state, created, started, ended, specification, dataset, reason, progress } = job;
        EvalResponse {
            id,
            state,
            created,
            started,
            ended,
            reason,
            trouble: trouble.filter(|_| !state.is_final()),
            progress,
            dataset,
            runs: specification.runs,
            pck: specification.pck,
            version: specification.code,
        }
    }
}
