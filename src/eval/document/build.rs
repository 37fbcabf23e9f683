//! From results to the document.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use homolog_core::matching;

use super::compare::each_two;
use super::{DatasetSummary, Evaluation, Model, PROBLEMS_IN_FULL, PairFailure, Run, SCHEMA};
use crate::dataset::Problem;
use crate::pck;
use crate::readers::Format;
use crate::report::Report;
use crate::result::PairResult;
use crate::{Dataset, Error};

/// A run that is over, not yet measured.
#[derive(Clone, Debug)]
pub struct Finished {
    /// What it is called; [`Model::run_name`] where the user gave no name.
    pub name: String,
    /// The model.
    pub model: Model,
    /// How it was matched.
    pub matching: matching::Settings,
    /// The predictions, in any order.
    pub results: Vec<PairResult>,
    /// Pairs without a result, in any order.
    pub failures: Vec<PairFailure>,
}

impl Evaluation {
    /// Measures the runs and compares each two of them. `folder` is the dataset's: problems and failures name files relative to
    /// it, so that the document is the same wherever the dataset lies.
    ///
    /// # Errors
    /// [`Error::NoThreshold`]; [`Error::Setting`] if two runs have the same name; [`Error::Incomparable`] if a run has a pair
    /// twice.
    pub fn new(
        dataset: &Dataset,
        format: &Format,
        folder: &Path,
        settings: &pck::Settings,
        finished: Vec<Finished>,
    ) -> Result<Evaluation, Error> {
        let order: HashMap<&str, usize> =
            dataset.pairs.iter().enumerate().map(|(index, pair)| (pair.id.as_str(), index)).collect();
        let place = |pair: &str| (order.get(pair).copied().unwrap_or(usize::MAX), pair.to_owned());
        let mut runs = Vec::new();
        for Finished { name, model, matching, mut results, mut failures } in finished {
            results.sort_by_cached_key(|result| place(&result.pair));
            failures.sort_by_cached_key(|failure| place(&failure.pair));
            for failure in &mut failures {
                failure.reason = relative(&failure.reason, folder);
            }
            let report = Report::new(&results, settings)?;
            runs.push(Run { name, model, matching, report, failures, results: Some(results) });
        }
        Evaluation {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            dataset: DatasetSummary::new(dataset, format, folder),
            settings: settings.clone(),
            runs,
            comparisons: Vec::new(),
        }
        .compared()
    }

    /// The same predictions measured in another way.
    ///
    /// # Errors
    /// As [`new`](Evaluation::new); [`Error::NoPredictions`] if a run is without them.
    pub fn measured_again(&self, settings: &pck::Settings) -> Result<Evaluation, Error> {
        let mut evaluation = Evaluation { settings: settings.clone(), ..self.clone() };
        for run in &mut evaluation.runs {
            run.report = Report::new(run.predictions()?, settings)?;
        }
        evaluation.compared()
    }

    fn compared(mut self) -> Result<Evaluation, Error> {
        let mut names = HashSet::new();
        if let Some(twice) = self.runs.iter().find(|run| !names.insert(run.name.as_str())) {
            let found = format!("`{}` twice", twice.name);
            return Err(Error::Setting { name: "names of runs", range: "different from each other", found });
        }
        self.comparisons = each_two(&self.runs, &self.settings)?;
        Ok(self)
    }
}

impl DatasetSummary {
    /// What is to be known of a dataset that was read from `folder`.
    pub fn new(dataset: &Dataset, format: &Format, folder: &Path) -> DatasetSummary {
        let mut categories: Vec<String> = dataset.categories.iter().map(|category| category.name.clone()).collect();
        categories.sort_unstable();
        let problem = |problem: &Problem| {
            let file = problem.file.strip_prefix(folder).unwrap_or(&problem.file).to_path_buf();
            Problem { file, detail: relative(&problem.detail, folder), ..problem.clone() }
        };
        DatasetSummary {
            name: dataset.name.clone(),
            format: format.clone(),
            pairs: dataset.pairs.len(),
            pairs_left_out: dataset.left_out(),
            images: dataset.images.len(),
            keypoints: dataset.pairs.iter().map(|pair| pair.keypoints.len()).sum(),
            categories,
            problems: Problem::count(&dataset.problems).into_iter().collect::<BTreeMap<_, _>>(),
            first_problems: dataset.problems.iter().take(PROBLEMS_IN_FULL).map(problem).collect(),
        }
    }
}

/// A sentence without the folder in front of its paths.
fn relative(sentence: &str, folder: &Path) -> String {
    let folder = folder.to_string_lossy();
    let folder = folder.trim_end_matches('/');
    if folder.is_empty() { sentence.to_owned() } else { sentence.replace(&format!("{folder}/"), "") }
}
