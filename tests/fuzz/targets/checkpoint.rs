//! Checkpoint files: PyTorch's archives and safetensors, told apart by their content as `Checkpoint::open` does it.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| homolog_fuzz::checkpoint(&homolog_fuzz::put("checkpoint", bytes)));
