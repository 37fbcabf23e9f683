//! AP-10K as a benchmark of correspondence, as GeoAware-SC prepares it (Zhang et al., 2024).
//!
//! `PairAnnotation/{SPLIT,SPLIT_cross_species,SPLIT_cross_family}/N-SOURCE-TARGET:CATEGORY.json` names the annotations of two
//! images, `ImageAnnotation/FAMILY/SPECIES/IMAGE.json` is one animal of AP-10K's COCO file together with its image's size, and
//! the photo lies at the same place under `JPEGImages/`. Seventeen keypoints, of which a pair shares three at least.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use homolog_core::geometry::{Point, Size};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{ReadOptions, Split, json_fault};
use crate::dataset::{Bounds, Builder, Difficulty, Entry, Fault, ProblemKind, Side, mutual};
use crate::pck::Threshold;
use crate::symmetry::Symmetry;
use crate::{Dataset, Error};

/// Keypoints of every animal.
const KEYPOINTS: usize = 17;

/// Keypoints that a pair shares at least.
const LEAST: usize = 3;

/// Which pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Ap10kSet))]
#[serde(rename_all = "kebab-case")]
pub enum Set {
    /// Both images show one species.
    #[default]
    IntraSpecies,
    /// Two species of a family.
    CrossSpecies,
    /// Two families.
    CrossFamily,
}

impl Set {
    fn folder(self, split: Split) -> String {
        match self {
            Set::IntraSpecies => split.to_string(),
            Set::CrossSpecies => format!("{split}_cross_species"),
            Set::CrossFamily => format!("{split}_cross_family"),
        }
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Set::IntraSpecies => "intra-species",
            Set::CrossSpecies => "cross-species",
            Set::CrossFamily => "cross-family",
        })
    }
}

impl FromStr for Set {
    type Err = Error;

    fn from_str(text: &str) -> Result<Set, Error> {
        match text {
            "intra-species" => Ok(Set::IntraSpecies),
            "cross-species" => Ok(Set::CrossSpecies),
            "cross-family" => Ok(Set::CrossFamily),
            _ => Err(Error::UnknownChoice {
                what: "set of AP-10K",
                found: text.to_owned(),
                choices: "intra-species, cross-species, cross-family",
            }),
        }
    }
}

#[derive(Deserialize)]
struct PairAnnotation {
    src_json_path: String,
    trg_json_path: String,
}

/// An animal with its image's size. Fields beyond these are passed over.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ImageAnnotation {
    /// Width of the image, px.
    pub width: u32,
    /// Its height, px.
    pub height: u32,
    /// The animal: left, top, width, height, px.
    pub bbox: [f64; 4],
    /// x, y and visibility of the keypoints, 3 × 17 numbers; one that is not annotated has the visibility 0.
    pub keypoints: Vec<f64>,
}

/// Reads a set of pairs from the dataset's folder (`ap-10k/`), in the order of the names of their files.
///
/// # Errors
/// [`Error::Io`] without the folder of pairs, [`Error::Empty`], [`Error::Strict`].
pub fn read(folder: &Path, set: Set, split: Split, options: &ReadOptions) -> Result<Dataset, Error> {
    let list = folder.join("PairAnnotation").join(set.folder(split));
    let files = files(&list)?;
    let pairs: Vec<Result<PairAnnotation, Fault>> = files.par_iter().map(|file| json(file)).collect();
    let mut images = HashMap::new();
    let mut builder = Builder::new(format!("ap10k/{set}/{split}"), &list, Threshold::Box, options)
        .at_least(LEAST)
        .symmetries(Symmetry::ap10k()?);
    for (file, pair) in files.iter().zip(pairs) {
        let id = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        builder.add(&id, pair.and_then(|pair| entry(folder, file, &id, &pair, &mut images)));
    }
    builder.finish()
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::Io { path: folder.to_path_buf(), source };
    let mut files = Vec::new();
    for file in std::fs::read_dir(folder).map_err(failed)? {
        let path = file.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn json<T: serde::de::DeserializeOwned>(file: &Path) -> Result<T, Fault> {
    let text = std::fs::read(file)
        .map_err(|error| Fault::new(ProblemKind::MissingAnnotation, file, None, error.to_string()))?;
    serde_json::from_slice(&text).map_err(|_| json_fault::<T>(file, &text))
}

/// What a pair needs of an image.
#[derive(Clone)]
struct Animal {
    photo: PathBuf,
    size: Size,
    bounds: Bounds,
    visible: Arc<[(String, Point)]>,
}

type Animals = HashMap<String, Result<Animal, (ProblemKind, PathBuf, Option<String>, String)>>;

fn entry(folder: &Path, file: &Path, id: &str, pair: &PairAnnotation, known: &mut Animals) -> Result<Entry, Fault> {
    let mut animal = |field: &str, path: &str| -> Result<Animal, Fault> {
        let animal = known.entry(path.to_owned()).or_insert_with(|| {
            animal(folder, file, field, path).map_err(|fault| (fault.kind, fault.file, fault.field, fault.detail))
        });
        animal.clone().map_err(|(kind, file, field, detail)| Fault { kind, file, field, detail })
    };
    let source = animal("src_json_path", &pair.src_json_path)?;
    let target = animal("trg_json_path", &pair.trg_json_path)?;
    let keypoints = mutual(&source.visible, &target.visible);
    let target_visible = Some(target.visible.clone());
    let side = |animal: Animal| Side { path: animal.photo, size: Some(animal.size), bounds: Some(animal.bounds) };
    Ok(Entry {
        id: id.to_owned(),
        // the file's name says which: species, family, or `all`
        category: id.rsplit_once(':').map_or("all", |(_, category)| category).to_owned(),
        source: side(source),
        target: side(target),
        keypoints,
        difficulty: Difficulty::default(),
        target_visible,
    })
}

/// Paths in pair files are relative to where the files were made: what counts begins with `ImageAnnotation`.
fn animal(folder: &Path, file: &Path, field: &str, listed: &str) -> Result<Animal, Fault> {
    let rest: PathBuf = Path::new(listed).iter().skip_while(|part| *part != "ImageAnnotation").skip(1).collect();
    if rest.as_os_str().is_empty() {
        return Err(Fault::malformed(file, field, format!("`{listed}` has no folder ImageAnnotation")));
    }
    let path = folder.join("ImageAnnotation").join(&rest);
    let image: ImageAnnotation = json(&path)?;
    if image.keypoints.len() != 3 * KEYPOINTS {
        let detail = format!("{} numbers where {} are due", image.keypoints.len(), 3 * KEYPOINTS);
        return Err(Fault::malformed(&path, "keypoints", detail));
    }
    let bounds = Bounds::from_size(image.bbox)
        .ok_or_else(|| Fault::malformed(&path, "bbox", format!("{:?} is no box", image.bbox)))?;
    let (places, _) = image.keypoints.as_chunks::<3>();
    let visible = places.iter().enumerate().filter(|(_, [_, _, visibility])| *visibility > 0.0);
    Ok(Animal {
        photo: folder.join("JPEGImages").join(rest.with_extension("jpg")),
        size: Size::new(image.width, image.height),
        bounds,
        visible: visible.map(|(index, [x, y, _])| (index.to_string(), Point::new(*x, *y))).collect(),
    })
}
