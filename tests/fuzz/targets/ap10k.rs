//! AP-10K: the JSON of a pair, of its source and of its target.

#![no_main]

use homolog_eval::readers::{Format, Split, ap10k::Set};
use homolog_fuzz::{put, put_once, texts};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    put_once(&[
        ("JPEGImages/Felidae/cat/a.jpg", homolog_fuzz::PICTURE),
        ("JPEGImages/Felidae/cat/b.jpg", homolog_fuzz::PICTURE),
    ]);
    let mut texts = texts(input);
    put("PairAnnotation/test/1-a-b:cat.json", texts.next().unwrap_or_default());
    put("ImageAnnotation/Felidae/cat/a.json", texts.next().unwrap_or_default());
    put("ImageAnnotation/Felidae/cat/b.json", texts.next().unwrap_or_default());
    homolog_fuzz::read(&Format::Ap10k { set: Set::IntraSpecies, split: Split::Test });
});
