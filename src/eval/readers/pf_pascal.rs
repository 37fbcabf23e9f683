//! PF-PASCAL (Ham et al., "Proposal Flow", 2017) with the community's lists of pairs.
//!
//! The list is a CSV of `source_image,target_image,class,XA,YA,XB,YB`: the class is one of PASCAL VOC's 20, counted from 1, and
//! each coordinate column holds numbers joined by `;`, as many in all four. A number that is not finite is a keypoint that is
//! not visible. The threshold is a share of the longer side of the target image.

use std::path::Path;

use homolog_core::geometry::Point;
use serde::Deserialize;

use super::{ReadOptions, bytes, image_path};
use crate::dataset::{Builder, Difficulty, Entry, Fault, Side, mutual};
use crate::pck::Threshold;
use crate::{Dataset, Error};

/// Classes of PASCAL VOC; the list counts them from 1.
const CLASSES: [&str; 20] = [
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
];

/// Names that the folder of images may have.
const FOLDERS: [&str; 2] = ["PF-dataset-PASCAL", "PF-dataset"];

#[derive(Deserialize)]
struct Row {
    source_image: String,
    target_image: String,
    class: usize,
    #[serde(rename = "XA")]
    xa: String,
    #[serde(rename = "YA")]
    ya: String,
    #[serde(rename = "XB")]
    xb: String,
    #[serde(rename = "YB")]
    yb: String,
}

/// Reads the pairs of a list; its images lie in `folder`.
///
/// # Errors
/// [`Error::Io`] or [`Error::Format`] if the list cannot be read, [`Error::Empty`], [`Error::Strict`].
pub fn read(folder: &Path, list: &Path, options: &ReadOptions) -> Result<Dataset, Error> {
    let mut builder = Builder::new("pf-pascal", list, Threshold::Image, options);
    let text = bytes(list)?;
    let mut rows = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text.as_slice());
    let columns = rows.headers().map_err(|error| Error::Format { path: list.into(), detail: error.to_string() })?;
    let expected = ["source_image", "target_image", "class", "XA", "YA", "XB", "YB"];
    if let Some(missing) = expected.iter().find(|name| !columns.iter().any(|column| column == **name)) {
        let detail = format!("its first line names no column `{missing}`; it is `{}`", columns.as_slice());
        return Err(Error::Format { path: list.into(), detail });
    }
    for (index, row) in rows.deserialize().enumerate() {
        let line = format!("line {}", index + 2);
        match row {
            Ok(row) => {
                let id = name(index, &row);
                builder.add(&id, entry(folder, list, &line, row, id.clone()));
            }
            Err(error) => builder.add(&line, Err(Fault::malformed(list, &line, error.to_string()))),
        }
    }
    builder.finish()
}

fn name(index: usize, row: &Row) -> String {
    let stem = |path: &str| Path::new(path).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let class = class(row.class).unwrap_or("?");
    format!("{:04}-{}-{}:{class}", index + 1, stem(&row.source_image), stem(&row.target_image))
}

fn class(number: usize) -> Option<&'static str> {
    CLASSES.get(number.checked_sub(1)?).copied()
}

fn entry(folder: &Path, list: &Path, line: &str, row: Row, id: String) -> Result<Entry, Fault> {
    let category = class(row.class).ok_or_else(|| {
        Fault::malformed(list, &format!("{line}, class"), format!("{} is not from 1 to 20", row.class))
    })?;
    let column = |name: &str, text: &str| -> Result<Vec<f64>, Fault> {
        let cells = text.split(';').map(str::trim).filter(|cell| !cell.is_empty());
        let numbers = cells.map(|cell| {
            let wrong = || Fault::malformed(list, &format!("{line}, {name}"), format!("`{cell}` is no number"));
            cell.parse::<f64>().map_err(|_| wrong())
        });
        numbers.collect()
    };
    let (xa, ya) = (column("XA", &row.xa)?, column("YA", &row.ya)?);
    let (xb, yb) = (column("XB", &row.xb)?, column("YB", &row.yb)?);
    for (name, other) in [("YA", &ya), ("XB", &xb), ("YB", &yb)] {
        if other.len() != xa.len() {
            let detail = format!("{} numbers, and XA has {}", other.len(), xa.len());
            return Err(Fault::malformed(list, &format!("{line}, {name}"), detail));
        }
    }
    let visible = |x: &[f64], y: &[f64]| -> Vec<(String, Point)> {
        let points = x.iter().zip(y).enumerate().filter(|(_, (x, y))| x.is_finite() && y.is_finite());
        points.map(|(index, (&x, &y))| (index.to_string(), Point::new(x, y))).collect()
    };
    let (source, target) = (visible(&xa, &ya), visible(&xb, &yb));
    let side = |path: &str| Side { path: image_path(folder, path, &FOLDERS), size: None, bounds: None };
    Ok(Entry {
        id,
        category: category.to_owned(),
        source: side(&row.source_image),
        target: side(&row.target_image),
        keypoints: mutual(&source, &target),
        difficulty: Difficulty::default(),
        // the list holds common keypoints only
        target_visible: None,
    })
}
