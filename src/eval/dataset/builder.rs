//! What all readers do alike: each image once, each pair checked, each problem kept.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use homolog_core::geometry::{Point, Size};
use homolog_core::image::Photo;

use super::{Bounds, Category, Dataset, Difficulty, Image, Keypoint, Pair, Problem, ProblemKind};
use crate::Error;
use crate::pck::Threshold;
use crate::readers::ReadOptions;
use crate::symmetry::Symmetry;

/// Beyond this, px, nothing of an image lies, and distances lose their digits.
const FAR: f64 = 1e7;

/// One of the two images of an entry.
pub(crate) struct Side {
    pub path: PathBuf,
    /// As annotated; read from the file's header if there is none.
    pub size: Option<Size>,
    pub bounds: Option<Bounds>,
}

/// A pair as its reader understood it, before it is checked.
pub(crate) struct Entry {
    pub id: String,
    pub category: String,
    pub source: Side,
    pub target: Side,
    pub keypoints: Vec<Keypoint>,
    pub difficulty: Difficulty,
    pub target_visible: Option<Arc<[(String, Point)]>>,
}

/// What is wrong with an entry, and where.
pub(crate) struct Fault {
    pub kind: ProblemKind,
    pub file: PathBuf,
    pub field: Option<String>,
    pub detail: String,
}

impl Fault {
    pub fn new(kind: ProblemKind, file: &Path, field: impl Into<Option<String>>, detail: impl Into<String>) -> Fault {
        Fault { kind, file: file.to_path_buf(), field: field.into(), detail: detail.into() }
    }

    pub fn malformed(file: &Path, field: &str, detail: impl Into<String>) -> Fault {
        Fault::new(ProblemKind::Malformed, file, field.to_owned(), detail)
    }
}

/// Collects a dataset.
pub(crate) struct Builder {
    list: PathBuf,
    options: ReadOptions,
    /// Keypoints that a pair must have at least.
    least: usize,
    dataset: Dataset,
    symmetries: HashMap<String, Arc<Symmetry>>,
    by_path: HashMap<PathBuf, Result<usize, (ProblemKind, String)>>,
    by_category: HashMap<String, usize>,
    ids: HashSet<String>,
}

impl Builder {
    /// `list` is the file or folder that names the pairs.
    pub fn new(name: impl Into<String>, list: &Path, threshold: Threshold, options: &ReadOptions) -> Builder {
        let dataset = Dataset {
            name: name.into(),
            images: Vec::new(),
            categories: Vec::new(),
            pairs: Vec::new(),
            problems: Vec::new(),
            listed: 0,
            threshold,
        };
        Builder {
            list: list.to_path_buf(),
            options: options.clone(),
            least: 1,
            dataset,
            symmetries: HashMap::new(),
            by_path: HashMap::new(),
            by_category: HashMap::new(),
            ids: HashSet::new(),
        }
    }

    pub fn at_least(mut self, keypoints: usize) -> Builder {
        self.least = keypoints;
        self
    }

    pub fn symmetries(mut self, symmetries: HashMap<String, Arc<Symmetry>>) -> Builder {
        self.symmetries = symmetries;
        self
    }

    /// Takes a pair of the list, or what was wrong with it. `id` names it in the second case.
    pub fn add(&mut self, id: &str, entry: Result<Entry, Fault>) {
        self.dataset.listed += 1;
        if let Err(fault) = entry.and_then(|entry| self.check(entry)) {
            self.problem(Some(id), fault, true);
        }
    }

    /// Keeps a problem that costs no pair.
    pub fn note(&mut self, pair: Option<&str>, fault: Fault) {
        self.problem(pair, fault, false);
    }

    pub fn finish(mut self) -> Result<Dataset, Error> {
        let problems = self.dataset.problems.len();
        let first = self.dataset.problems.first().cloned().map(Box::new);
        if self.options.strict
            && let Some(first) = first
        {
            return Err(Error::Strict { count: problems, first });
        }
        if self.dataset.pairs.is_empty() {
            return Err(Error::Empty { path: self.list, problems, first });
        }
        self.drop_unused_images();
        Ok(self.dataset)
    }

    fn problem(&mut self, pair: Option<&str>, fault: Fault, left_out: bool) {
        let Fault { kind, file, field, detail } = fault;
        self.dataset.problems.push(Problem { kind, file, field, detail, pair: pair.map(str::to_owned), left_out });
    }

