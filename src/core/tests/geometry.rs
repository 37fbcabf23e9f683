#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use homolog_core::Error;
use homolog_core::geometry::{CellMap, Fit, FitMode, Grid, Point, Size, check_points};
use proptest::prelude::*;

const MODES: [FitMode; 4] = [FitMode::Squash, FitMode::Letterbox, FitMode::Pad, FitMode::Aspect];

fn fit(mode: FitMode, width: u32, height: u32, resolution: u32, patch: u32) -> Fit {
    Fit::new(mode, Size::new(width, height), resolution, patch).unwrap()
}

proptest! {
    #[test]
    fn every_fit_has_an_exact_inverse(
        mode in prop::sample::select(&MODES[..]),
        (width, height) in (1u32..8000, 1u32..8000),
        (patch, patches) in (prop::sample::select(&[14u32, 16][..]), 1u32..80),
        (u, v) in (-0.1f64..1.1, -0.1f64..1.1),
    ) {
        let fit = fit(mode, width, height, patch * patches, patch);
        let point = Point::new(u * f64::from(width), v * f64::from(height));
        prop_assert!(fit.to_image(fit.to_input(point)).distance(point) <= 1e-3);
        prop_assert!(fit.from_token(fit.to_token(point)).distance(point) <= 1e-3);
    }

    #[test]
    fn content_lies_on_a_canvas_of_whole_patches(
        mode in prop::sample::select(&MODES[..]),
        (width, height) in (1u32..8000, 1u32..8000),
        (patch, patches) in (prop::sample::select(&[14u32, 16][..]), 1u32..80),
    ) {
        let fit = fit(mode, width, height, patch * patches, patch);
        let (input, content, (left, top)) = (fit.input(), fit.content(), fit.offset());
        prop_assert!(input.width.is_multiple_of(patch) && input.height.is_multiple_of(patch));
        prop_assert!(content.width >= 1 && left + content.width <= input.width);
        prop_assert!(content.height >= 1 && top + content.height <= input.height);
        prop_assert_eq!(content.width.max(content.height), patch * patches);
        // the image's corners are the content's corners
        prop_assert_eq!(fit.to_input(Point::new(0.0, 0.0)), Point::new(f64::from(left), f64::from(top)));
        let (rows, columns) = fit.content_tokens();
        prop_assert!(rows.start < rows.end && rows.end <= fit.grid().height);
        prop_assert!(columns.start < columns.end && columns.end <= fit.grid().width);
        if !matches!(mode, FitMode::Letterbox | FitMode::Pad) {
            prop_assert_eq!((rows, columns), (0..fit.grid().height, 0..fit.grid().width));
        }
    }

    #[test]
    fn the_map_of_the_cells_is_the_way_back_from_their_centres(
        mode in prop::sample::select(&MODES[..]),
        (width, height) in (1u32..8000, 1u32..8000),
        (patch, patches) in (prop::sample::select(&[14u32, 16][..]), 1u32..80),
        (u, v) in (0.0f64..1.0, 0.0f64..1.0),
    ) {
        let fit = fit(mode, width, height, patch * patches, patch);
        let grid = fit.grid();
        let (i, j) = ((v * grid.height as f64) as usize, (u * grid.width as f64) as usize);
        let expected = fit.from_token(Point::new(j as f64 + 0.5, i as f64 + 0.5));
        let far = f64::from(width.max(height));
        prop_assert!(fit.cell_map().centre(i, j).distance(expected) <= 1e-12 * far * f64::from(patches));
    }

    #[test]
    fn tokens_that_see_the_image_have_their_centre_in_it(
        mode in prop::sample::select(&[FitMode::Letterbox, FitMode::Pad][..]),
        (width, height) in (1u32..4000, 1u32..4000),
        patches in 1u32..60,
    ) {
        let fit = fit(mode, width, height, patches * 14, 14);
        let (rows, columns) = fit.content_tokens();
        let inside = |start: u32, length: u32, token: usize| {
            let centre = (token as f64 + 0.5) * 14.0;
            f64::from(start) <= centre && centre <= f64::from(start + length)
        };
        let (content, (left, top)) = (fit.content(), fit.offset());
        let by_hand = |start, length| (0..patches as usize).filter(|&t| inside(start, length, t)).collect::<Vec<_>>();
        let expected = by_hand(top, content.height);
        prop_assert!(expected.is_empty() && rows.len() == 1 || expected == rows.collect::<Vec<_>>());
        let expected = by_hand(left, content.width);
        prop_assert!(expected.is_empty() && columns.len() == 1 || expected == columns.collect::<Vec<_>>());
    }

    #[test]
    fn pad_is_a_letterbox_moved_to_the_corner(
        (width, height) in (1u32..8000, 1u32..8000),
        patches in 1u32..80,
        (u, v) in (-0.1f64..1.1, -0.1f64..1.1),
    ) {
        let [centred, corner] = [FitMode::Letterbox, FitMode::Pad].map(|mode| fit(mode, width, height, patches * 16, 16));
        prop_assert_eq!((corner.input(), corner.content()), (centred.input(), centred.content()));
        prop_assert_eq!(corner.offset(), (0, 0));
        let point = Point::new(u * f64::from(width), v * f64::from(height));
        let (left, top) = centred.offset();
        let moved = centred.to_input(point);
        let moved = Point::new(moved.x - f64::from(left), moved.y - f64::from(top));
        prop_assert!(corner.to_input(point).distance(moved) <= 1e-9 * f64::from(patches * 16));
        // the tokens that see the image begin at the corner
        let (rows, columns) = corner.content_tokens();
        prop_assert_eq!((rows.start, columns.start), (0, 0));
    }
}

