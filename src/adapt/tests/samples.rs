//! What training knows of a dataset's images.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "common/made.rs"]
mod made;

use std::collections::BTreeMap;

use homolog_adapt::Error;
use homolog_adapt::data::{Samples, View};
use homolog_core::geometry::{FitMode, Point};
use homolog_eval::Dataset;
use homolog_eval::symmetry::Symmetry;
use made::{also_visible, dataset, image, pair};

fn squashed(dataset: &Dataset) -> Samples {
    // 200 × 100 px on 8 × 8 tokens: 25 and 12.5 px a token
    Samples::new(dataset, FitMode::Squash, 80, 10).unwrap()
}

fn shown(samples: &Samples, image: usize, flipped: bool) -> BTreeMap<String, (f64, f64)> {
    let shown = samples.shown(0, View { image, flipped });
    shown.into_iter().map(|(id, Point { x, y })| (id.to_owned(), (x, y))).collect()
}

/// An id of the category whose part has the partner that is returned with it, and one in the middle.
fn sides(category: &str) -> (String, String, String) {
    let known = Symmetry::spair71k().unwrap()[category].clone();
    let ids: Vec<String> = (0..known.names().len()).map(|id| id.to_string()).collect();
    let side = ids.iter().find(|id| known.partner(id).is_some()).unwrap();
    let middle = ids.iter().find(|id| known.name(id).is_some() && known.partner(id).is_none()).unwrap();
    (side.clone(), known.partner(side).unwrap().to_owned(), middle.clone())
}

#[test]
fn an_image_shows_what_any_pair_says_of_it() {
    let mut dataset = dataset(&["thing"]);
    let [a, b, c] = [(); 3].map(|()| image(&mut dataset));
    pair(&mut dataset, 0, a, b, &[("1", [25.0, 25.0], [50.0, 50.0])]);
    also_visible(&mut dataset, &[("1", [50.0, 50.0]), ("7", [75.0, 12.5])]);
    pair(&mut dataset, 0, b, c, &[("2", [100.0, 50.0], [0.0, 0.0])]);
    let samples = squashed(&dataset);
    let expected = [("1", (2.0, 4.0)), ("2", (4.0, 4.0)), ("7", (3.0, 1.0))];
    assert_eq!(shown(&samples, b, false), expected.map(|(id, place)| (id.to_owned(), place)).into());
    assert_eq!(shown(&samples, a, false), [("1".to_owned(), (1.0, 2.0))].into());
}

#[test]
fn in_the_mirror_a_left_part_is_its_right_partner_at_width_minus_x() {
    let (left, right, middle) = sides("cat");
    let mut dataset = dataset(&["cat"]);
    let (a, b) = (image(&mut dataset), image(&mut dataset));
    let points = [(left.as_str(), [50.0, 25.0], [0.0, 0.0]), (middle.as_str(), [100.0, 50.0], [0.0, 0.0])];
    pair(&mut dataset, 0, a, b, &points);
    let samples = squashed(&dataset);
    assert_eq!(shown(&samples, a, true), [(right, (6.0, 2.0)), (middle, (4.0, 4.0))].into());
}

#[test]
fn flipped_twice_is_the_identity() {
    let (left, right, middle) = sides("cat");
    let points = [(left.as_str(), [51.0, 25.0]), (right.as_str(), [74.0, 30.0]), (middle.as_str(), [60.3, 50.0])];
    let mut once = dataset(&["cat"]);
    let (a, b) = (image(&mut once), image(&mut once));
    pair(&mut once, 0, a, b, &points.map(|(id, point)| (id, point, point)));
    let samples = squashed(&once);
    // the mirror image as a dataset of its own
    let mut twice = dataset(&["cat"]);
    let (a, b) = (image(&mut twice), image(&mut twice));
    let mirrored = shown(&samples, 0, true);
    let mirrored: Vec<(&str, [f64; 2], [f64; 2])> =
        mirrored.iter().map(|(id, (x, y))| (id.as_str(), [x * 25.0, y * 12.5], [x * 25.0, y * 12.5])).collect();
    pair(&mut twice, 0, a, b, &mirrored);
    let (before, after) = (shown(&samples, 0, false), shown(&squashed(&twice), 0, true));
    assert!(before.keys().eq(after.keys()));
    for ((x, y), (other_x, other_y)) in before.values().zip(after.values()) {
        assert!((x - other_x).abs() < 1e-9 && (y - other_y).abs() < 1e-9);
    }
}

