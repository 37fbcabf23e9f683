//! Homolog's own lists of pairs.

#![no_main]

use homolog_eval::readers::Format;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|list: &[u8]| {
    homolog_fuzz::put_once(&[("a.png", homolog_fuzz::PICTURE), ("b.png", homolog_fuzz::PICTURE)]);
    homolog_fuzz::put("pairs.jsonl", list);
    homolog_fuzz::read(&Format::Simple { list: None });
});
