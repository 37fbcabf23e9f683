//! SPair-71k in its official layout (Min et al., 2019; devkit/SPairDataset.py).
//!
//! `Layout/{large,small}/{trn,val,test}.txt` names the pairs, `PairAnnotation/SPLIT/NAME.json` describes each, and
//! `ImageAnnotation/CATEGORY/IMAGE.json` each image, of which the size and all visible keypoints are taken.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use homolog_core::geometry::{Point, Size};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{ReadOptions, Split, bytes, json_fault};
use crate::dataset::{Bounds, Builder, Difficulty, Entry, Fault, Keypoint, ProblemKind, Side};
use crate::pck::Threshold;
use crate::symmetry::Symmetry;
use crate::{Dataset, Error};

/// Which list of pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Spair71kLayout))]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// 53,340, 5,384 and 12,234 pairs.
    #[default]
    Large,
    /// 10,652, 1,070 and 2,438 pairs.
    Small,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Layout::Large => "large",
            Layout::Small => "small",
        })
    }
}

impl FromStr for Layout {
    type Err = Error;

    fn from_str(text: &str) -> Result<Layout, Error> {
        match text {
            "large" => Ok(Layout::Large),
            "small" => Ok(Layout::Small),
            _ => Err(Error::UnknownChoice { what: "layout", found: text.to_owned(), choices: "large, small" }),
        }
    }
}

/// `PairAnnotation/SPLIT/NAME.json`. Fields beyond these are passed over.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct PairAnnotation {
    /// Running number in the split.
    pub pair_id: u64,
    /// The pair's name.
    pub filename: String,
    /// File of the source, in the folder of its category.
    pub src_imname: String,
    /// File of the target.
    pub trg_imname: String,
    /// Width, height and channels of the source.
    pub src_imsize: [u32; 3],
    /// Width, height and channels of the target.
    pub trg_imsize: [u32; 3],
    /// The object in the source: left, top, right, bottom, px.
    pub src_bndbox: [f64; 4],
    /// The object in the target.
    pub trg_bndbox: [f64; 4],
    /// The category.
    pub category: String,
    /// Pose in the source, in PASCAL VOC's words.
    pub src_pose: String,
    /// Pose in the target.
    pub trg_pose: String,
    /// Places of the common keypoints in the source, px.
    pub src_kps: Vec<[f64; 2]>,
    /// Their places in the target, px.
    pub trg_kps: Vec<[f64; 2]>,
    /// Their ids.
    pub kps_ids: Vec<String>,
    /// Whether the pair is mirrored.
    pub mirror: u8,
    /// 0 easy, 1 medium, 2 difficult.
    pub viewpoint_variation: u8,
    /// 0 easy, 1 medium, 2 difficult.
    pub scale_variation: u8,
    /// 0 none, 1 source, 2 target, 3 both.
    pub truncation: u8,
    /// 0 none, 1 source, 2 target, 3 both.
    pub occlusion: u8,
}

/// `ImageAnnotation/CATEGORY/IMAGE.json`. Fields beyond these are passed over.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ImageAnnotation {
    /// The image's file.
    pub filename: String,
    /// Width, px.
    pub image_width: u32,
    /// Height, px.
    pub image_height: u32,
    /// The category.
    pub category: String,
    /// Pose, in PASCAL VOC's words.
    pub pose: String,
    /// Whether the object goes beyond the image.
    pub truncated: u8,
    /// Whether something is in front of it.
    pub occluded: u8,
    /// Whether PASCAL VOC calls it difficult.
    pub difficult: u8,
    /// The object: left, top, right, bottom, px.
    pub bndbox: [f64; 4],
    /// Places of the keypoints by id, px; null where it is not visible.
    pub kps: HashMap<String, Option<[f64; 2]>>,
    /// Eighth of a turn that the object is seen from.
    pub azimuth_id: u8,
}

