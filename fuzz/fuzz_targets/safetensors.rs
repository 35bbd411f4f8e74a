//! Safetensors: the bytes are a header, whose length is put before it.

#![no_main]

mod common;

use formats::TensorFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (header, data) = bytes.split_at(bytes.len() - bytes.len() / 4);
    let whole = [&(header.len() as u64).to_le_bytes(), header, data].concat();
    for bytes in [bytes, &whole] {
        let Ok(file) = TensorFile::open(common::file(bytes, ".safetensors")) else { continue };
        for name in file.names() {
            let _ = file.f32(name);
            let _ = file.i64(name);
        }
    }
});