#[test]
fn pad_scales_the_long_side_as_sam_does() {
    // ResizeLongestSide.get_preprocess_shape: int(480 · 1024/640 + 0.5) = 768; 333 · 1024/1000 = 340.99 → 341
    let padded = fit(FitMode::Pad, 640, 480, 1024, 16);
    assert_eq!(
        (padded.input(), padded.content(), padded.offset()),
        (Size::new(1024, 1024), Size::new(1024, 768), (0, 0))
    );
    assert_eq!(padded.content_tokens(), (0..48, 0..64));
    assert_eq!(padded.to_token(Point::new(640.0, 480.0)), Point::new(64.0, 48.0));
    let padded = fit(FitMode::Pad, 333, 1000, 1024, 16);
    // column 20 has its centre at 328, column 21 at 344
    assert_eq!((padded.content(), padded.content_tokens()), (Size::new(341, 1024), (0..64, 0..21)));
}

#[test]
fn squash_gives_up_the_aspect_ratio() {
    let fit = fit(FitMode::Squash, 640, 480, 224, 14);
    assert_eq!((fit.input(), fit.content(), fit.offset()), (Size::new(224, 224), Size::new(224, 224), (0, 0)));
    assert_eq!(fit.grid(), Grid::new(16, 16));
    // 320 · 224/640 = 112, 120 · 224/480 = 56; 112/14 = 8, 56/14 = 4
    assert_eq!(fit.to_input(Point::new(320.0, 120.0)), Point::new(112.0, 56.0));
    assert_eq!(fit.to_token(Point::new(320.0, 120.0)), Point::new(8.0, 4.0));
    // the centre of token (0, 0) is 7 px into the canvas: 7 · 640/224 = 20, 7 · 480/224 = 15
    assert_eq!(fit.from_token(Point::new(0.5, 0.5)), Point::new(20.0, 15.0));
    // a token is 14 px of the canvas: 14 · 640/224 = 40, 14 · 480/224 = 30
    assert_eq!(fit.cell_map(), CellMap { ax: 40.0, bx: 20.0, ay: 30.0, by: 15.0 });
}

#[test]
fn cells_of_padding_lie_beyond_the_edges_of_the_image() {
    // 320 · 224/640 = 112, (224 − 112)/2 = 56 above: four rows of padding, eight of image, four of padding
    let fit = fit(FitMode::Letterbox, 640, 320, 224, 14);
    let map = fit.cell_map();
    // (7 − 56) · 640/224 = −140
    assert_eq!(map, CellMap { ax: 40.0, bx: 20.0, ay: 40.0, by: -140.0 });
    let (rows, columns) = fit.content_tokens();
    assert_eq!((rows.clone(), columns), (4..12, 0..16));
    let inside = |i: &usize| (0.0..=320.0).contains(&map.centre(*i, 0).y);
    assert_eq!((0..16).filter(inside).collect::<Vec<_>>(), rows.collect::<Vec<_>>());
}

