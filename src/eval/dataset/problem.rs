//! What is wrong with single files and pairs of a dataset.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Something wrong in a dataset: the file, the field, and what became of the pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = DatasetProblem))]
pub struct Problem {
    /// What kind of thing it is.
    pub kind: ProblemKind,
    /// The file in which it shows, or which is missing.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub file: PathBuf,
    /// The field in that file, as a path (`src_kps[2]`), or the line of a list.
    pub field: Option<String>,
    /// What is wrong with it, as a sentence.
    pub detail: String,
    /// The pair it belongs to.
    pub pair: Option<String>,
    /// Whether that pair is left out for it; otherwise it is evaluated.
    pub left_out: bool,
}

/// Kinds of problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// The image is not there.
    MissingImage,
    /// The image's header cannot be read.
    UnreadableImage,
    /// A file of annotations is not there or cannot be read.
    MissingAnnotation,
    /// A file does not say what its format requires.
    Malformed,
    /// The two images show no keypoint in common, or fewer than the benchmark asks for.
    NoCommonKeypoints,
    /// A keypoint stands there twice, so that its place is not certain.
    DuplicateKeypoint,
    /// The pair stands in the list twice.
    DuplicatePair,
}

impl Problem {
    /// How many problems there are of each kind, in the order of the kinds.
    pub fn count(problems: &[Problem]) -> Vec<(ProblemKind, usize)> {
        let mut counts = std::collections::BTreeMap::new();
        for problem in problems {
            *counts.entry(problem.kind).or_insert(0) += 1;
        }
        counts.into_iter().collect()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(field) = &self.field {
            write!(f, ", {field}")?;
        }
        write!(f, ": {}", self.detail)?;
        if self.left_out { write!(f, " (the pair is left out)") } else { Ok(()) }
    }
}
