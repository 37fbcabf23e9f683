//! Folders of low-rank matrices: the JSON of their configuration, an empty line, and the safetensors file. What is read is merged
//! into a tiny network.

#![no_main]

use homolog_backbone::{Family, Mlp, dinov2, peft, random};
use libfuzzer_sys::fuzz_target;

const TINY: Family = Family::DinoV2(dinov2::Config {
    patch: 2,
    width: 4,
    depth: 1,
    heads: 2,
    mlp: Mlp::Gelu,
    hidden: 6,
    registers: 0,
    position_grid: 2,
});

fuzz_target!(|input: &[u8]| {
    let end = input.windows(2).position(|two| two == b"\n\n").unwrap_or(input.len());
    homolog_fuzz::put("adapter_config.json", &input[..end]);
    homolog_fuzz::put("adapter_model.safetensors", input.get(end + 2..).unwrap_or_default());
    let Ok((lora, matrices)) = peft::load(homolog_fuzz::folder(), &TINY) else { return };
    let network = random::weights(&TINY, 1);
    let weights = TINY.resolve(&network, "tiny").expect("a checkpoint of its own");
    if let Ok(merged) = lora.merged(&weights, &matrices) {
        assert!(merged.values().all(|tensor| tensor.shape.iter().product::<usize>() == tensor.data.len()));
    }
});
