//! A miniature of each benchmark, from its files to PCK by hand.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::Path;

use homolog_core::geometry::Point;
use homolog_core::matching::Match;
use homolog_eval::Dataset;
use homolog_eval::pck::{Alphas, Average, Operator, Settings, Threshold};
use homolog_eval::readers::{Format, ReadOptions, Split, ap10k, read, spair71k};
use homolog_eval::report::Report;
use homolog_eval::result::PairResult;

fn put(folder: &Path, path: &str, content: impl AsRef<[u8]>) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn put_image(folder: &Path, path: &str, width: u32, height: u32) {
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(width, height).write_to(&mut png, image::ImageFormat::Png).unwrap();
    put(folder, path, png.into_inner());
}

fn open(folder: &Path, format: Format) -> Dataset {
    read(folder, &format, &ReadOptions::default()).unwrap()
}

/// Results of predictions that are off by these vectors, pair by pair.
fn results(dataset: &Dataset, off: &[&[(f64, f64)]]) -> Vec<PairResult> {
    assert_eq!(dataset.pairs.len(), off.len());
    let pairs = dataset.pairs.iter().zip(off);
    let result = pairs.map(|(pair, off)| {
        assert_eq!(pair.keypoints.len(), off.len());
        let matches = pair.keypoints.iter().zip(*off).map(|(keypoint, (dx, dy))| Match {
            point: Point::new(keypoint.target.x + dx, keypoint.target.y + dy),
            similarity: 0.9,
            confidence: 0.8,
            ratio: None,
            cycle_error: None,
            candidates: Vec::new(),
        });
        PairResult::new(dataset, pair, &matches.collect::<Vec<_>>())
    });
    result.collect()
}

/// Per-image and per-point PCK at this α.
fn pck(results: &[PairResult], threshold: Threshold, operator: Operator, alpha: f64) -> (f64, f64) {
    let settings = Settings { alphas: Alphas::try_from(vec![alpha]).unwrap(), operator, threshold, bootstrap: None };
    let report = Report::new(results, &settings).unwrap();
    let value = |average| report.overall.get(average, alpha).unwrap().value;
    (value(Average::PerImage), value(Average::PerPoint))
}

use Operator::{AtMost, Below};

