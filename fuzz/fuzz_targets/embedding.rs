//! Embeddings of other programs; one that is read is written, and read the same.

#![no_main]

mod common;

use diffusion::{Embedding, EmbeddingFormat};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(embedding) = Embedding::load(&common::file(bytes, ".pt")) else { return };
    let path = common::file(&[], ".written.pt");
    embedding.save(&path, "word", EmbeddingFormat::Automatic1111).expect("written");
    assert_eq!(Embedding::load(&path).expect("what was written").values, embedding.values);
});
