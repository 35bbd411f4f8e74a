//! Embeddings of other programs, and what they do to prompts.

use std::path::{Path, PathBuf};

use diffusion::{Embedding, EmbeddingFormat, Placeholder};
use formats::TensorFile;
use tempfile::TempDir;

use super::tiny;

/// Files that other programs' formats were written in; see the README there.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/embeddings").join(name)
}

fn load(name: &str) -> Embedding {
    Embedding::load(&fixture(name)).unwrap_or_else(|e| panic!("{e}"))
}

/// What all of the files hold: one vector or two.
fn expected(vectors: usize) -> Vec<f32> {
    (0..16 * vectors).map(|i| i as f32 / 64.0 - 1.0).collect()
}

#[test]
fn embeddings_of_every_program_are_read() {
    for (name, word, vectors) in [
        ("diffusers.safetensors", Some("<teapot>"), 2),
        ("diffusers-one.bin", Some("<teapot>"), 1),
        ("kohya.safetensors", None, 2),
        ("kohya.pt", None, 2),
        ("a1111.pt", Some("*"), 2),
        ("original.pt", Some("*"), 1),
    ] {
        let read = load(name);
        assert_eq!(read.word.as_deref(), word, "{name}");
        assert_eq!((read.vectors, read.width), (vectors, 16), "{name}");
        assert_eq!(read.values, expected(vectors), "{name}");
    }
}

#[test]
fn embeddings_are_written_as_they_are_read() {
    let folder = TempDir::new().unwrap();
    let embedding = load("a1111.pt");
    for (name, format) in [
        ("d.safetensors", EmbeddingFormat::Diffusers),
        ("d.bin", EmbeddingFormat::Diffusers),
        ("k.safetensors", EmbeddingFormat::Kohya),
        ("k.pt", EmbeddingFormat::Kohya),
        ("a.pt", EmbeddingFormat::Automatic1111),
        ("a.safetensors", EmbeddingFormat::Automatic1111),
    ] {
        let path = folder.path().join(name);
        embedding.save(&path, "<teapot>", format).unwrap();
        let again = Embedding::load(&path).unwrap();
        assert_eq!((again.vectors, again.values), (2, embedding.values.clone()), "{name}");
    }
}

/// The same tensors under the same names as the programs themselves write.
#[test]
fn written_embeddings_have_the_programs_own_names() {
    let folder = TempDir::new().unwrap();
    let embedding = load("a1111.pt");
    for (name, format) in [
        ("diffusers.safetensors", EmbeddingFormat::Diffusers),
        ("kohya.pt", EmbeddingFormat::Kohya),
        ("a1111.pt", EmbeddingFormat::Automatic1111),
    ] {
        let path = folder.path().join(name);
        embedding.save(&path, "<teapot>", format).unwrap();
        let (ours, theirs) =
            (TensorFile::open(&path).unwrap(), TensorFile::open(fixture(name)).unwrap());
        assert!(ours.names().eq(theirs.names()), "{name}");
        for tensor in theirs.names() {
            assert_eq!(ours.get(tensor), theirs.get(tensor), "{name}");
            assert_eq!(ours.bytes(tensor).unwrap(), theirs.bytes(tensor).unwrap(), "{name}");
        }
        assert_eq!(ours.metadata(), theirs.metadata(), "{name}");
    }
}

#[test]
fn files_that_are_no_embeddings() {
    let refusal = |path: &Path| Embedding::load(path).unwrap_err().to_string();
    assert!(refusal(&fixture("sdxl.safetensors")).contains("Stable Diffusion XL"));
    assert!(refusal(&golden::path("tiny-sd.ckpt")).contains("no textual-inversion embedding"));
    assert!(refusal(&fixture("make.py")).contains("not a weight file"));
    let weights = golden::path("vae-attention-old-names.safetensors");
    assert!(refusal(&weights).contains("expected one"));
}

/// A word of an embedding and a placeholder with the same vectors are one.
#[test]
fn an_added_word_is_its_vectors() {
    let base = tiny();
    let (mut tokenizer, mut text) = (base.tokenizer().unwrap(), base.text_encoder().unwrap());
    let two = load("a1111.pt");
    let star = Placeholder { text: "*", vectors: 2, words: "" };
    let learned = engine::tensor(two.values.clone(), [2, 16], &super::device());
    let prompt = tokenizer.encode("a photo of *, red", Some(star)).unwrap();
    let expected = engine::values(text.forward(&[prompt], Some(learned.clone())));

    let rows = text.add_tokens(two.values);
    assert_eq!(rows, 49408..49410);
    tokenizer.add_word("My_Teapot", rows);
    let prompt = tokenizer.encode("a photo of my_teapot, red", Some(star)).unwrap();
    assert!(prompt.placeholders.is_empty());
    assert_eq!(engine::values(text.forward(&[prompt], Some(learned))), expected);
}

#[test]
fn added_words_stand_alone_and_the_longest_wins() {
    let mut tokenizer = tiny().tokenizer().unwrap();
    tokenizer.add_word("cat", 50000..50001);
    tokenizer.add_word("cat-two", 50001..50003);
    let added = |prompt: &str| -> Vec<(usize, u32)> {
        let star = Placeholder { text: "*", vectors: 1, words: "" };
        let ids = tokenizer.encode(prompt, Some(star)).unwrap().ids;
        ids.into_iter().enumerate().filter(|(_, id)| *id >= 50000).collect()
    };
    assert_eq!(added("a CAT, a cat"), [(2, 50000), (5, 50000)]);
    assert_eq!(added("cat-two"), [(1, 50001), (2, 50002)]);
    assert_eq!(added("(cat) on *"), [(2, 50000)]);
    for none in ["cats", "my_cat", "cat-three", "tomcat"] {
        assert_eq!(added(none), [], "{none}");
    }
}