#[test]
fn simple() {
    let folder = tempfile::tempdir().unwrap();
    put_image(folder.path(), "a.png", 400, 300);
    put_image(folder.path(), "b.png", 200, 150);
    let line = |rest: &str| format!("{{\"source\": \"a.png\", \"target\": \"b.png\", {rest}}}\n");
    let list = [
        // a box of 100 px; the source's, which must not matter, of 300; the last point is invisible in the source
        line(r#""source_box": [0, 0, 300, 10], "target_box": [10, 10, 110, 60], "source_keypoints": [[1, 1], [2, 2], null],
            "target_keypoints": [[20, 20], [50, 30], [199, 149]]"#.replace('\n', "").as_str()),
        // a box of 40 px
        line(r#""source_box": [0, 0, 1, 1], "target_box": [0, 0, 20, 40], "source_keypoints": [[1, 1]], "target_keypoints": [[5, 5]]"#),
        // without points
        line(r#""target_box": [0, 0, 20, 40], "source_keypoints": [], "target_keypoints": []"#),
        // a keypoint twice
        line(r#""target_box": [0, 0, 20, 40], "source_keypoints": [[1, 1], [1, 1]], "target_keypoints": [[5, 5], [9, 9]], "keypoint_ids": ["ear", "ear"]"#),
    ];
    put(folder.path(), "pairs.jsonl", list.concat());
    let dataset = open(folder.path(), Format::Simple { list: None });
    assert_eq!(
        (dataset.listed, dataset.left_out(), dataset.problems.len(), dataset.threshold),
        (4, 2, 2, Threshold::Box)
    );
    // 10 px: on the threshold of 0.10; 10.5 px; 15 px to the left, out of the image
    let results = results(&dataset, &[&[(10.0, 0.0), (0.0, 10.5)], &[(-15.0, 0.0)]]);
    assert_eq!(results[1].keypoints[0].prediction, Point::new(-10.0, 5.0));
    assert_eq!(pck(&results, Threshold::Box, AtMost, 0.10), (0.25, 1.0 / 3.0));
    assert_eq!(pck(&results, Threshold::Box, Below, 0.10), (0.0, 0.0));
    assert_eq!(pck(&results, Threshold::Box, AtMost, 0.15), (0.5, 2.0 / 3.0));
    assert_eq!(pck(&results, Threshold::Box, AtMost, 0.20), (0.5, 2.0 / 3.0));
    // by the image, 200 px: 10, 10.5 and 15 of 10, then of 30
    assert_eq!(pck(&results, Threshold::Image, AtMost, 0.05), (0.25, 1.0 / 3.0));
    assert_eq!(pck(&results, Threshold::Image, Below, 0.15), (1.0, 1.0));
}

#[test]
fn spair71k_takes_the_target_box_and_not_the_source_box() {
    let folder = tempfile::tempdir().unwrap();
    let name = |number: u32, source: &str, target: &str| format!("{number:06}-{source}-{target}:car");
    let mut list = String::new();
    for (number, source, target, boxes) in [
        (1, "a", "b", ("[0, 0, 400, 10]", "[10, 10, 110, 60]")),
        (2, "b", "a", ("[10, 10, 110, 60]", "[0, 0, 400, 10]")),
    ] {
        let name = name(number, source, target);
        put(
            folder.path(),
            &format!("PairAnnotation/val/{name}.json"),
            format!(
                r#"{{"pair_id": {number}, "filename": "{name}", "src_imname": "{source}.jpg", "trg_imname": "{target}.jpg",
            "src_imsize": [500, 375, 3], "trg_imsize": [500, 375, 3], "src_bndbox": {}, "trg_bndbox": {}, "category": "car",
            "src_pose": "Left", "trg_pose": "Left", "src_kps": [[1, 2], [3, 4], [5, 6]], "trg_kps": [[20, 20], [60, 20], [40, 50]],
            "kps_ids": ["0", "4", "14"], "mirror": 0, "viewpoint_variation": {}, "scale_variation": 0, "truncation": 0,
            "occlusion": 0}}"#,
                boxes.0,
                boxes.1,
                number - 1
            ),
        );
        list += &format!("{name}\n");
    }
    for image in ["a", "b"] {
        put_image(folder.path(), &format!("JPEGImages/car/{image}.jpg"), 500, 375);
        // the target shows both mirrors (0 and 1), one licence plate (4), and of the wheels 14 and 24
        put(
            folder.path(),
            &format!("ImageAnnotation/car/{image}.json"),
            format!(
                r#"{{"filename": "{image}.jpg", "image_width": 500, "image_height": 375, "category": "car", "pose": "Left",
            "truncated": 0, "occluded": 0, "difficult": 0, "bndbox": [0, 0, 1, 1], "azimuth_id": 0,
            "kps": {{"0": [20, 20], "1": [30, 20], "4": [60, 20], "8": null, "14": [40, 50], "24": [90, 50]}}}}"#
            ),
        );
    }
    put(folder.path(), "Layout/small/val.txt", list);
    let format = Format::Spair71k { layout: spair71k::Layout::Small, split: Split::Val };
    let dataset = open(folder.path(), format);
    assert!(dataset.problems.is_empty());
    // 10, 11 and 40 px off, of boxes of 100 and of 400 px
    let off: &[(f64, f64)] = &[(6.0, 8.0), (11.0, 0.0), (40.0, 0.0)];
    let results = results(&dataset, &[off, off]);
    assert_eq!(pck(&results, Threshold::Box, AtMost, 0.10), ((1.0 / 3.0 + 1.0) / 2.0, 4.0 / 6.0));
    assert_eq!(pck(&results, Threshold::Box, Below, 0.10), ((0.0 + 2.0 / 3.0) / 2.0, 2.0 / 6.0));
    let settings = Settings { bootstrap: None, ..Settings::default() };
    let report = Report::new(&results, &settings).unwrap();
    // the mirrors and the wheels are groups of which the target shows two; of the licence plates it shows one
    let aware: Vec<Option<bool>> = results[0].keypoints.iter().map(|keypoint| keypoint.geometry_aware).collect();
    assert_eq!(aware, [Some(true), Some(false), Some(true)]);
    let subset = report.geometry_aware.unwrap();
    assert_eq!((subset.points, subset.get(Average::PerPoint, 0.1).unwrap().value), (4, 3.0 / 4.0));
    // 0 and 14 have partners (1 and 24) in sight. The prediction of 14 lies 40 px off, on the way to the 50 px of its partner:
    // wrong by the box of 100 px, right by that of 400.
    let confusion = report.confusion.all;
    assert_eq!((confusion.points, confusion.wrong, confusion.confused), (4, 1, 1));
    assert_eq!(report.difficulty.iter().filter(|group| format!("{:?}", group.flag) == "Viewpoint").count(), 2);
}

