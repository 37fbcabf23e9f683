//! The pickle inside PyTorch's archives. The archive round it is made here, since a changed byte would break its checksum.

#![no_main]

use std::io::{Cursor, Write};

use libfuzzer_sys::fuzz_target;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

fuzz_target!(|pickle: &[u8]| {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let storage = [0u8; 96];
    for (name, bytes) in [("made/data.pkl", pickle), ("made/data/0", &storage[..]), ("made/data/1", &storage[..8])] {
        archive.start_file(name, stored).expect("an entry");
        archive.write_all(bytes).expect("its bytes");
    }
    let bytes = archive.finish().expect("an archive").into_inner();
    homolog_fuzz::checkpoint(&homolog_fuzz::put("made.pth", &bytes));
});
