//! Homolog's own format: one pair a line, each line a JSON object.
//!
//! ```json
//! {"source": "a.jpg", "target": "b.jpg", "source_keypoints": [[12, 30], [40, 31]], "target_keypoints": [[10.5, 28], null]}
//! ```
//! Paths are relative to the list. A keypoint is `[x, y]` in pixels of the image as displayed, or null where it is not visible;
//! both lists are of one length. Optional: `id`, `category`, `keypoint_ids` (text or whole numbers; by default the places in
//! the list), `source_box` and `target_box` (left, top, right, bottom), and the flags of
//! [`Difficulty`]. Empty lines are passed over.

use std::collections::HashSet;
use std::path::Path;

use homolog_core::geometry::Point;
use serde::{Deserialize, Serialize};

use super::{ReadOptions, bytes, json_fault};
use crate::dataset::{Bounds, Builder, Difficulty, Entry, Fault, ProblemKind, Side, mutual};
use crate::pck::Threshold;
use crate::{Dataset, Error};

/// A pair as it stands in a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PairLine {
    /// The pair's name; its place in the list when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The source image.
    pub source: String,
    /// The target image.
    pub target: String,
    /// Keypoints of the source, `[x, y]` in pixels of the image as displayed; null where one is not visible.
    pub source_keypoints: Vec<Option<[f64; 2]>>,
    /// The same keypoints in the target, in the same order.
    pub target_keypoints: Vec<Option<[f64; 2]>>,
    /// Which parts they are; their places in the list when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keypoint_ids: Option<Vec<KeypointId>>,
    /// What the object is; `all` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// The object in the source: left, top, right, bottom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_box: Option<[f64; 4]>,
    /// The object in the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_box: Option<[f64; 4]>,
    /// Difference of viewpoint: 0 easy, 1 medium, 2 difficult.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub viewpoint: Option<u8>,
    /// Difference of scale: 0 easy, 1 medium, 2 difficult.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<u8>,
    /// Truncation: 0 none, 1 source, 2 target, 3 both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncation: Option<u8>,
    /// Occlusion: 0 none, 1 source, 2 target, 3 both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occlusion: Option<u8>,
}

/// Which part a keypoint is: a whole number or a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum KeypointId {
    /// As SPair-71k numbers them.
    Number(u64),
    /// A name.
    Text(String),
}

/// Reads a list of pairs. The threshold is taken from the target's box if every pair has one, else from the target image.
///
/// # Errors
/// [`Error::Io`] without the list, [`Error::Empty`], [`Error::Strict`].
pub fn read(list: &Path, options: &ReadOptions) -> Result<Dataset, Error> {
    let folder = list.parent().unwrap_or(Path::new(""));
    let name = list.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut builder = Builder::new(name, list, Threshold::Box, options);
    for (number, text) in bytes(list)?.split(|byte| *byte == b'\n').enumerate() {
        if text.trim_ascii().is_empty() {
            continue;
        }
        let at = format!("line {}", number + 1);
        match serde_json::from_slice::<PairLine>(text) {
            Ok(mut line) => {
                let id = line.id.take().unwrap_or_else(|| (number + 1).to_string());
                builder.add(&id, entry(folder, list, &at, line, id.clone()));
            }
            Err(_) => {
                let fault = json_fault::<PairLine>(list, text);
                let field = fault.field.map_or(at.clone(), |field| format!("{at}, {field}"));
                builder.add(&at, Err(Fault { field: Some(field), ..fault }));
            }
        }
    }
    let mut dataset = builder.finish()?;
    if dataset.pairs.iter().any(|pair| pair.target_box.is_none()) {
        dataset.threshold = Threshold::Image;
    }
    Ok(dataset)
}

fn entry(folder: &Path, list: &Path, at: &str, line: PairLine, id: String) -> Result<Entry, Fault> {
    let wrong = |field: &str, detail: String| Fault::malformed(list, &format!("{at}, {field}"), detail);
    let count = line.source_keypoints.len();
    if line.target_keypoints.len() != count {
        let detail = format!("{} keypoints, and the source has {count}", line.target_keypoints.len());
        return Err(wrong("target_keypoints", detail));
    }
    let ids: Vec<String> = match line.keypoint_ids {
        Some(ids) if ids.len() != count => {
            return Err(wrong("keypoint_ids", format!("{} ids for {count} keypoints", ids.len())));
        }
        Some(ids) => ids.into_iter().map(KeypointId::into_text).collect(),
        None => (0..count).map(|index| index.to_string()).collect(),
    };
    let mut seen = HashSet::new();
    if let Some(twice) = ids.iter().find(|id| !seen.insert(id.as_str())) {
        let field = format!("{at}, keypoint_ids");
        return Err(Fault::new(
            ProblemKind::DuplicateKeypoint,
            list,
            field,
            format!("keypoint {twice} stands there twice"),
        ));
    }
    let bounds = |field: &str, corners: Option<[f64; 4]>| {
        let wrong = |corners| wrong(field, format!("{corners:?} is no box"));
        corners.map(|corners| Bounds::from_corners(corners).ok_or_else(|| wrong(corners))).transpose()
    };
    let flag = |field: &str, value: Option<u8>, most: u8| match value {
        Some(value) if value > most => Err(wrong(field, format!("{value} is beyond {most}"))),
        value => Ok(value),
    };
    let visible = |places: &[Option<[f64; 2]>]| -> Vec<(String, Point)> {
        ids.iter().zip(places).filter_map(|(id, place)| place.map(|place| (id.clone(), place.into()))).collect()
    };
    let target_visible = visible(&line.target_keypoints);
    let side = |path: &str, bounds| Side { path: folder.join(path), size: None, bounds };
    Ok(Entry {
        id,
        category: line.category.unwrap_or_else(|| "all".to_owned()),
        keypoints: mutual(&visible(&line.source_keypoints), &target_visible),
        source: side(&line.source, bounds("source_box", line.source_box)?),
        target: side(&line.target, bounds("target_box", line.target_box)?),
        difficulty: Difficulty {
            viewpoint: flag("viewpoint", line.viewpoint, 2)?,
            scale: flag("scale", line.scale, 2)?,
            truncation: flag("truncation", line.truncation, 3)?,
            occlusion: flag("occlusion", line.occlusion, 3)?,
        },
        target_visible: Some(target_visible.into()),
    })
}

impl KeypointId {
    fn into_text(self) -> String {
        match self {
            KeypointId::Number(number) => number.to_string(),
            KeypointId::Text(text) => text,
        }
    }
}