impl PairAnnotation {
    /// Reads a pair's JSON.
    ///
    /// # Errors
    /// [`Error::Format`] with the field that is wrong.
    pub fn parse(file: &Path, text: &[u8]) -> Result<PairAnnotation, Error> {
        serde_json::from_slice(text).map_err(|_| as_error(json_fault::<PairAnnotation>(file, text)))
    }
}

impl ImageAnnotation {
    /// Reads an image's JSON.
    ///
    /// # Errors
    /// [`Error::Format`] with the field that is wrong.
    pub fn parse(file: &Path, text: &[u8]) -> Result<ImageAnnotation, Error> {
        serde_json::from_slice(text).map_err(|_| as_error(json_fault::<ImageAnnotation>(file, text)))
    }

    /// The keypoints that are visible, in the order of their numbers.
    pub fn visible(&self) -> Vec<(String, Point)> {
        let mut visible: Vec<(String, Point)> =
            self.kps.iter().filter_map(|(id, place)| place.map(|[x, y]| (id.clone(), Point::new(x, y)))).collect();
        visible.sort_by_key(|(id, _)| (id.len(), id.clone()));
        visible
    }
}

fn as_error(fault: Fault) -> Error {
    let detail = fault.field.map_or_else(|| fault.detail.clone(), |field| format!("{field}: {}", fault.detail));
    Error::Format { path: fault.file, detail }
}

/// Reads the pairs of a split from the dataset's folder (`SPair-71k/`).
///
/// # Errors
/// [`Error::Io`] without the list, [`Error::ColonReplaced`] for a tree without colons, [`Error::Empty`], [`Error::Strict`].
pub fn read(folder: &Path, layout: Layout, split: Split, options: &ReadOptions) -> Result<Dataset, Error> {
    let list = folder.join(format!("Layout/{layout}/{split}.txt"));
    let text = String::from_utf8_lossy(&bytes(&list)?).into_owned();
    let names: Vec<&str> = text.lines().map(str::trim).filter(|name| !name.is_empty()).collect();
    let annotations = folder.join(format!("PairAnnotation/{split}"));
    check_colons(&annotations, &names)?;
    let pairs: Vec<Result<PairAnnotation, Fault>> =
        names.par_iter().map(|name| pair_annotation(&annotations.join(format!("{name}.json")))).collect();

    let images = image_annotations(folder, pairs.iter().flatten());
    let mut builder = Builder::new(format!("spair71k/{layout}/{split}"), &list, Threshold::Box, options)
        .symmetries(Symmetry::spair71k()?);
    let mut noted: Vec<&PathBuf> = images.iter().filter(|(_, image)| image.is_err()).map(|(path, _)| path).collect();
    noted.sort();
    for path in noted {
        if let Some(Err((kind, detail))) = images.get(path) {
            // the pairs hold sizes and boxes of their own: only the geometry-aware subset goes without
            builder.note(None, Fault::new(*kind, path, None, detail.clone()));
        }
    }
    for (name, pair) in names.iter().zip(pairs) {
        let file = annotations.join(format!("{name}.json"));
        builder.add(name, pair.and_then(|pair| entry(folder, &file, name, pair, &images)));
    }
    builder.finish()
}

/// Size and visible keypoints of the images, by the file of their annotation; otherwise what is wrong with it.
type Images = HashMap<PathBuf, Result<(Size, Arc<[(String, Point)]>), (ProblemKind, String)>>;

fn image_annotation_path(folder: &Path, category: &str, image: &str) -> PathBuf {
    folder.join("ImageAnnotation").join(category).join(Path::new(image).with_extension("json"))
}

fn image_annotations<'a>(folder: &Path, pairs: impl Iterator<Item = &'a PairAnnotation>) -> Images {
    let mut images: Images = HashMap::new();
    for pair in pairs {
        for image in [&pair.src_imname, &pair.trg_imname] {
            let path = image_annotation_path(folder, &pair.category, image);
            images.entry(path).or_insert_with_key(|path| {
                let text = std::fs::read(path).map_err(|error| (ProblemKind::MissingAnnotation, error.to_string()))?;
                let image =
                    ImageAnnotation::parse(path, &text).map_err(|error| (ProblemKind::Malformed, error.to_string()))?;
                Ok((Size::new(image.image_width, image.image_height), image.visible().into()))
            });
        }
    }
    images
}

