//! What came of a job: its results, measured.

use std::sync::Arc;

use homolog_eval::Evaluation;
use homolog_eval::document::{Finished, PairFailure};
use homolog_eval::readers::Format;

use crate::dataset::Opened;
use crate::jobs::{Jobs, blocking};
use crate::{Error, Job, Source, State, Stored, code_version};

impl Jobs {
    /// The document of a job that is done: its numbers, and with `predictions` every prediction.
    ///
    /// # Errors
    /// [`Error::UnknownJob`], [`Error::NotDone`], [`Error::DatasetChanged`], those of the readers and the store.
    pub async fn evaluation(&self, id: &str, predictions: bool) -> Result<Evaluation, Error> {
        let job = self.done_job(id).await?;
        let Some(kept) = self.store.document(id).await? else {
            let measured = self.measure(&job, &Arc::new(self.open(&job.specification).await?)).await?;
            if let Err(error) = self.keep(id, &measured).await {
                // it was asked for, not to be kept
                tracing::warn!(job = id, "{error}");
            }
            return Ok(if predictions { measured } else { measured.without_results() });
        };
        let mut evaluation: Evaluation = serde_json::from_str(&kept).map_err(Error::corrupt("document"))?;
        if predictions {
            for (index, run) in evaluation.runs.iter_mut().enumerate() {
                let stored = self.store.results(id, index).await?;
                run.results = Some(stored.into_iter().filter_map(|stored| stored.result.ok()).collect());
            }
        }
        Ok(evaluation)
    }

    /// The pairs of a job that is done, as they were when it was taken, for whoever wants to show them.
    ///
    /// # Errors
    /// As [`evaluation`](Jobs::evaluation).
    pub async fn pairs(&self, id: &str) -> Result<Opened, Error> {
        let job = self.done_job(id).await?;
        self.open(&job.specification).await
    }

    async fn done_job(&self, id: &str) -> Result<Job, Error> {
        let job = self.store.job(id).await?;
        match job.state {
            State::Done => Ok(job),
            state => Err(Error::NotDone { id: job.id, state }),
        }
    }

    /// Measures the results of a job that is done, over its pairs.
    pub(crate) async fn measure(&self, job: &Job, opened: &Arc<Opened>) -> Result<Evaluation, Error> {
        let mut finished = Vec::new();
        for (index, run) in job.specification.runs.iter().enumerate() {
            let (mut results, mut failures) = (Vec::new(), Vec::new());
            for Stored { pair, result } in self.store.results(&job.id, index).await? {
                match result {
                    Ok(result) => results.push(result),
                    Err(failure) => {
                        let name = opened.dataset.pairs.get(pair).map(|pair| pair.id.clone());
                        failures.push(PairFailure { pair: name.unwrap_or_default(), reason: failure.reason });
                    }
                }
            }
            finished.push(Finished {
                name: run.name(),
                model: run.evaluated(),
                matching: run.matching.clone(),
                results,
                failures,
            });
        }
        let format = self.format(&job.specification.source)?;
        let pck = job.specification.pck.clone();
        let opened = opened.clone();
        let work = move || Evaluation::new(&opened.dataset, &format, &opened.folder, &pck, finished);
        // of the program that measures; the job has that of the one that matched
        Ok(Evaluation { version: code_version(), ..blocking(work).await?? })
    }

    /// Keeps the numbers: measuring takes seconds, and they are the same every time.
    pub(crate) async fn keep(&self, id: &str, evaluation: &Evaluation) -> Result<(), Error> {
        let numbers = evaluation.clone().without_results();
        self.store.keep_document(id, &serde_json::to_string(&numbers).map_err(Error::corrupt("document"))?).await
    }

    fn format(&self, source: &Source) -> Result<Format, Error> {
        match source {
            Source::Registered { name, .. } => Ok(self.dataset(name)?.format.clone()),
            Source::Inline { .. } => Ok(Format::Simple { list: None }),
        }
    }
}
