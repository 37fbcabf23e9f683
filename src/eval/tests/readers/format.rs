//! Formats as the command line names them, and the list that is taken where none is named.

use super::{put, put_image};
use homolog_eval::readers::{Format, ReadOptions, read};
use serde_json::json;

#[test]
fn a_format_is_the_same_as_text_and_in_a_configuration() {
    for (text, configured) in [
        ("spair71k", json!({"format": "spair71k"})),
        ("spair71k:val", json!({"format": "spair71k", "split": "val"})),
        ("spair71k:trn:small", json!({"format": "spair71k", "split": "trn", "layout": "small"})),
        ("pf-willow", json!({"format": "pf_willow"})),
        ("pf_willow:my.csv", json!({"format": "pf_willow", "list": "my.csv"})),
        ("pf-pascal", json!({"format": "pf_pascal"})),
        ("ap10k:cross-family:val", json!({"format": "ap10k", "set": "cross-family", "split": "val"})),
        ("simple:a/b.jsonl", json!({"format": "simple", "list": "a/b.jsonl"})),
    ] {
        let format: Format = text.parse().unwrap();
        assert_eq!(format, serde_json::from_value(configured).unwrap(), "{text}");
        assert_eq!(format.to_string().parse::<Format>().unwrap(), format);
    }
    for wrong in ["", "coco", "spair71k:best", "spair71k:test:huge", "ap10k:all"] {
        let error = wrong.parse::<Format>().unwrap_err().to_string();
        assert!(error.contains("pf-willow"), "{error}");
    }
}

#[test]
fn the_only_list_of_a_folder_is_taken_where_the_usual_one_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    put_image(folder.path(), "a.png", 8, 8);
    let line = r#"{"source": "a.png", "target": "a.png", "source_keypoints": [[1, 2]], "target_keypoints": [[3, 4]]}"#;
    put(folder.path(), "mine.jsonl", line);
    let format = Format::Simple { list: None };
    let dataset = read(folder.path(), &format, &ReadOptions::default()).unwrap();
    assert_eq!((dataset.name.as_str(), dataset.pairs.len()), ("mine", 1));
    put(folder.path(), "other.jsonl", line);
    let error = read(folder.path(), &format, &ReadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("pairs.jsonl"), "{error}");
    put(folder.path(), "pairs.jsonl", line);
    assert_eq!(read(folder.path(), &format, &ReadOptions::default()).unwrap().name, "pairs");
}