#[test]
fn pf_willow_takes_the_extent_of_the_keypoints_or_of_the_image() {
    let folder = tempfile::tempdir().unwrap();
    put_image(folder.path(), "duck(S)/a.png", 30, 20);
    put_image(folder.path(), "duck(S)/b.png", 50, 60);
    let axes =
        ["XA", "YA", "XB", "YB"].map(|axis| (1..=10).map(|n| format!("{axis}{n}")).collect::<Vec<_>>().join(","));
    let row =
        (1..=4).map(|by| (1..=10).map(|n| (n * by).to_string()).collect::<Vec<_>>().join(",")).collect::<Vec<_>>();
    let list = format!(
        "imageA,imageB,{}\nPF-dataset/duck(S)/a.png,PF-dataset/duck(S)/b.png,{}\n",
        axes.join(","),
        row.join(",")
    );
    put(folder.path(), "test_pairs.csv", list);
    let dataset = open(folder.path(), Format::PfWillow { list: None });
    // the target's keypoints go from (3, 4) to (30, 40): an extent of 36 px
    let mut off = [(9.0, 0.0); 10];
    off[9] = (0.0, -19.0);
    let results = results(&dataset, &[&off]);
    assert_eq!(pck(&results, dataset.threshold, AtMost, 0.25), (0.9, 0.9));
    assert_eq!(pck(&results, dataset.threshold, Below, 0.25), (0.0, 0.0));
    assert_eq!(pck(&results, dataset.threshold, Below, 0.50), (0.9, 0.9));
    // the image's longer side is 60 px
    assert_eq!(pck(&results, Threshold::Image, Below, 0.25), (0.9, 0.9));
    assert_eq!(pck(&results, Threshold::Image, Below, 0.50), (1.0, 1.0));
}

#[test]
fn pf_pascal_takes_the_longer_side_of_the_target_image_and_counts_no_padding() {
    let folder = tempfile::tempdir().unwrap();
    put_image(folder.path(), "JPEGImages/a.jpg", 300, 20);
    put_image(folder.path(), "JPEGImages/b.jpg", 50, 60);
    let path = |image: &str| format!("PF-dataset-PASCAL/JPEGImages/{image}.jpg");
    let list = format!(
        "source_image,target_image,class,XA,YA,XB,YB\n{},{},18,1;2,4;5,7;27,10;12\n{},{},1,1;2;3,1;2;3,4;5;6,4;5;6\n",
        path("a"),
        path("b"),
        path("b"),
        path("a")
    );
    put(folder.path(), "test_pairs_pf_pascal.csv", list);
    let dataset = open(folder.path(), Format::PfPascal { list: None });
    assert_eq!(dataset.categories[0].name, "sofa");
    let results = results(&dataset, &[&[(6.0, 0.0), (0.0, 7.0)], &[(6.0, 0.0), (30.0, 0.0), (31.0, 0.0)]]);
    assert_eq!(pck(&results, dataset.threshold, AtMost, 0.10), ((0.5 + 2.0 / 3.0) / 2.0, 3.0 / 5.0));
    assert_eq!(pck(&results, dataset.threshold, Below, 0.10), ((0.0 + 1.0 / 3.0) / 2.0, 1.0 / 5.0));
    // lists of unequal length side by side: a padding of -1 would make these boxes larger
    assert_eq!((results[0].extents.keypoints, results[1].extents.keypoints), (Some(20.0), Some(2.0)));
}

#[test]
fn ap10k_takes_the_box_as_left_top_width_height() {
    let folder = tempfile::tempdir().unwrap();
    for (image, visible, bounds) in [("1", vec![0, 5, 16], "[0, 0, 5, 5]"), ("2", vec![0, 5, 8, 16], "[8, 9, 30, 41]")]
    {
        let places: Vec<String> =
            (0..17)
                .map(|index| {
                    if visible.contains(&index) {
                        format!("{}, {}, 2", 10 + index, 20 + index)
                    } else {
                        "0, 0, 0".into()
                    }
                })
                .collect();
        put(
            folder.path(),
            &format!("ImageAnnotation/Canidae/dog/{image}.json"),
            format!(r#"{{"width": 60, "height": 50, "bbox": {bounds}, "keypoints": [{}]}}"#, places.join(", ")),
        );
        put_image(folder.path(), &format!("JPEGImages/Canidae/dog/{image}.jpg"), 60, 50);
    }
    let path = |image: &str| format!("data/ap-10k/ImageAnnotation/Canidae/dog/{image}.json");
    put(
        folder.path(),
        "PairAnnotation/test/1-1-2:dog.json",
        format!(r#"{{"src_json_path": "{}", "trg_json_path": "{}"}}"#, path("1"), path("2")),
    );
    let dataset = open(folder.path(), Format::Ap10k { set: ap10k::Set::IntraSpecies, split: Split::Test });
    // half of 41 px, one on it, one beyond it
    let results = results(&dataset, &[&[(0.0, 0.0), (20.5, 0.0), (0.0, 21.0)]]);
    assert_eq!(pck(&results, dataset.threshold, AtMost, 0.5), (2.0 / 3.0, 2.0 / 3.0));
    assert_eq!(pck(&results, dataset.threshold, Below, 0.5), (1.0 / 3.0, 1.0 / 3.0));
    // of the shoulders (5 and 8) the target shows both; of the paws it shows one
    let aware: Vec<Option<bool>> = results[0].keypoints.iter().map(|keypoint| keypoint.geometry_aware).collect();
    assert_eq!(aware, [Some(false), Some(true), Some(false)]);
    assert_eq!(results[0].keypoints[1].partner, Some(Point::new(18.0, 28.0)));
}
