//! LoRAs merged into the base model.

use std::path::Path;

use formats::TensorFile;
use images::{read_photo, read_png_text};

use super::vico::{Place, base};

fn lora(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/loras").join(name);
    path.canonicalize().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_lora_changes_pictures_and_is_named_in_them() {
    let place = Place::new();
    place.train(&[]).done();
    let (kohya, peft) = (lora("kohya.safetensors"), lora("peft"));
    let said = place.run(&["inspect", &kohya]).done().said();
    assert!(said.contains("a LoRA of 9 layers"), "{said}");
    place.generate("a *", "plain.png", &[]).done();
    let said = place.generate("a *", "one.png", &["--lora", &format!("{kohya}:0.8")]).done().said();
    assert!(!said.contains("warning"), "the adapter fits the base with a style: {said}");
    place.generate("a *", "none.png", &["--lora", &format!("{kohya}:0")]).done();
    place.generate("a *", "two.png", &["--lora", &kohya, "--lora", &format!("{peft}:-0.5")]).done();
    let pixels = |name: &str| read_photo(place.path(name)).unwrap().rgb().to_vec();
    assert_eq!(pixels("plain.png"), pixels("none.png"));
    assert_ne!(pixels("plain.png"), pixels("one.png"));
    assert_ne!(pixels("one.png"), pixels("two.png"));
    let fingerprint = |name: &str| {
        let texts = read_png_text(place.path(name)).unwrap();
        let (_, text) = texts.iter().find(|(keyword, _)| keyword == "vico").unwrap().clone();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        value["base"].as_str().unwrap().to_owned()
    };
    assert!(fingerprint("two.png").starts_with(&fingerprint("plain.png")));
    assert!(fingerprint("one.png").ends_with(":0.8"), "{}", fingerprint("one.png"));
    assert!(fingerprint("two.png").ends_with(":-0.5"), "{}", fingerprint("two.png"));
    place
        .run(&[
            "mask",
            "photos/0.png",
            "--base",
            &base(),
            "--adapter",
            "adapter.safetensors",
            "--lora",
            &kohya,
        ])
        .done();
}

#[test]
fn a_training_on_a_lora_goes_on_with_it() {
    let (whole, place) = (Place::new(), Place::new());
    let kohya = format!("{}:0.5", lora("kohya.safetensors"));
    whole.train(&["--lora", &kohya]).done();
    let base = base();
    let start = ["train", "photos", "--base", &base, "--lora", &kohya, "--init-word", "toy"];
    let more = ["--output", "adapter.safetensors", "--batch", "2", "--steps", "2"];
    place.run(&[&start[..], &more].concat()).done();
    place.run(&["train", "--resume", "adapter.run", "--steps", "4"]).done();
    let learned = |place: &Place| {
        let file = TensorFile::open(place.path("adapter.safetensors")).unwrap();
        let fingerprint = file.metadata()["vico.base.fingerprint"].clone();
        (file.f32("placeholder_embedding").unwrap(), fingerprint)
    };
    assert_eq!(learned(&whole), learned(&place));
    assert!(learned(&whole).1.ends_with(":0.5"));
    // Drawing without it is another base.
    let said = place.generate("a *", "x.png", &[]).done().said();
    assert!(said.contains("warning") && said.contains(":0.5"), "{said}");
}

#[test]
fn loras_that_cannot_be_merged() {
    let place = Place::new();
    place.train(&[]).done();
    let draw = |lora: &str, code: i32, words: &[&str]| {
        place.generate("a *", "x.png", &["--lora", lora]).failed(code, words);
    };
    draw("missing.safetensors", 1, &["missing.safetensors"]);
    draw("missing.safetensors:12", 2, &["FILE:WEIGHT"]);
    let adapter = place.path("adapter.safetensors");
    draw(adapter.to_str().unwrap(), 1, &["adapter.safetensors", "image_cross_attention"]);
    assert!(!place.path("x.png").exists());
}
