//! The picture of an answer.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use homolog::pipeline::{Matched, Timings};
use homolog::render::{Layout, overlay, thumbnail};
use homolog::response::{MatchResponse, PointMatch, TargetMatches};
use homolog_core::features::Sampling;
use homolog_core::geometry::{Point, Size};
use homolog_core::image::{DecodeLimits, Photo};
use homolog_core::matching::Matcher;

fn grey(width: u32, height: u32) -> Photo {
    let size = Size::new(width, height);
    Photo::from_rgb(size, vec![128; 3 * size.pixels() as usize]).unwrap()
}

/// The picture of `points` that lie in each target where they lie in the source, in parts of width and height.
fn picture(source: (u32, u32), targets: &[(u32, u32)], points: &[(f64, f64)]) -> Photo {
    let layout = Layout::new(targets.len());
    let shown = |(width, height): (u32, u32)| thumbnail(&grey(width, height), &layout).unwrap();
    let place =
        |(x, y): (f64, f64), (width, height): (u32, u32)| Point::new(x * f64::from(width), y * f64::from(height));
    let matches = |target: (u32, u32)| TargetMatches {
        width: target.0,
        height: target.1,
        matches: points
            .iter()
            .map(|&point| PointMatch {
                source: place(point, source),
                target: place(point, target),
                similarity: 1.0,
                confidence: 1.0,
                ratio: None,
                cycle_error: None,
                candidates: vec![],
            })
            .collect(),
    };
    let matched = Matched {
        response: MatchResponse {
            model: "test".into(),
            resolution: 224,
            matcher: Matcher::default(),
            sampling: Sampling::Bilinear,
            source: Size::new(source.0, source.1),
            targets: targets.iter().copied().map(matches).collect(),
        },
        thumbnails: [source].iter().chain(targets).copied().map(shown).collect(),
        timings: Timings::default(),
    };
    Photo::decode(&overlay(&matched).unwrap(), &DecodeLimits::default()).unwrap()
}

fn pixel(photo: &Photo, x: u32, y: u32) -> [u8; 3] {
    let at = (y * photo.size().width + x) as usize * 3;
    photo.rgb()[at..at + 3].try_into().unwrap()
}

#[test]
fn a_point_is_drawn_in_both_photos_where_it_lies() {
    let photo = picture((400, 400), &[(800, 800)], &[(0.5, 0.5), (0.25, 0.75)]);
    // two squares of one height, side by side
    assert_eq!(photo.size(), Size::new(1200, 596));
    for (x, y, colour) in [
        (298, 298, [0xE6, 0x9F, 0x00]),
        (604 + 298, 298, [0xE6, 0x9F, 0x00]),
        (149, 447, [0x56, 0xB4, 0xE9]),
        (604 + 149, 447, [0x56, 0xB4, 0xE9]),
    ] {
        assert_eq!(pixel(&photo, x, y), colour, "{x}, {y}");
    }
    assert_eq!(pixel(&photo, 20, 20), [128; 3]);
    assert_eq!(pixel(&photo, 600, 20), [255; 3]);
}

#[test]
fn each_target_has_a_row() {
    let photo = picture((400, 400), &[(400, 400), (200, 400)], &[(0.5, 0.5)]);
    assert_eq!(photo.size(), Size::new(1200, 596 + 8 + 640));
}

#[test]
fn no_shape_and_no_number_of_photos_is_too_much() {
    let corners = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)];
    for (source, targets) in [
        ((1, 1), vec![(1, 1)]),
        ((4000, 1), vec![(1, 4000)]),
        ((1, 4000), vec![(4000, 1), (30, 20)]),
        ((60, 40), vec![(40, 60); 100]),
    ] {
        let size = picture(source, &targets, &corners).size();
        assert!(size.width <= 2500 && size.height <= 13_700, "{size:?}");
    }
}
