//! Adapters and embeddings from other programs and for them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use formats::TensorFile;
use images::read_photo;

use super::vico::{Place, base};

fn authors(name: &str) -> String {
    let path = golden::path(&format!("vico/{name}")).canonicalize().unwrap();
    path.to_str().unwrap().to_owned()
}

/// Imports the authors' files with further arguments.
fn import(place: &Place, more: &[&str]) {
    let (base, folder) = (base(), authors("checkpoints"));
    let arguments = ["import", &folder, "--base", &base, "--output", "adapter.safetensors"];
    place.run(&[&arguments[..], more].concat()).done();
}

#[test]
fn golden_checkpoints_of_the_authors_become_an_adapter_and_go_back() {
    let place = Place::new();
    import(&place, &["--photos", "photos", "--init-word", "toy"]);
    let arguments = ["export", "adapter.safetensors", "--format", "vico-official", "--output"];
    place.run(&[&arguments[..], &["back"]].concat()).done();
    let mut compared = 0;
    for name in ["embeddings_gs-399.pt", "cross_attention-399.pt"] {
        let first = TensorFile::open(authors(&format!("checkpoints/{name}"))).unwrap();
        let again = TensorFile::open(place.path(&format!("back/checkpoints/{name}"))).unwrap();
        assert!(first.names().eq(again.names()), "{name}");
        for tensor in first.names() {
            assert_eq!(first.get(tensor), again.get(tensor), "{tensor}");
            assert_eq!(first.bytes(tensor).unwrap(), again.bytes(tensor).unwrap(), "{tensor}");
            compared += 1;
        }
    }
    assert!(compared > 2);
    // What was written is read again, from the folder and in any order.
    let (base, old) = (base(), "adapter.safetensors");
    place.run(&["import", "back", "--base", &base, "--output", "b.safetensors"]).done();
    let files =
        ["back/checkpoints/cross_attention-399.pt", "back/checkpoints/embeddings_gs-399.pt"];
    let more = ["--base", &base, "--output", "c.safetensors"];
    place.run(&[&["import"], &files[..], &more].concat()).done();
    let token = |name: &str| {
        TensorFile::open(place.path(name)).unwrap().f32("placeholder_embedding").unwrap()
    };
    assert_eq!(token(old), token("b.safetensors"));
    assert_eq!(token(old), token("c.safetensors"));
}

#[test]
fn an_imported_adapter_draws() {
    let place = Place::new();
    import(&place, &["--photos", "photos"]);
    let said = place.run(&["inspect", "adapter.safetensors"]).done().said();
    assert!(said.contains("399 of") && said.contains("class word is not known"), "{said}");
    place.generate("a *", "kept.png", &[]).done();
    import(&place, &[]);
    place.generate("a *", "x.png", &[]).failed(1, &["without photos"]);
    place.generate("a *", "typed.png", &["--reference", "photos/0.png"]).done();
    let pixels = |name: &str| read_photo(place.path(name)).unwrap().rgb().to_vec();
    assert_eq!(pixels("kept.png"), pixels("typed.png"));
}

/// The embedding as PyTorch 1.10 wrote it on a graphics card.
#[test]
fn golden_embedding_of_an_old_pytorch_is_the_same() {
    let place = Place::new();
    let base = base();
    let attention = authors("checkpoints/cross_attention-399.pt");
    for (i, folder) in ["checkpoints", "checkpoints-torch110-cuda"].iter().enumerate() {
        let embedding = authors(&format!("{folder}/embeddings_gs-399.pt"));
        let output = format!("{i}.safetensors");
        place.run(&["import", &embedding, &attention, "--base", &base, "--output", &output]).done();
    }
    let bytes = |name: &str| fs::read(place.path(name)).unwrap();
    assert_eq!(bytes("0.safetensors"), bytes("1.safetensors"));
}

#[test]
fn files_that_cannot_be_imported() {
    let place = Place::new();
    let base = base();
    let import = |files: &[&str], code: i32, words: &[&str]| {
        let more = ["--base", &base, "--output", "x.safetensors"];
        place.run(&[&["import"], files, &more].concat()).failed(code, words);
    };
    import(&["photos"], 1, &["photos", "embeddings_gs-N.pt"]);
    let embedding = authors("checkpoints/embeddings_gs-399.pt");
    import(&[&embedding], 2, &["the two files"]);
    import(&[&embedding, &embedding], 1, &["none of the files"]);
    let attention = authors("checkpoints/cross_attention-399.pt");
    let model: PathBuf = golden::path("tiny-sd.ckpt").canonicalize().unwrap();
    import(&[model.to_str().unwrap(), &attention], 1, &["no textual-inversion embedding"]);
    assert!(!place.path("x.safetensors").exists());
}

#[test]
fn words_that_other_programs_cannot_take() {
    let place = Place::new();
    place.train(&["--placeholder", "<my-teapot>"]).done();
    let export = |more: &[&str]| place.run(&[&["export", "adapter.safetensors"], more].concat());
    let official = ["--format", "vico-official", "--output", "official"];
    export(&official).failed(2, &["<my-teapot>", "not one token", "--word"]);
    assert!(!place.path("official").exists());
    export(&[&official[..], &["--word", "*"]].concat()).done();
    assert_eq!(place.list("official/checkpoints"), ["cross_attention-4.pt", "embeddings_gs-4.pt"]);
    let diffusers = ["--format", "diffusers", "--output", "e.safetensors"];
    let said = export(&diffusers).done().said();
    assert!(!said.contains("warning"), "{said}");
    let said = export(&[&diffusers[..], &["--word", "*"]].concat()).done().said();
    assert!(said.contains("warning") && said.contains("refuses"), "{said}");
    export(&["--format", "diffusers", "--output", "e.zip"]).failed(2, &["e.zip", ".safetensors"]);
    export(&["--format", "comfy", "--output", "e.pt"])
        .failed(2, &["vico-official, custom-diffusion"]);
}

