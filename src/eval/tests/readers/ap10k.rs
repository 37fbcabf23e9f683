use homolog_core::geometry::Size;
use homolog_eval::dataset::{Bounds, ProblemKind};
use homolog_eval::readers::ap10k::{ImageAnnotation, Set, read};
use homolog_eval::readers::{ReadOptions, Split};

use super::{problems, put, put_image, shared, strict};

/// An animal whose keypoints of these indices are visible, at (10 + index, 20 + index).
fn animal(visible: &[usize]) -> String {
    let places: Vec<String> = (0..17)
        .map(|index| match visible.contains(&index) {
            true => format!("{}, {}, 2", 10 + index, 20 + index),
            false => "0, 0, 0".to_owned(),
        })
        .collect();
    format!(
        r#"{{"id": 6, "image_id": 4, "category_id": 1, "bbox": [8, 9, 30, 41], "area": 1, "iscrowd": 0, "num_keypoints": 3,
        "keypoints": [{}], "license": 1, "file_name": "x.jpg", "width": 60, "height": 50, "background": 1}}"#,
        places.join(", ")
    )
}

fn tree(pairs: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let animals = [
        ("Bovidae/antelope", "01", vec![0, 5, 8, 16]),
        ("Bovidae/bison", "02", vec![0, 5, 16]),
        ("Felidae/cat", "03", vec![0, 16]),
    ];
    for (kind, image, visible) in animals {
        put(folder.path(), &format!("ImageAnnotation/{kind}/{image}.json"), animal(&visible));
        put_image(folder.path(), &format!("JPEGImages/{kind}/{image}.jpg"), 60, 50);
    }
    let path = |kind: &str, image: &str| format!("data/ap-10k/ImageAnnotation/{kind}/{image}.json");
    let pair =
        |source: String, target: String| format!(r#"{{"src_json_path": "{source}", "trg_json_path": "{target}"}}"#);
    let file = |name: &str| format!("PairAnnotation/{pairs}/{name}.json");
    let (antelope, bison, cat) =
        (path("Bovidae/antelope", "01"), path("Bovidae/bison", "02"), path("Felidae/cat", "03"));
    put(folder.path(), &file("1-02-01:Bovidae"), pair(bison.clone(), antelope.clone()));
    put(folder.path(), &file("2-01-03:Bovidae"), pair(antelope.clone(), cat));
    put(folder.path(), &file("3-01-02:Bovidae"), pair("somewhere/01.json".into(), bison.clone()));
    put(folder.path(), &file("4-01-09:Bovidae"), pair(antelope, path("Bovidae/antelope", "09")));
    folder
}

#[test]
fn pairs_of_three_common_keypoints_are_read() {
    let folder = tree("test_cross_species");
    let dataset = read(folder.path(), Set::CrossSpecies, Split::Test, &ReadOptions::default()).unwrap();
    let pair = &dataset.pairs[0];
    assert_eq!((dataset.listed, dataset.pairs.len(), pair.id.as_str()), (4, 1, "1-02-01:Bovidae"));
    assert_eq!(pair.keypoints.iter().map(|keypoint| keypoint.id.as_str()).collect::<Vec<_>>(), ["0", "5", "16"]);
    assert_eq!(pair.target_box, Some(Bounds { x: 8.0, y: 9.0, width: 30.0, height: 41.0 }), "left, top, width, height");
    assert_eq!(pair.target_visible.as_deref().unwrap().len(), 4);
    assert_eq!(dataset.images[1].size, Size::new(60, 50));
    assert!(dataset.images[1].path.ends_with("JPEGImages/Bovidae/antelope/01.jpg"));
    assert_eq!(dataset.categories[0].name, "Bovidae");
    assert!(dataset.categories[0].symmetry.is_some());
    assert_eq!(
        problems(&dataset),
        [
            (ProblemKind::NoCommonKeypoints, None, true),
            (ProblemKind::Malformed, Some("src_json_path"), true),
            (ProblemKind::MissingAnnotation, None, true),
        ]
    );
}

#[test]
fn the_three_sets_lie_in_folders_of_their_own() {
    for (set, folder) in
        [(Set::IntraSpecies, "val"), (Set::CrossSpecies, "val_cross_species"), (Set::CrossFamily, "val_cross_family")]
    {
        let tree = tree(folder);
        assert_eq!(read(tree.path(), set, Split::Val, &ReadOptions::default()).unwrap().pairs.len(), 1);
        assert!(read(tree.path(), set, Split::Test, &strict()).is_err());
        assert_eq!(set.to_string().parse::<Set>().unwrap(), set);
    }
}

#[test]
fn the_real_annotation_parses() {
    let Some(file) = shared("ap10k/test_ap10k.json") else { return };
    // what the preparation does: an animal of the COCO file and its image, as one object
    let coco: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let mut animal = coco["annotations"][0].clone();
    for field in ["width", "height", "file_name"] {
        animal[field] = coco["images"][0][field].clone();
    }
    let animal: ImageAnnotation = serde_json::from_value(animal).unwrap();
    assert_eq!((animal.width, animal.height, animal.keypoints.len()), (1200, 867, 51));
    assert_eq!(animal.bbox, [66.0, 192.0, 1092.0, 512.0]);
    let names: Vec<String> = serde_json::from_value(coco["categories"][0]["keypoints"].clone()).unwrap();
    assert_eq!(names, homolog_eval::symmetry::Symmetry::ap10k().unwrap()["*"].names());
}
