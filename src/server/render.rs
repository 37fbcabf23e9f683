//! The answer as a picture: each target beside the source, points numbered and joined by lines.
//!
//! Colours are those of Okabe and Ito (2008), which people with any common colour blindness tell apart; every mark has a dark
//! and a light edge, so that it stands out from any photo.

mod digits;

use homolog_core::geometry::{Point, Size};
use homolog_core::image::{Interpolation, Photo, resize};
use tiny_skia::{Color, FillRule, LineCap, Paint, Path, PathBuilder, Pixmap, PixmapMut, Stroke, Transform};

use crate::error::ApiError;
use crate::pipeline::Matched;

/// Width of the picture, px, and of the strip between two photos.
const WIDTH: u32 = 1200;
const GAP: u32 = 8;
/// Greatest height of a row, and about that of the picture, px.
const ROW: u32 = 640;
const HEIGHT: u32 = 12_800;
/// Points drawn in a row; more would hide the photos.
const MOST_POINTS: usize = 500;

/// Orange, sky blue, bluish green, yellow, blue, vermilion, reddish purple. Black is left out: it is the edge.
const COLOURS: [(u8, u8, u8); 7] = [
    (0xE6, 0x9F, 0x00),
    (0x56, 0xB4, 0xE9),
    (0x00, 0x9E, 0x73),
    (0xF0, 0xE4, 0x42),
    (0x00, 0x72, 0xB2),
    (0xD5, 0x5E, 0x00),
    (0xCC, 0x79, 0xA7),
];

/// How much room there is, which follows from the number of targets alone: photos are shrunk to it as soon as they are decoded.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    row: u32,
}

impl Layout {
    /// The layout of a picture with a row for each of `targets`.
    pub fn new(targets: usize) -> Layout {
        let targets = u32::try_from(targets).unwrap_or(u32::MAX).max(1);
        Layout { row: (HEIGHT / targets).clamp(1, ROW) }
    }

    /// The greatest common height at which the two photos fit into a row side by side.
    fn height(&self, source: Size, target: Size) -> u32 {
        let aspect = |size: Size| f64::from(size.width) / f64::from(size.height);
        let height = f64::from(WIDTH - GAP) / (aspect(source) + aspect(target));
        (height as u32).clamp(1, self.row)
    }
}

/// The photo, no greater than a picture has use for.
///
/// # Errors
/// None in practice: see [`resize`].
pub fn thumbnail(photo: &Photo, layout: &Layout) -> Result<Photo, homolog_core::Error> {
    let size = photo.size();
    let shrink = (f64::from(WIDTH) / f64::from(size.width)).min(f64::from(layout.row) / f64::from(size.height));
    if shrink >= 1.0 {
        return Ok(photo.clone());
    }
    let side = |side: u32| ((f64::from(side) * shrink).round() as u32).max(1);
    resize(photo, Size::new(side(size.width), side(size.height)), Interpolation::Bilinear)
}

/// Draws an answer that has thumbnails, as PNG.
///
/// # Errors
/// [`ApiError::Internal`] if the picture cannot be made.
pub fn overlay(matched: &Matched) -> Result<Vec<u8>, ApiError> {
    let failed = |error: &dyn std::fmt::Display| ApiError::Internal(format!("picture: {error}"));
    let Some((source, targets)) = matched.thumbnails.split_first() else {
        return Err(failed(&"there are no thumbnails"));
    };
    let layout = Layout::new(targets.len());
    let mut rows = Vec::with_capacity(targets.len());
    for (photo, matches) in targets.iter().zip(&matched.response.targets) {
        let height = layout.height(source.size(), photo.size());
        let left = scaled(source, height).map_err(|error| failed(&error))?;
        let right = scaled(photo, height).map_err(|error| failed(&error))?;
        let target = Size::new(matches.width, matches.height);
        let row = Row::new(left, right, matched.response.source, target);
        rows.push((row, matches));
    }
    let width = rows.iter().map(|(row, _)| row.width()).max().unwrap_or(1);
    let heights: u32 = rows.iter().map(|(row, _)| row.height() + GAP).sum();
    let height = heights.saturating_sub(GAP).max(1);
    let mut picture = Pixmap::new(width, height).ok_or_else(|| failed(&"it is too large"))?;
    picture.fill(Color::WHITE);
    let mut top = 0;
    for (row, matches) in &rows {
        let pairs: Vec<(Point, Point)> =
            matches.matches.iter().take(MOST_POINTS).map(|found| (found.source, found.target)).collect();
        row.draw(&mut picture.as_mut(), top, &pairs);
        top += row.height() + GAP;
    }
    picture.encode_png().map_err(|error| failed(&error))
}

