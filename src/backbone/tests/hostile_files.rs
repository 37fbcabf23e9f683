//! Files that were made to do harm: each is refused in a sentence, and before it takes memory or time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use homolog_backbone::{Adapter, Family, Mlp, checkpoint::Checkpoint, dinov2, peft};
use std::{io::Write, path::Path};
use zip::{ZipWriter, write::SimpleFileOptions};

const NETWORK: Family = Family::DinoV2(dinov2::Config {
    patch: 2,
    width: 4,
    depth: 1,
    heads: 2,
    mlp: Mlp::Gelu,
    hidden: 6,
    registers: 0,
    position_grid: 2,
});

/// Writes an archive as `torch.save` makes it, round this pickle.
fn archive(folder: &Path, pickle: &[u8]) -> Result<Checkpoint, String> {
    let path = folder.join("made.pth");
    let mut zip = ZipWriter::new(std::fs::File::create(&path).unwrap());
    for (name, bytes) in [("made/data.pkl", pickle), ("made/data/0", &[0; 4])] {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
    Checkpoint::open(&path).map_err(|error| error.to_string())
}

fn text(text: &str) -> Vec<u8> {
    [b"X", &u32::try_from(text.len()).unwrap().to_le_bytes()[..], text.as_bytes()].concat()
}

/// A dictionary with one tensor of these sizes, each eight bytes wide; it lies in the storage of one number.
fn tensor(name: &str, sizes: &[i64]) -> Vec<u8> {
    let numbers: Vec<u8> = sizes.iter().flat_map(|size| [&b"\x8a\x08"[..], &size.to_le_bytes()].concat()).collect();
    let tuple = [b"(", &numbers[..], b"t"].concat();
    let storage =
        [b"(", &text("storage")[..], b"ctorch\nFloatStorage\n", &text("0"), &text("cpu"), b"K\x01tQ"].concat();
    let rebuilt = [b"ctorch._utils\n_rebuild_tensor_v2\n(", &storage[..], b"K\x00", &tuple, &tuple, b"tR"].concat();
    [b"\x80\x02}", &text(name)[..], &rebuilt, b"s."].concat()
}

fn refused(pickle: &[u8], word: &str) {
    let folder = tempfile::tempdir().unwrap();
    let error = archive(folder.path(), pickle).err().expect("it is refused");
    assert!(error.contains(word), "{error}");
    assert!(error.len() < 1000, "an error of {} bytes", error.len());
}

#[test]
fn a_long_key_that_a_pickle_names_again_and_again_comes_to_an_end() {
    let key = "k".repeat(1 << 20);
    let again = b"h\x01N".repeat(100);
    refused(&[b"\x80\x02}(", &text(&key)[..], b"q\x01N", &again, b"u."].concat(), "names of more than");
}

#[test]
fn a_dictionary_that_holds_itself_comes_to_an_end() {
    let itself = [&text("k")[..], b"h\x00"].concat().repeat(2000);
    refused(&[b"\x80\x02}q\x00(", &itself[..], b"u."].concat(), "dictionary entries");
}

#[test]
fn a_data_type_of_a_long_name_is_refused() {
    let name = "x".repeat(1 << 20);
    refused(&[b"\x80\x02", &text("torch")[..], &text(&name), b"\x93."].concat(), "longer than any");
    refused(&[b"\x80\x02ctorch.", name.as_bytes(), b"\nx\n."].concat(), "longer than any");
}

#[test]
fn a_tensor_of_more_dimensions_than_there_are_is_refused() {
    refused(&tensor("a", &[1; 65]), "65 dimensions");
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(archive(folder.path(), &tensor("a", &[1; 64])).unwrap().read("a").unwrap().data, [0.0]);
}

#[test]
fn sizes_whose_product_is_beyond_every_number_are_an_error_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = archive(folder.path(), &tensor("mixing_weights", &[i64::MAX; 4])).unwrap();
    assert!(checkpoint.read("mixing_weights").unwrap_err().to_string().contains("leaves its storage"));
    assert!(Adapter::open(&checkpoint, 32).unwrap_err().to_string().contains("feature maps"));
}

#[test]
fn low_rank_matrices_of_rank_0_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let module = "base_model.model.blocks.0.attn.proj";
    let header = format!(
        r#"{{"{module}.lora_A.weight":{{"dtype":"F32","shape":[0,4],"data_offsets":[0,0]}},"{module}.lora_B.weight":{{"dtype":"F32","shape":[4,0],"data_offsets":[0,0]}}}}"#
    );
    let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    std::fs::write(folder.path().join("adapter_model.safetensors"), file).unwrap();
    let config = r#"{"peft_type": "LORA", "r": 0, "lora_alpha": 8, "target_modules": ["proj"]}"#;
    std::fs::write(folder.path().join("adapter_config.json"), config).unwrap();
    let error = peft::load(folder.path(), &NETWORK).unwrap_err().to_string();
    assert!(error.contains("rank is 0"), "{error}");
}
