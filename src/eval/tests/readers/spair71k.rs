use homolog_core::geometry::Size;
use homolog_eval::Error;
use homolog_eval::dataset::{Bounds, Difficulty, ProblemKind};
use homolog_eval::pck::Threshold;
use homolog_eval::readers::spair71k::{ImageAnnotation, Layout, PairAnnotation, read};
use homolog_eval::readers::{ReadOptions, Split};
use std::fs;
use std::path::Path;

use super::{keypoints, problems, put, put_image, shared, strict};

fn pair(name: &str, kps: &str) -> String {
    let stem = name.split_once(':').unwrap().0;
    let images: Vec<&str> = stem.split('-').collect();
    format!(
        r#"{{"pair_id": 1, "filename": "{name}", "src_imname": "{}.jpg", "trg_imname": "{}.jpg", "src_imsize": [40, 30, 3],
        "trg_imsize": [20, 30, 3], "src_bndbox": [1, 2, 39, 28], "trg_bndbox": [2, 3, 12, 28], "category": "cat", {kps},
        "src_pose": "Left", "trg_pose": "Right", "mirror": 0, "viewpoint_variation": 2, "scale_variation": 1,
        "truncation": 3, "occlusion": 0}}"#,
        images[1], images[2]
    )
}

fn image(name: &str, width: u32, kps: &str) -> String {
    format!(
        r#"{{"filename": "{name}.jpg", "image_width": {width}, "image_height": 30, "image_depth": 3, "category": "cat",
        "pose": "Left", "truncated": 0, "occluded": 0, "difficult": 0, "bndbox": [1, 2, 39, 28], "kps": {kps}, "azimuth_id": 3}}"#
    )
}

const GOOD: &str = r#""src_kps": [[3, 4], [10, 11.5]], "trg_kps": [[5, 6], [7, 8]], "kps_ids": ["2", "9"]"#;

