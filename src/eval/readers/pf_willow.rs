//! PF-WILLOW (Ham et al., "Proposal Flow", 2016): ten keypoints an image, all of them visible, pairs within a sub-class.
//!
//! The list is a CSV of `imageA,imageB,XA1..XA10,YA1..YA10,XB1..XB10,YB1..YB10`. Its image paths begin with `PF-dataset/`; on
//! disk that folder may be called `PF-dataset` or `PF-dataset-WILLOW`, or be left out.

use std::path::Path;

use homolog_core::geometry::Point;

use super::{ReadOptions, bytes, image_path};
use crate::dataset::{Bounds, Builder, Difficulty, Entry, Fault, Keypoint, Side};
use crate::pck::Threshold;
use crate::{Dataset, Error};

/// Keypoints of every image.
const KEYPOINTS: usize = 10;

/// Names that the folder of images may have.
const FOLDERS: [&str; 2] = ["PF-dataset-WILLOW", "PF-dataset"];

/// Reads the pairs of a list; its images lie in `folder`. The category is the sub-class, say `car(G)`.
///
/// # Errors
/// [`Error::Io`] or [`Error::Format`] if the list cannot be read, [`Error::Empty`], [`Error::Strict`].
pub fn read(folder: &Path, list: &Path, options: &ReadOptions) -> Result<Dataset, Error> {
    let mut builder = Builder::new("pf-willow", list, Threshold::Keypoints, options);
    let text = bytes(list)?;
    let mut rows = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text.as_slice());
    let columns = rows.headers().map_err(|error| Error::Format { path: list.into(), detail: error.to_string() })?;
    let expected = columns_of_list();
    if !columns.iter().map(str::to_lowercase).eq(expected.iter().map(|name| name.to_lowercase())) {
        let detail =
            format!("its first line must be `{},…,YB10`, and it is `{}`", expected[..3].join(","), columns.as_slice());
        return Err(Error::Format { path: list.into(), detail });
    }
    for (index, row) in rows.records().enumerate() {
        let line = format!("line {}", index + 2);
        match row {
            Ok(row) => {
                let (source, target) = (row.get(0).unwrap_or_default(), row.get(1).unwrap_or_default());
                let category = category(target);
                let id = format!("{:04}-{}-{}:{category}", index + 1, stem(source), stem(target));
                builder.add(&id, entry(folder, list, &line, &row, &expected, id.clone(), category));
            }
            Err(error) => builder.add(&line, Err(Fault::malformed(list, &line, error.to_string()))),
        }
    }
    builder.finish()
}

fn columns_of_list() -> Vec<String> {
    let coordinates =
        ["XA", "YA", "XB", "YB"].iter().flat_map(|axis| (1..=KEYPOINTS).map(move |n| format!("{axis}{n}")));
    ["imageA".to_owned(), "imageB".to_owned()].into_iter().chain(coordinates).collect()
}

fn entry(
    folder: &Path,
    list: &Path,
    line: &str,
    row: &csv::StringRecord,
    columns: &[String],
    id: String,
    category: String,
) -> Result<Entry, Fault> {
    if row.len() != columns.len() {
        return Err(Fault::malformed(list, line, format!("{} columns where {} are due", row.len(), columns.len())));
    }
    let mut numbers = [0.0; 4 * KEYPOINTS];
    for ((number, cell), column) in numbers.iter_mut().zip(row.iter().skip(2)).zip(columns.iter().skip(2)) {
        *number = cell.parse().ok().filter(|number: &f64| number.is_finite()).ok_or_else(|| {
            Fault::malformed(list, &format!("{line}, {column}"), format!("`{cell}` is no finite number"))
        })?;
    }
    let (source, target) = numbers.split_at(2 * KEYPOINTS);
    let points = |axes: &[f64]| -> Vec<Point> {
        let (x, y) = axes.split_at(KEYPOINTS);
        x.iter().zip(y).map(|(&x, &y)| Point::new(x, y)).collect()
    };
    let (source, target) = (points(source), points(target));
    if Bounds::around(target.iter().copied()).is_none_or(|bounds| bounds.extent() <= 0.0) {
        return Err(Fault::malformed(list, line, "all keypoints of the target lie in one place"));
    }
    let side = |column| Side {
        path: image_path(folder, row.get(column).unwrap_or_default(), &FOLDERS),
        size: None,
        bounds: None,
    };
    let ids = (1..=KEYPOINTS).map(|number| number.to_string());
    let visible: Vec<(String, Point)> = ids.clone().zip(target.iter().copied()).collect();
    let keypoints = ids.zip(source).zip(target).map(|((id, source), target)| Keypoint { id, source, target });
    Ok(Entry {
        id,
        category,
        source: side(0),
        target: side(1),
        keypoints: keypoints.collect(),
        difficulty: Difficulty::default(),
        target_visible: Some(visible.into()),
    })
}

fn stem(path: &str) -> String {
    Path::new(path).file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn category(path: &str) -> String {
    let folder = Path::new(path).parent().and_then(Path::file_name).unwrap_or_default();
    folder.to_string_lossy().into_owned()
}