#[test]
fn a_category_whose_left_and_right_are_not_known_has_no_mirror_images() {
    let mut dataset = dataset(&["thing", "cat"]);
    for category in 0..2 {
        let (a, b) = (image(&mut dataset), image(&mut dataset));
        pair(&mut dataset, category, a, b, &[("0", [1.0, 1.0], [1.0, 1.0])]);
    }
    image(&mut dataset); // in no pair
    let views =
        |flips| squashed(&dataset).views(flips).iter().map(|view| (view.image, view.flipped)).collect::<Vec<_>>();
    assert_eq!(views(false), [(0, false), (1, false), (2, false), (3, false)]);
    assert_eq!(views(true), [(0, false), (1, false), (2, false), (2, true), (3, false), (3, true)]);
}

#[test]
fn a_point_beyond_the_image_is_dropped_and_a_pair_of_nothing_else_with_it() {
    let mut dataset = dataset(&["thing"]);
    let [a, b, c] = [(); 3].map(|()| image(&mut dataset));
    pair(&mut dataset, 0, a, b, &[("1", [200.0, 100.0], [10.0, 10.0]), ("2", [10.0, 10.0], [20.0, -0.5])]);
    pair(&mut dataset, 0, b, c, &[("2", [20.0, -0.5], [20.0, 20.0])]);
    for fit in [FitMode::Squash, FitMode::Letterbox, FitMode::Pad] {
        let samples = Samples::new(&dataset, fit, 80, 10).unwrap();
        assert_eq!((samples.outside(), samples.without_points(), samples.pairs()), (1, 1, 1), "{fit}");
    }
}

#[test]
fn a_letterbox_puts_the_mirrored_point_where_the_mirrored_picture_shows_it() {
    let (left, right, _) = sides("cat");
    let mut dataset = dataset(&["cat"]);
    let (a, b) = (image(&mut dataset), image(&mut dataset));
    pair(&mut dataset, 0, a, b, &[(left.as_str(), [50.0, 25.0], [0.0, 0.0])]);
    let samples = Samples::new(&dataset, FitMode::Letterbox, 80, 10).unwrap();
    // 25 px a token both ways, two rows of filling above
    assert_eq!(shown(&samples, a, false), [(left, (2.0, 3.0))].into());
    assert_eq!(shown(&samples, a, true), [(right, (6.0, 3.0))].into());
}

#[test]
fn annotations_more_than_a_pixel_apart_are_an_error_that_names_the_image() {
    let mut dataset = dataset(&["thing"]);
    let [a, b, c] = [(); 3].map(|()| image(&mut dataset));
    pair(&mut dataset, 0, a, b, &[("1", [10.0, 10.0], [30.0, 30.0])]);
    pair(&mut dataset, 0, a, c, &[("1", [10.9, 10.0], [30.0, 30.0])]);
    assert!(Samples::new(&dataset, FitMode::Squash, 80, 10).is_ok());
    pair(&mut dataset, 0, c, a, &[("1", [30.0, 30.0], [10.0, 11.5])]);
    let error = Samples::new(&dataset, FitMode::Squash, 80, 10).unwrap_err();
    assert!(matches!(&error, Error::Annotations { image, .. } if image.ends_with("0.png")), "{error}");
    assert!(error.to_string().contains("keypoint 1 at (10, 10) and another at (10, 11.5)"), "{error}");
}

#[test]
fn a_fit_that_gives_images_grids_of_their_own_is_a_wrong_setting() {
    let mut dataset = dataset(&["thing"]);
    let (a, b) = (image(&mut dataset), image(&mut dataset));
    pair(&mut dataset, 0, a, b, &[("1", [10.0, 10.0], [30.0, 30.0])]);
    let error = Samples::new(&dataset, FitMode::Aspect, 80, 10).unwrap_err();
    assert!(matches!(error, Error::Setting { field: "fit", .. }));
    let error = Samples::new(&dataset, FitMode::Squash, 85, 10).unwrap_err();
    assert!(matches!(error, Error::Setting { field: "resolution", .. }));
}