fn tree(pairs: &[(&str, String)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    put_image(folder.path(), "JPEGImages/cat/a.jpg", 40, 30);
    put_image(folder.path(), "JPEGImages/cat/b.jpg", 20, 30);
    put(folder.path(), "ImageAnnotation/cat/a.json", image("a", 40, r#"{"2": [3, 4], "9": [10, 11.5], "10": null}"#));
    put(
        folder.path(),
        "ImageAnnotation/cat/b.json",
        image("b", 20, r#"{"10": [1, 1], "9": [7, 8], "2": [5, 6], "3": null}"#),
    );
    let names: String = pairs.iter().map(|(name, _)| format!("{name}\n")).collect();
    put(folder.path(), "Layout/large/test.txt", names);
    for (name, text) in pairs {
        if !text.is_empty() {
            put(folder.path(), &format!("PairAnnotation/test/{name}.json"), text);
        }
    }
    folder
}

fn large(folder: &Path, options: &ReadOptions) -> Result<homolog_eval::Dataset, Error> {
    read(folder, Layout::Large, Split::Test, options)
}

#[test]
fn a_pair_is_read_in_full() {
    let folder = tree(&[("000001-a-b:cat", pair("000001-a-b:cat", GOOD))]);
    let dataset = large(folder.path(), &strict()).unwrap();
    assert_eq!((dataset.listed, dataset.left_out(), dataset.threshold), (1, 0, Threshold::Box));
    assert_eq!(
        dataset.images.iter().map(|image| image.size).collect::<Vec<_>>(),
        [Size::new(40, 30), Size::new(20, 30)]
    );
    let pair = &dataset.pairs[0];
    assert_eq!((pair.id.as_str(), pair.source, pair.target), ("000001-a-b:cat", 0, 1));
    assert_eq!(keypoints(pair), [("2", (3.0, 4.0), (5.0, 6.0)), ("9", (10.0, 11.5), (7.0, 8.0))]);
    assert_eq!(pair.source_box, Some(Bounds { x: 1.0, y: 2.0, width: 38.0, height: 26.0 }));
    assert_eq!(pair.target_box, Some(Bounds { x: 2.0, y: 3.0, width: 10.0, height: 25.0 }));
    let difficulty = Difficulty { viewpoint: Some(2), scale: Some(1), truncation: Some(3), occlusion: Some(0) };
    assert_eq!(pair.difficulty, difficulty);
    let visible: Vec<&str> = pair.target_visible.as_deref().unwrap().iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(visible, ["2", "9", "10"], "in the order of the numbers");
    assert!(dataset.categories[0].symmetry.is_some());
}

#[test]
fn what_is_wrong_with_a_pair_is_counted_and_named_and_the_others_are_read() {
    let name = |number: u32| format!("{number:06}-a-b:cat");
    let of = |kps: &str| pair("000001-a-b:cat", kps);
    let folder = tree(&[
        (&name(1), of(GOOD)),
        (&name(2), of(r#""src_kps": [[3, 4]], "trg_kps": [[5, "x"]], "kps_ids": ["2"]"#)),
        (&name(3), of(r#""src_kps": [[3, 4]], "trg_kps": [], "kps_ids": ["2"]"#)),
        (&name(4), of(r#""src_kps": [], "trg_kps": [], "kps_ids": []"#)),
        (&name(5), of(r#""src_kps": [[3, 4], [4, 4]], "trg_kps": [[5, 6], [6, 6]], "kps_ids": ["2", "2"]"#)),
        (&name(6), of(GOOD).replace("[2, 3, 12, 28]", "[2, 3, 2, 3]")),
        (&name(7), of(GOOD).replace("b.jpg", "gone.jpg")),
        (&name(8), String::new()),
        (&name(9), "{\"pair_id\": 9,".to_owned()),
        (&name(1), of(GOOD)),
        (&name(10), of(GOOD).replace("\"viewpoint_variation\": 2", "\"viewpoint_variation\": 3")),
    ]);
    let dataset = large(folder.path(), &ReadOptions::default()).unwrap();
    assert_eq!((dataset.listed, dataset.pairs.len(), dataset.left_out()), (11, 1, 10));
    assert_eq!(
        problems(&dataset),
        [
            (ProblemKind::MissingAnnotation, None, false),
            (ProblemKind::Malformed, Some("trg_kps[0][1]"), true),
            (ProblemKind::Malformed, Some("kps_ids"), true),
            (ProblemKind::NoCommonKeypoints, None, true),
            (ProblemKind::DuplicateKeypoint, None, true),
            (ProblemKind::Malformed, Some("trg_bndbox"), true),
            (ProblemKind::MissingImage, None, true),
            (ProblemKind::MissingAnnotation, None, true),
            (ProblemKind::Malformed, None, true),
            (ProblemKind::DuplicatePair, None, true),
            (ProblemKind::Malformed, Some("viewpoint_variation"), true),
        ]
    );
    assert!(dataset.problems[1].file.ends_with("PairAnnotation/test/000002-a-b:cat.json"));
    match large(folder.path(), &strict()) {
        Err(Error::Strict { count: 11, first }) => assert_eq!(first.kind, ProblemKind::MissingAnnotation),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_tree_without_colons_is_called_so() {
    for other in ["_", "\u{f03a}", ""] {
        let folder = tree(&[("000001-a-b:cat", pair("000001-a-b:cat", GOOD))]);
        let pairs = folder.path().join("PairAnnotation/test");
        fs::rename(pairs.join("000001-a-b:cat.json"), pairs.join(format!("000001-a-b{other}cat.json"))).unwrap();
        match large(folder.path(), &ReadOptions::default()) {
            Err(Error::ColonReplaced { found, .. }) => assert_eq!(found, other),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn nothing_to_evaluate_is_an_error_that_names_the_first_problem() {
    let folder = tree(&[("000001-a-b:cat", "[]".to_owned())]);
    match large(folder.path(), &ReadOptions::default()) {
        Err(error @ Error::Empty { problems: 1, .. }) => {
            assert!(error.to_string().contains("000001-a-b:cat.json"), "{error}")
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(large(&folder.path().join("nowhere"), &strict()), Err(Error::Io { .. })));
}

#[test]
fn an_image_without_annotation_costs_the_geometry_aware_subset_and_no_pair() {
    let folder = tree(&[("000001-a-b:cat", pair("000001-a-b:cat", GOOD))]);
    fs::remove_file(folder.path().join("ImageAnnotation/cat/b.json")).unwrap();
    let dataset = large(folder.path(), &ReadOptions::default()).unwrap();
    assert_eq!(problems(&dataset), [(ProblemKind::MissingAnnotation, None, false)]);
    assert_eq!(dataset.pairs[0].target_visible, None);
    assert_eq!(dataset.images[1].size, Size::new(20, 30), "as the pair says");
}

#[test]
fn the_real_samples_parse_to_the_last_field() {
    let Some(folder) = shared("spair-sample") else { return };
    let parse = |name: &str| {
        let file = folder.join("PairAnnotation/test").join(name);
        PairAnnotation::parse(&file, &fs::read(&file).unwrap()).unwrap()
    };
    let bird = parse("001404-2007_004143-2008_008274:bird.json");
    assert_eq!(
        bird,
        PairAnnotation {
            pair_id: 1404,
            filename: "001404-2007_004143-2008_008274:bird".into(),
            src_imname: "2007_004143.jpg".into(),
            trg_imname: "2008_008274.jpg".into(),
            src_imsize: [500, 375, 3],
            trg_imsize: [500, 375, 3],
            src_bndbox: [146.0, 68.0, 441.0, 351.0],
            trg_bndbox: [33.0, 3.0, 465.0, 375.0],
            category: "bird".into(),
            src_pose: "Left".into(),
            trg_pose: "Right".into(),
            src_kps: [[180, 73], [152, 111], [161, 93], [226, 110], [275, 305], [430, 338]]
                .map(|p| p.map(f64::from))
                .into(),
            trg_kps: [[377, 36], [458, 78], [423, 62], [330, 93], [355, 323], [46, 201]]
                .map(|p| p.map(f64::from))
                .into(),
            kps_ids: ["0", "3", "6", "9", "11", "16"].map(String::from).into(),
            mirror: 0,
            viewpoint_variation: 2,
            scale_variation: 0,
            truncation: 0,
            occlusion: 0,
        }
    );
    for (name, id) in [
        ("000001-2008_002719-2008_004100:aeroplane.json", 1),
        ("000027-2008_004100-2008_002719:aeroplane.json", 27),
        ("000718-2008_002515-2008_003395:bicycle.json", 718),
        ("002135-2008_003313-2009_002306:boat.json", 2135),
    ] {
        assert_eq!(parse(name).pair_id, id);
    }
    let file = folder.join("ImageAnnotation/aeroplane/2008_004100.json");
    let image = ImageAnnotation::parse(&file, &fs::read(&file).unwrap()).unwrap();
    assert_eq!((image.image_width, image.image_height, image.azimuth_id, image.kps.len()), (500, 332, 1, 30));
    assert_eq!((image.truncated, image.occluded, image.difficult, image.pose.as_str()), (1, 1, 0, "Left"));
    assert_eq!(image.bndbox, [36.0, 92.0, 500.0, 200.0]);
    let ids: Vec<String> = image.visible().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["0", "1", "2", "7", "11"]);
}

#[test]
fn the_real_samples_make_a_dataset() {
    let Some(folder) = shared("spair-sample") else { return };
    let options = ReadOptions { check_images: false, ..ReadOptions::default() };
    let dataset = read(&folder, Layout::Small, Split::Test, &options).unwrap();
    assert_eq!((dataset.listed, dataset.pairs.len(), dataset.images.len()), (3, 3, 6));
    assert_eq!(keypoints(&dataset.pairs[0])[0], ("1", (467.0, 197.0), (231.0, 451.0)));
    assert_eq!(problems(&dataset).len(), 6, "no annotation of these six images is among the samples");
    // with its pictures asked for, nothing is left
    assert!(matches!(read(&folder, Layout::Small, Split::Test, &ReadOptions::default()), Err(Error::Empty { .. })));
}