fn embedding(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/embeddings").join(name)
}

/// Copies an embedding under another name.
fn embed(place: &Place, from: &str, to: &str) {
    fs::create_dir_all(place.path(to).parent().unwrap()).unwrap();
    fs::copy(embedding(from), place.path(to)).unwrap();
}

#[test]
fn embeddings_are_known_by_the_names_of_their_files() {
    let place = Place::new();
    place.train(&[]).done();
    embed(&place, "a1111.pt", "styles/pewter.pt");
    embed(&place, "sdxl.safetensors", "styles/other.safetensors");
    embed(&place, "kohya.safetensors", "pewter.safetensors");
    let draw = |prompt: &str, output: &str, more: &[&str]| place.generate(prompt, output, more);
    let pixels = |name: &str| read_photo(place.path(name)).unwrap().rgb().to_vec();
    draw("a * in pewter", "plain.png", &[]).done();
    draw("a * in pewter", "folder.png", &["--embedding", "styles"]).done();
    draw("a * in pewter", "file.png", &["--embedding", "pewter.safetensors"]).done();
    assert_ne!(pixels("plain.png"), pixels("folder.png"));
    assert_eq!(pixels("folder.png"), pixels("file.png"), "the same vectors from another program");
    draw("a *", "without.png", &["--embedding", "styles"]).done();

    let both = ["--embedding", "styles", "--embedding", "pewter.safetensors"];
    draw("a * in pewter", "x.png", &both).failed(2, &["same name", "pewter.pt"]);
    let other = ["--embedding", "styles/other.safetensors"];
    draw("a * in other", "x.png", &other).failed(1, &["other.safetensors", "XL"]);
    let said = draw("a *", "x.png", &["--embedding", "pewter.safetensors"]).done().said();
    assert!(said.contains("\"pewter\" stands in no prompt"), "{said}");
    embed(&place, "a1111.pt", "a*b.pt");
    draw("a *", "x.png", &["--embedding", "a*b.pt"]).failed(2, &["a*b.pt", "placeholder"]);
}

/// The token of an adapter, exported and used as an embedding, is the token.
#[test]
fn an_exported_token_is_read_again() {
    let place = Place::new();
    place.train(&[]).done();
    let learned = TensorFile::open(place.path("adapter.safetensors")).unwrap();
    let learned = learned.f32("placeholder_embedding").unwrap();
    for (format, output) in [
        ("diffusers", "learned_embeds.safetensors"),
        ("diffusers", "learned_embeds.bin"),
        ("kohya", "kohya.safetensors"),
        ("a1111", "a1111.pt"),
    ] {
        let export = ["export", "adapter.safetensors", "--format", format, "--output", output];
        place.run(&export).done();
        let back = ["export", output, "--format", "kohya", "--output", "back.safetensors"];
        place.run(&back).done();
        let back = TensorFile::open(place.path("back.safetensors")).unwrap();
        assert_eq!(back.f32("emb_params").unwrap(), learned, "{output}");
    }
}

/// A token of several vectors is trained, drawn, exported and imported.
#[test]
fn a_token_may_have_several_vectors() {
    let place = Place::new();
    place.train(&["--vectors", "3"]).done();
    let learned = TensorFile::open(place.path("adapter.safetensors")).unwrap();
    let shape = learned.get("placeholder_embedding").unwrap().shape.clone();
    assert_eq!(shape[0], 3);
    let values = learned.f32("placeholder_embedding").unwrap();
    let (first, others) = values.split_at(shape[1]);
    assert!(others.chunks(shape[1]).all(|other| other != first), "they come apart");
    place.generate("a * here", "one.png", &[]).done();
    let export = ["export", "adapter.safetensors", "--format", "vico-official", "--output", "o"];
    place.run(&export).done();
    let import = ["import", "o", "--base", &base(), "--output", "back.safetensors"];
    place.run(&import).done();
    let back = TensorFile::open(place.path("back.safetensors")).unwrap();
    assert_eq!(back.f32("placeholder_embedding").unwrap(), values);
    assert!(back.metadata()["vico.recipe"].contains("\"vectors\":3"));
    place.run(&["train", "--resume", "adapter.run", "--steps", "5"]).done();
    let embedding = ["export", "adapter.safetensors", "--format", "a1111", "--output", "e.pt"];
    place.run(&embedding).done();
    let said = place.run(&["inspect", "e.pt"]).done().said();
    assert!(said.contains(&format!("3 vectors of {} values", shape[1])), "{said}");
    place
        .run(&[
            "train",
            "photos",
            "--base",
            &base(),
            "--init-word",
            "toy",
            "--vectors",
            "33",
            "--output",
            "x.safetensors",
        ])
        .failed(2, &["--vectors is 33"]);
}
