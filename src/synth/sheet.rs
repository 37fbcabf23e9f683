//! An overview of what is drawn: some pictures of every category in one.

use std::path::Path;

use image::{ImageFormat, Rgb, RgbImage};
use rayon::prelude::*;

use crate::sample::{Frame, Rendered, Sample, Split};
use crate::{Error, Options, Part};

/// Side of a picture on the sheet, px.
const TILE: u32 = 168;

/// Writes an overview as a PNG: `columns` pictures of each of the options' categories, one row a category. With `truth`
/// there is a second row for each: parts as colours, and visible keypoints.
///
/// # Errors
/// [`Error::Strength`], [`Error::NoCategory`]; [`Error::Write`] and [`Error::Encode`] for what the disk or the encoder refuses.
pub fn contact_sheet(file: &Path, options: &Options, columns: u32, truth: bool) -> Result<(), Error> {
    options.check_scene()?;
    let sheet = draw(options, columns.max(1), truth);
    let mut bytes = Vec::new();
    sheet
        .write_to(&mut std::io::Cursor::new(&mut bytes), ImageFormat::Png)
        .map_err(|error| Error::Encode { path: file.to_path_buf(), reason: error.to_string() })?;
    std::fs::write(file, bytes).map_err(|source| Error::Write { path: file.to_path_buf(), source })
}

fn draw(options: &Options, columns: u32, truth: bool) -> RgbImage {
    let Options { categories, seed, strength, .. } = options;
    let rows = if truth { 2 } else { 1 };
    let mut sheet = RgbImage::new(columns * TILE, categories.len() as u32 * rows * TILE);
    let samples: Vec<(u32, u32, Sample)> = categories
        .iter()
        .enumerate()
        .flat_map(|(row, category)| {
            (0..columns).map(move |column| {
                let index = u64::from(column);
                (
                    row as u32,
                    column,
                    Sample { category: *category, split: Split::Trn, index, seed: *seed, strength: *strength },
                )
            })
        })
        .collect();
    let frame = Frame::Exact { width: TILE, height: TILE };
    let drawn: Vec<Rendered> = samples.par_iter().map(|(_, _, sample)| sample.render(frame)).collect();
    for ((row, column, _), picture) in samples.iter().zip(&drawn) {
        for (index, rgb) in picture.rgb.chunks_exact(3).enumerate() {
            let (x, y) = (column * TILE + index as u32 % TILE, row * rows * TILE + index as u32 / TILE);
            sheet.put_pixel(x, y, Rgb([rgb[0], rgb[1], rgb[2]]));
            if truth {
                sheet.put_pixel(x, y + TILE, truth_colour(picture, index));
            }
        }
        for keypoint in picture.visible().filter(|_| truth) {
            for (dx, dy) in [(0, 0), (1, 0), (0, 1), (-1, 0), (0, -1)] {
                let at = |v: f32, d: i32| (v as i32 + d).clamp(0, TILE as i32 - 1) as u32;
                let (x, y) = (at(keypoint.x, dx), at(keypoint.y, dy));
                sheet.put_pixel(column * TILE + x, (row * 2 + 1) * TILE + y, Rgb([255, 255, 255]));
            }
        }
    }
    sheet
}

/// The part as a hue, with the place as light and dark.
fn truth_colour(picture: &Rendered, index: usize) -> Rgb<u8> {
    let Some(semantic) = picture.semantic[index] else {
        return Rgb([24, 24, 24]);
    };
    let Part(part) = semantic.part;
    let hue = (f32::from(part) * 0.381_966).fract();
    let [u, v, _] = semantic.place.map(|c| f32::from(c) / 255.0);
    let colour = crate::paint::hsv(hue, 0.35 + 0.5 * v, 0.45 + 0.5 * u);
    Rgb(colour.to_array().map(|c| (c.sqrt() * 255.0) as u8))
}
