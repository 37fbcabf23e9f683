//! PF-WILLOW's list of pairs.

#![no_main]

use homolog_eval::readers::Format;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|list: &[u8]| {
    let (one, other) = ("PF-dataset/car(G)/a.png", "PF-dataset/car(G)/b.png");
    homolog_fuzz::put_once(&[(one, homolog_fuzz::PICTURE), (other, homolog_fuzz::PICTURE)]);
    homolog_fuzz::put("test_pairs.csv", list);
    homolog_fuzz::read(&Format::PfWillow { list: None });
});