    fn check(&mut self, entry: Entry) -> Result<(), Fault> {
        let list = self.list.clone();
        let mut seen = HashSet::new();
        if let Some(twice) = entry.keypoints.iter().find(|keypoint| !seen.insert(keypoint.id.as_str())) {
            let detail = format!("keypoint {} stands in pair {} twice", twice.id, entry.id);
            return Err(Fault::new(ProblemKind::DuplicateKeypoint, &list, None, detail));
        }
        let places = entry.keypoints.iter().flat_map(|keypoint| [keypoint.source, keypoint.target]);
        let boxes = [entry.source.bounds, entry.target.bounds].into_iter().flatten();
        let corners =
            boxes.flat_map(|bounds| [Point::new(bounds.x, bounds.y), Point::new(bounds.width, bounds.height)]);
        if let Some(Point { x, y }) = places.chain(corners).find(|Point { x, y }| !(x.abs() <= FAR && y.abs() <= FAR)) {
            let detail = format!("pair {} has a coordinate that is of no image: {x}, {y}", entry.id);
            return Err(Fault::new(ProblemKind::Malformed, &list, None, detail));
        }
        if entry.keypoints.len() < self.least {
            let detail = match entry.keypoints.len() {
                0 => format!("the images of pair {} have no keypoint in common", entry.id),
                few => {
                    format!("the images of pair {} have {few} keypoints in common, fewer than {}", entry.id, self.least)
                }
            };
            return Err(Fault::new(ProblemKind::NoCommonKeypoints, &list, None, detail));
        }
        if self.ids.contains(&entry.id) {
            let detail = format!("pair {} stands in the list twice", entry.id);
            return Err(Fault::new(ProblemKind::DuplicatePair, &list, None, detail));
        }
        let (source, target) = (self.image(&entry.source)?, self.image(&entry.target)?);
        let category = self.category(&entry.category);
        self.ids.insert(entry.id.clone());
        self.dataset.pairs.push(Pair {
            id: entry.id,
            source,
            target,
            category,
            keypoints: entry.keypoints,
            source_box: entry.source.bounds,
            target_box: entry.target.bounds,
            difficulty: entry.difficulty,
            target_visible: entry.target_visible,
        });
        Ok(())
    }

    fn image(&mut self, side: &Side) -> Result<usize, Fault> {
        if !self.by_path.contains_key(&side.path) {
            let known = self.measure(side).map(|size| {
                self.dataset.images.push(Image { path: side.path.clone(), size });
                self.dataset.images.len() - 1
            });
            self.by_path.insert(side.path.clone(), known);
        }
        match self.by_path.get(&side.path) {
            Some(Ok(index)) => Ok(*index),
            Some(Err((kind, detail))) => Err(Fault::new(*kind, &side.path, None, detail.clone())),
            None => Err(Fault::new(ProblemKind::MissingImage, &side.path, None, "the image is not known")),
        }
    }

    fn measure(&self, side: &Side) -> Result<Size, (ProblemKind, String)> {
        if self.options.check_images && !side.path.is_file() {
            return Err((ProblemKind::MissingImage, "there is no such image".to_owned()));
        }
        match side.size {
            Some(size) if size.pixels() > 0 => Ok(size),
            Some(_) => Err((ProblemKind::Malformed, "its annotated size is 0".to_owned())),
            None if !side.path.is_file() => Err((ProblemKind::MissingImage, "there is no such image".to_owned())),
            None => {
                let unreadable = |error: String| (ProblemKind::UnreadableImage, error);
                let file = std::fs::read(&side.path).map_err(|error| unreadable(error.to_string()))?;
                Photo::displayed_size(&file).map_err(|error| unreadable(error.to_string()))
            }
        }
    }

    fn category(&mut self, name: &str) -> usize {
        if let Some(&index) = self.by_category.get(name) {
            return index;
        }
        let symmetry = self.symmetries.get(name).or_else(|| self.symmetries.get("*")).cloned();
        self.dataset.categories.push(Category { name: name.to_owned(), symmetry });
        let index = self.dataset.categories.len() - 1;
        self.by_category.insert(name.to_owned(), index);
        index
    }

    /// An image whose every pair was left out is not part of the dataset.
    fn drop_unused_images(&mut self) {
        let Dataset { images, pairs, .. } = &mut self.dataset;
        let mut used = vec![false; images.len()];
        for index in pairs.iter().flat_map(|pair| [pair.source, pair.target]) {
            if let Some(used) = used.get_mut(index) {
                *used = true;
            }
        }
        let mut next = 0;
        let renamed: Vec<usize> = used
            .iter()
            .map(|&used| {
                next += usize::from(used);
                next.wrapping_sub(1)
            })
            .collect();
        let mut keep = used.iter();
        images.retain(|_| keep.next().copied().unwrap_or(false));
        for index in pairs.iter_mut().flat_map(|pair| [&mut pair.source, &mut pair.target]) {
            if let Some(&new) = renamed.get(*index) {
                *index = new;
            }
        }
    }
}

/// The keypoints that both lists hold, in the order of the source's.
pub(crate) fn mutual(source: &[(String, Point)], target: &[(String, Point)]) -> Vec<Keypoint> {
    let places: HashMap<&str, Point> = target.iter().map(|(id, point)| (id.as_str(), *point)).collect();
    let both = source.iter().filter_map(|(id, point)| places.get(id.as_str()).map(|&other| (id, *point, other)));
    both.map(|(id, source, target)| Keypoint { id: id.clone(), source, target }).collect()
}
