//! Numbers in the picture, white with a dark edge.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};
use tiny_skia::PixmapMut;

const WEIGHT: FontWeight = FontWeight::Bold;
const SIZE: RasterHeight = RasterHeight::Size20;
/// From a point to its number, px.
const AWAY: f32 = 8.0;
/// Width of the edge, px.
const EDGE: i64 = 2;

/// Writes `number` above and to the right of a point, moved so that it stays within `across` and `down` (px from, px to).
pub fn label(picture: &mut PixmapMut<'_>, number: usize, (x, y): (f32, f32), across: (u32, u32), down: (u32, u32)) {
    let text = number.to_string();
    let width = (get_raster_width(WEIGHT, SIZE) * text.len()) as i64;
    let height = SIZE.val() as i64;
    let left = within((x + AWAY) as i64, width, across);
    let top = within((y - AWAY) as i64 - height, height, down);
    // the edge of the whole number first, lest it cover the digit before
    for edge in [true, false] {
        let mut at = left;
        for digit in text.chars() {
            at += write(picture, digit, at, top, edge);
        }
    }
}

/// The start of a stretch of `length` that begins near `start` and, where it has room, lies within `bounds`.
fn within(start: i64, length: i64, (from, to): (u32, u32)) -> i64 {
    start.min(i64::from(to) - length - EDGE).max(i64::from(from) + EDGE)
}

/// Returns the digit's width.
fn write(picture: &mut PixmapMut<'_>, digit: char, left: i64, top: i64, edge: bool) -> i64 {
    let Some(raster) = get_raster(digit, WEIGHT, SIZE) else {
        return 0;
    };
    for (y, row) in (top..).zip(raster.rows()) {
        for (x, &ink) in (left..).zip(row) {
            if ink == 0 {
                continue;
            }
            if !edge {
                blend(picture, x, y, 255, ink);
                continue;
            }
            for (dx, dy) in (-EDGE..=EDGE).flat_map(|dx| (-EDGE..=EDGE).map(move |dy| (dx, dy))) {
                blend(picture, x + dx, y + dy, 0, ink);
            }
        }
    }
    raster.width() as i64
}

/// Mixes grey into a pixel of an opaque picture; beside the picture, nothing.
fn blend(picture: &mut PixmapMut<'_>, x: i64, y: i64, grey: u8, ink: u8) {
    let (width, height) = (i64::from(picture.width()), i64::from(picture.height()));
    if !(0..width).contains(&x) || !(0..height).contains(&y) {
        return;
    }
    let at = ((y * width + x) * 4) as usize;
    for channel in &mut picture.data_mut()[at..at + 3] {
        let mixed = u32::from(*channel) * u32::from(255 - ink) + u32::from(grey) * u32::from(ink);
        *channel = (mixed / 255) as u8;
    }
}
