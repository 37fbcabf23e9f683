//! SPair-71k: the JSON of a pair, of its source and of its target.

#![no_main]

use homolog_eval::readers::{Format, Split, spair71k::Layout};
use homolog_fuzz::{put, put_once, texts};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    put_once(&[
        ("Layout/large/test.txt", b"000001-a-b:boat\n"),
        ("JPEGImages/boat/a.jpg", homolog_fuzz::PICTURE),
        ("JPEGImages/boat/b.jpg", homolog_fuzz::PICTURE),
    ]);
    let mut texts = texts(input);
    put("PairAnnotation/test/000001-a-b:boat.json", texts.next().unwrap_or_default());
    put("ImageAnnotation/boat/a.json", texts.next().unwrap_or_default());
    put("ImageAnnotation/boat/b.json", texts.next().unwrap_or_default());
    homolog_fuzz::read(&Format::Spair71k { layout: Layout::Large, split: Split::Test });
});