#[test]
fn letterbox_centres_the_picture() {
    // 480 · 518/640 = 388.5, halves up: 389; (518 − 389)/2 = 64 above, 65 below
    let fit = fit(FitMode::Letterbox, 640, 480, 518, 14);
    assert_eq!((fit.input(), fit.content(), fit.offset()), (Size::new(518, 518), Size::new(518, 389), (0, 64)));
    assert_eq!(fit.grid(), Grid::new(37, 37));
    assert_eq!(fit.to_input(Point::new(640.0, 480.0)), Point::new(518.0, 453.0));
    // row 4 has its centre at 63, above the content; row 5 at 77. Row 31: 441; row 32: 455, below 453
    assert_eq!(fit.content_tokens(), (5..32, 0..37));
    // the same, lying on its side
    let fit = Fit::new(FitMode::Letterbox, Size::new(480, 640), 518, 14).unwrap();
    assert_eq!((fit.content(), fit.offset(), fit.content_tokens()), (Size::new(389, 518), (64, 0), (0..37, 5..32)));
}

#[test]
fn aspect_rounds_both_sides_to_patches() {
    // 480 · 518/640 = 388.5; 388.5/14 = 27.75 → 28 patches
    let fit = fit(FitMode::Aspect, 640, 480, 518, 14);
    assert_eq!((fit.input(), fit.content(), fit.offset()), (Size::new(518, 392), Size::new(518, 392), (0, 0)));
    assert_eq!(fit.grid(), Grid::new(28, 37));
}

#[test]
fn a_hair_of_an_image_keeps_a_pixel_or_a_patch() {
    assert_eq!(fit(FitMode::Letterbox, 8000, 1, 518, 14).content(), Size::new(518, 1));
    assert_eq!(fit(FitMode::Letterbox, 8000, 1, 518, 14).content_tokens(), (18..19, 0..37));
    assert_eq!(fit(FitMode::Aspect, 1, 8000, 512, 16).content(), Size::new(16, 512));
}

#[test]
fn the_greatest_numbers_do_not_overflow() {
    let side = u32::MAX / 14 * 14;
    for mode in MODES {
        let fit = fit(mode, u32::MAX, u32::MAX - 1, side, 14);
        assert_eq!(fit.input(), Size::new(side, side));
    }
}

#[test]
fn senseless_fits_are_refused() {
    let size = Size::new(4, 3);
    for (size, resolution, patch) in
        [(Size::new(0, 3), 28, 14), (Size::new(4, 0), 28, 14), (size, 0, 14), (size, 28, 0)]
    {
        assert!(matches!(Fit::new(FitMode::Squash, size, resolution, patch), Err(Error::FitZero { .. })));
    }
    let error = Fit::new(FitMode::Squash, size, 500, 14).unwrap_err();
    assert_eq!(error.to_string(), "resolution 500 is not a multiple of the patch size 14");
}

#[test]
fn fit_modes_are_written_as_they_are_read() {
    for mode in MODES {
        assert_eq!(mode.to_string().parse::<FitMode>().unwrap(), mode);
        assert_eq!(serde_json::to_string(&mode).unwrap(), format!("\"{mode}\""));
    }
    assert!("crop".parse::<FitMode>().unwrap_err().to_string().contains("squash, letterbox, pad, aspect"));
}

#[test]
fn a_point_is_a_pair_in_json() {
    assert_eq!(serde_json::to_string(&Point::new(1.5, -2.0)).unwrap(), "[1.5,-2.0]");
    assert_eq!(serde_json::from_str::<Point>("[3, 4.25]").unwrap(), Point::new(3.0, 4.25));
    assert!(serde_json::from_str::<Point>("[3]").is_err());
    assert!(serde_json::from_str::<Point>("[3, 4, 5]").is_err());
}

#[test]
fn keypoints_may_lie_on_the_edge_and_not_beyond() {
    let image = Size::new(640, 480);
    let corners = [(0.0, 0.0), (640.0, 480.0), (0.0, 480.0), (320.5, 1.0)].map(|(x, y)| Point::new(x, y));
    check_points(&corners, image).unwrap();
    check_points(&[], image).unwrap();
    let error = check_points(&[corners[0], Point::new(640.25, 10.0)], image).unwrap_err();
    assert_eq!(error.to_string(), "keypoint 1 (640.25, 10) lies outside the source image of 640×480 pixels");
    for (x, y) in [(-0.001, 5.0), (5.0, -1.0), (5.0, 480.1)] {
        assert!(matches!(check_points(&[Point::new(x, y)], image), Err(Error::KeypointOutside { index: 0, .. })));
    }
    for (x, y) in [(f64::NAN, 5.0), (5.0, f64::INFINITY)] {
        assert!(matches!(check_points(&[Point::new(x, y)], image), Err(Error::KeypointNotFinite { index: 0 })));
    }
}