fn pair_annotation(file: &Path) -> Result<PairAnnotation, Fault> {
    let text = std::fs::read(file)
        .map_err(|error| Fault::new(ProblemKind::MissingAnnotation, file, None, error.to_string()))?;
    serde_json::from_slice(&text).map_err(|_| json_fault::<PairAnnotation>(file, &text))
}

fn entry(folder: &Path, file: &Path, name: &str, pair: PairAnnotation, images: &Images) -> Result<Entry, Fault> {
    let (sources, targets, ids) = (pair.src_kps.len(), pair.trg_kps.len(), pair.kps_ids.len());
    if sources != targets || sources != ids {
        let detail = format!("{sources} src_kps, {targets} trg_kps and {ids} kps_ids are not as many");
        return Err(Fault::malformed(file, "kps_ids", detail));
    }
    let bounds = |field: &str, corners| {
        Bounds::from_corners(corners).ok_or_else(|| Fault::malformed(file, field, format!("{corners:?} is no box")))
    };
    let flag = |field: &str, value: u8, most: u8| match value {
        value if value <= most => Ok(Some(value)),
        _ => Err(Fault::malformed(file, field, format!("{value} is beyond {most}"))),
    };
    let annotated = |image: &str| {
        images.get(&image_annotation_path(folder, &pair.category, image)).and_then(|image| image.as_ref().ok())
    };
    let side = |image: &str, [width, height, _]: [u32; 3], bounds| Side {
        path: folder.join("JPEGImages").join(&pair.category).join(image),
        size: Some(annotated(image).map_or(Size::new(width, height), |(size, _)| *size)),
        bounds: Some(bounds),
    };
    let keypoints = pair.kps_ids.iter().zip(&pair.src_kps).zip(&pair.trg_kps);
    Ok(Entry {
        id: name.to_owned(),
        source: side(&pair.src_imname, pair.src_imsize, bounds("src_bndbox", pair.src_bndbox)?),
        target: side(&pair.trg_imname, pair.trg_imsize, bounds("trg_bndbox", pair.trg_bndbox)?),
        keypoints: keypoints
            .map(|((id, &source), &target)| Keypoint { id: id.clone(), source: source.into(), target: target.into() })
            .collect(),
        difficulty: Difficulty {
            viewpoint: flag("viewpoint_variation", pair.viewpoint_variation, 2)?,
            scale: flag("scale_variation", pair.scale_variation, 2)?,
            truncation: flag("truncation", pair.truncation, 3)?,
            occlusion: flag("occlusion", pair.occlusion, 3)?,
        },
        target_visible: annotated(&pair.trg_imname).map(|(_, visible)| visible.clone()),
        category: pair.category,
    })
}

/// Whether the tree has the colons that its lists have: one look for all the pairs.
fn check_colons(folder: &Path, names: &[&str]) -> Result<(), Error> {
    let Some((name, before)) = names.iter().find_map(|name| Some((*name, name.split_once(':')?.0))) else {
        return Ok(());
    };
    if folder.join(format!("{name}.json")).is_file() {
        return Ok(());
    }
    let entries = std::fs::read_dir(folder).map_err(|source| Error::Io { path: folder.to_path_buf(), source })?;
    for file in entries.flatten() {
        let file = file.file_name().to_string_lossy().into_owned();
        let after = name.get(before.len() + 1..).unwrap_or_default();
        if let Some(rest) = file.strip_prefix(before)
            && let Some(found) = rest.strip_suffix(&format!("{after}.json"))
            && found != ":"
        {
            return Err(Error::ColonReplaced { folder: folder.to_path_buf(), found: found.to_owned(), example: file });
        }
    }
    Ok(())
}