/// The photo at this height; never wider than the picture, however flat it is.
fn scaled(photo: &Photo, height: u32) -> Result<Photo, homolog_core::Error> {
    let Size { width, height: old } = photo.size();
    let wide = u64::from(width) * u64::from(height) / u64::from(old);
    let wide = u32::try_from(wide).unwrap_or(WIDTH).clamp(1, WIDTH);
    resize(photo, Size::new(wide, height), Interpolation::Bilinear)
}

/// Two photos of one height, side by side.
struct Row {
    left: Photo,
    right: Photo,
    source: Size,
    target: Size,
}

impl Row {
    fn new(left: Photo, right: Photo, source: Size, target: Size) -> Row {
        Row { left, right, source, target }
    }

    fn width(&self) -> u32 {
        self.left.size().width + GAP + self.right.size().width
    }

    fn height(&self) -> u32 {
        self.left.size().height
    }

    fn draw(&self, picture: &mut PixmapMut<'_>, top: u32, pairs: &[(Point, Point)]) {
        let right = self.left.size().width + GAP;
        paste(picture, &self.left, 0, top);
        paste(picture, &self.right, right, top);
        let place = |point: Point, of: Size, shown: Size, x: u32| {
            let scale = |side: u32, of: u32| f64::from(side) / f64::from(of);
            let across = f64::from(x) + point.x * scale(shown.width, of.width);
            let down = f64::from(top) + point.y * scale(shown.height, of.height);
            (across as f32, down as f32)
        };
        let ends: Vec<_> = pairs
            .iter()
            .map(|&(source, target)| {
                let from = place(source, self.source, self.left.size(), 0);
                let to = place(target, self.target, self.right.size(), right);
                (from, to)
            })
            .collect();
        // all lines first, then all points, then all numbers: what is small is not hidden
        for (index, &(from, to)) in ends.iter().enumerate() {
            line(picture, from, to, colour(index));
        }
        for (index, &(from, to)) in ends.iter().enumerate() {
            dot(picture, from, colour(index));
            dot(picture, to, colour(index));
        }
        for (index, &(from, to)) in ends.iter().enumerate() {
            let room = (top, top + self.height());
            digits::label(picture, index + 1, from, (0, self.left.size().width), room);
            digits::label(picture, index + 1, to, (right, self.width()), room);
        }
    }
}

fn paste(picture: &mut PixmapMut<'_>, photo: &Photo, left: u32, top: u32) {
    let stride = picture.width() as usize * 4;
    let width = photo.size().width as usize;
    let rows = picture.data_mut().chunks_exact_mut(stride);
    let photo_rows = photo.rgb().chunks_exact(3 * width);
    for (row, pixels) in rows.skip(top as usize).zip(photo_rows) {
        let row = row.chunks_exact_mut(4).skip(left as usize);
        for (place, pixel) in row.zip(pixels.chunks_exact(3)) {
            place[..3].copy_from_slice(pixel);
        }
    }
}

fn colour(index: usize) -> Color {
    let (red, green, blue) = COLOURS[index % COLOURS.len()];
    Color::from_rgba8(red, green, blue, 255)
}

fn paint(colour: Color) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color(colour);
    paint
}

fn line(picture: &mut PixmapMut<'_>, from: (f32, f32), to: (f32, f32), colour: Color) {
    let mut path = PathBuilder::new();
    path.move_to(from.0, from.1);
    path.line_to(to.0, to.1);
    // a line of no length is no path, and nothing is lost without it
    let Some(path) = path.finish() else { return };
    let dark = Color::from_rgba8(0, 0, 0, 150);
    for (colour, width) in [(dark, 4.0), (colour, 2.0)] {
        stroke(picture, &path, colour, width);
    }
}

fn stroke(picture: &mut PixmapMut<'_>, path: &Path, colour: Color, width: f32) {
    let stroke = Stroke { width, line_cap: LineCap::Round, ..Stroke::default() };
    picture.stroke_path(path, &paint(colour), &stroke, Transform::identity(), None);
}

fn dot(picture: &mut PixmapMut<'_>, (x, y): (f32, f32), colour: Color) {
    for (colour, radius) in [(Color::BLACK, 8.0), (Color::WHITE, 7.0), (colour, 5.5)] {
        if let Some(circle) = PathBuilder::from_circle(x, y, radius) {
            let paint = paint(colour);
            picture.fill_path(&circle, &paint, FillRule::Winding, Transform::identity(), None);
        }
    }
}
