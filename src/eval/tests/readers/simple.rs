use homolog_eval::dataset::{Bounds, ProblemKind};
use homolog_eval::pck::Threshold;
use homolog_eval::readers::ReadOptions;
use homolog_eval::readers::simple::read;

use super::{keypoints, problems, put, put_image, strict};

fn list(lines: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    put_image(folder.path(), "a.png", 40, 30);
    put_image(folder.path(), "b.png", 20, 50);
    put(folder.path(), "pairs.jsonl", lines);
    folder
}

#[test]
fn keypoints_that_one_image_hides_are_left_out_of_the_pair_but_known_to_be_visible() {
    let folder = list(
        r#"{"source": "a.png", "target": "b.png", "source_keypoints": [[1, 2], null, [3, 4]], "target_keypoints": [[5, 6], [7, 8], null]}"#,
    );
    let dataset = read(&folder.path().join("pairs.jsonl"), &strict()).unwrap();
    assert_eq!(keypoints(&dataset.pairs[0]), [("0", (1.0, 2.0), (5.0, 6.0))]);
    assert_eq!(dataset.pairs[0].target_visible.as_deref().unwrap().len(), 2);
    assert_eq!((dataset.threshold, dataset.images[1].size.height), (Threshold::Image, 50));
}

#[test]
fn all_that_a_line_may_say_is_taken() {
    let folder = list("");
    let line = r#"{"id": "x", "source": "a.png", "target": "b.png", "source_keypoints": [[1, 2], [3, 4]], "target_keypoints": [[5, 6], [7, 8]], "keypoint_ids": [7, "ear"], "category": "cat", "source_box": [0, 0, 4, 5], "target_box": [1, 1, 4, 9], "viewpoint": 1, "occlusion": 3}"#;
    put(folder.path(), "pairs.jsonl", format!("\n{line}\n\n"));
    let dataset = read(&folder.path().join("pairs.jsonl"), &strict()).unwrap();
    let pair = &dataset.pairs[0];
    assert_eq!((pair.id.as_str(), dataset.categories[0].name.as_str()), ("x", "cat"));
    assert_eq!(keypoints(pair).iter().map(|(id, ..)| *id).collect::<Vec<_>>(), ["7", "ear"]);
    assert_eq!(pair.target_box, Some(Bounds { x: 1.0, y: 1.0, width: 3.0, height: 8.0 }));
    assert_eq!((pair.difficulty.viewpoint, pair.difficulty.scale, pair.difficulty.occlusion), (Some(1), None, Some(3)));
    assert_eq!(dataset.threshold, Threshold::Box);
}

#[test]
fn each_bad_line_is_named_with_its_field() {
    let line = |rest: &str| format!("{{\"source\": \"a.png\", \"target\": \"b.png\", {rest}}}\n");
    let folder = list(
        &[
            line(r#""source_keypoints": [[1, 2]], "target_keypoints": [[1, 2]]"#),
            line(r#""source_keypoints": [[1, 2]], "target_keypoints": []"#),
            line(r#""source_keypoints": [[1, 2]], "target_keypoints": [null]"#),
            line(r#""source_keypoints": [[1, 2], [1, 2]], "target_keypoints": [[1, 2], [2, 2]], "keypoint_ids": [1, "1"]"#),
            line(r#""source_keypoints": [[1]], "target_keypoints": [[1, 2]]"#),
            line(r#""source_keypoints": [[1, 2]], "target_keypoints": [[1, 2]], "target_box": [3, 3, 1, 9]"#),
            line(r#""source_keypoints": [[1, 2]], "target_keypoints": [[1, 2]], "colour": "red""#),
            line(r#""source_keypoints": [[1, 2]], "target_keypoints": [[1, 2]]"#).replace("b.png", "c.png"),
            "nonsense\n".to_owned(),
        ]
        .concat(),
    );
    let dataset = read(&folder.path().join("pairs.jsonl"), &ReadOptions::default()).unwrap();
    assert_eq!((dataset.listed, dataset.pairs.len(), dataset.images.len()), (9, 1, 2));
    let found = problems(&dataset);
    let kinds: Vec<ProblemKind> = found.iter().map(|(kind, ..)| *kind).collect();
    use ProblemKind::{DuplicateKeypoint, Malformed, MissingImage, NoCommonKeypoints};
    assert_eq!(
        kinds,
        [Malformed, NoCommonKeypoints, DuplicateKeypoint, Malformed, Malformed, Malformed, MissingImage, Malformed]
    );
    let fields: Vec<&str> = found.iter().filter_map(|(_, field, _)| *field).collect();
    assert_eq!(fields[0], "line 2, target_keypoints");
    assert_eq!(fields[1], "line 4, keypoint_ids");
    assert!(fields[2].starts_with("line 5, source_keypoints[0]"), "{}", fields[2]);
    assert_eq!(fields[3], "line 6, target_box");
    assert!(fields[4].starts_with("line 7"), "{}", fields[4]);
    assert!(fields[5].starts_with("line 9"), "{}", fields[5]);
}
