//! Image files of a dataset, of which only the header is read.

#![no_main]

use homolog_eval::readers::Format;
use libfuzzer_sys::fuzz_target;

const LIST: &[u8] =
    br#"{"source": "a.image", "target": "a.image", "source_keypoints": [[1, 2]], "target_keypoints": [[1, 2]]}"#;

fuzz_target!(|bytes: &[u8]| {
    homolog_fuzz::put_once(&[("pairs.jsonl", LIST)]);
    homolog_fuzz::put("a.image", bytes);
    homolog_fuzz::read(&Format::Simple { list: None });
});
