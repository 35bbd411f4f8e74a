//! Several references, drawn masks and several subjects, through the whole program.

use std::fs;

use formats::TensorFile;
use images::{Picture, write_png};

use super::vico::{NO_TEXT, Place, base, bytes};

/// Draws a mask of the left half beside a photo.
fn draw_mask(place: &Place, photo: &str, (width, height): (usize, usize)) {
    let pixel = |i: usize| if i % width < width / 2 { [255; 3] } else { [0; 3] };
    let mask = Picture::from_rgb(width, height, (0..width * height).flat_map(pixel).collect());
    write_png(place.path(photo).with_extension("mask.png"), &mask, NO_TEXT).unwrap();
}

#[test]
fn several_references_are_drawn_from_at_once_and_again() {
    let place = Place::new();
    place.train(&[]).done();
    let both = ["--reference", "1", "--reference", "photos/2.png"];
    place.generate("a *", "both.png", &both).done();
    place.generate("a *", "one.png", &["--reference", "1"]).done();
    assert_ne!(bytes(place.path("both.png")), bytes(place.path("one.png")));
    place.run(&["generate", "--from", "both.png", "--output", "again.png"]).done();
    assert_eq!(bytes(place.path("both.png")), bytes(place.path("again.png")));
}

#[test]
fn a_drawn_mask_is_learned_from_kept_and_drawn_with() {
    let (place, without) = (Place::new(), Place::new());
    draw_mask(&place, "photos/0.png", (96, 96));
    let said = place.train(&[]).done().said();
    assert!(said.contains("1 of 3 photos have a drawn mask"), "{said}");
    without.train(&[]).done();
    let path = place.path("adapter.safetensors");
    let adapter = TensorFile::open(&path).unwrap();
    assert!(adapter.contains("photos.0.mask") && !adapter.contains("photos.1.mask"));
    let token = |file: &TensorFile| file.f32("placeholder_embedding").unwrap();
    let plain = TensorFile::open(without.path("adapter.safetensors")).unwrap();
    assert_ne!(token(&adapter), token(&plain));

    let base = base();
    let mask = ["mask", "photos/0.png", "--base", &base, "--adapter", "adapter.safetensors"];
    let said = place.run(&mask).done().said();
    assert_eq!(said.matches(" 50 % taken").count(), 4, "{said}");
    // Kept in the adapter, and beside the photo.
    place.generate("a *", "kept.png", &[]).done();
    place.generate("a *", "photo.png", &["--reference", "photos/0.png"]).done();
    let latents = |name: &str| images::read_photo(place.path(name)).unwrap();
    assert_eq!(latents("kept.png"), latents("photo.png"));
    let again = ["generate", "--from", "photo.png", "--output", "again.png"];
    place.run(&again).done();
    fs::remove_file(place.path("photos/0.mask.png")).unwrap();
    place.run(&again).failed(1, &["0.mask.png", "not as it was", "--reference"]);
    place.generate("a *", "free.png", &["--reference", "photos/0.png"]).done();
    assert_ne!(latents("kept.png"), latents("free.png"));
}

#[test]
fn masks_that_cannot_be_used() {
    let place = Place::new();
    draw_mask(&place, "photos/0.png", (90, 96));
    place.train(&[]).failed(1, &["0.mask.png", "90x96", "96x96"]);
    let black = Picture::filled(96, 96, [0; 3]);
    write_png(place.path("photos/0.mask.png"), &black, NO_TEXT).unwrap();
    place.train(&[]).failed(1, &["0.mask.png", "no white"]);
    fs::rename(place.path("photos/0.mask.png"), place.path("photos/x.mask.png")).unwrap();
    place.train(&[]).failed(1, &["x.mask.png", "no photo of that name"]);
}

#[test]
fn two_adapters_draw_two_subjects() {
    let place = Place::new();
    place.train(&["--without-photos"]).done();
    let base = base();
    let mut dog = vec!["train", "photos", "--base", &base, "--init-word", "dog", "--seed", "1"];
    dog.extend(["--placeholder", "<dog>", "--output", "dog.safetensors", "--steps", "2"]);
    place.run(&[&dog[..], &["--batch", "1"]].concat()).done();
    let reference = ["--reference", "photos/0.png"];
    let draw = |output: &str, prompt: &str, adapter: &str| {
        let more = [&reference[..], &["--adapter", adapter]].concat();
        place.generate(prompt, output, &more)
    };
    draw("two.png", "a * beside a <dog>", "dog.safetensors").done();
    draw("named.png", "a * beside a +", "dog.safetensors:+").done();
    draw("other.png", "a * beside a <dog>", "dog.safetensors::1").done();
    let pixels = |name: &str| images::read_photo(place.path(name)).unwrap();
    assert_eq!(pixels("two.png"), pixels("named.png"), "a word is a word");
    assert_ne!(pixels("two.png"), pixels("other.png"), "another of its photos");
    place.run(&["generate", "--from", "other.png", "--output", "again.png"]).done();
    assert_eq!(bytes(place.path("other.png")), bytes(place.path("again.png")));

    let mut token = vec!["train", "photos", "--base", &base, "--init-word", "dog", "--steps", "1"];
    token.extend(["--method", "textual-inversion", "--output", "token.safetensors"]);
    place.run(&[&token[..], &["--placeholder", "@"]].concat()).done();
    let method = ["only adapters of ViCo", "textual-inversion"];
    draw("x.png", "a * and @", "token.safetensors").failed(1, &method);
    draw("x.png", "a * alone", "dog.safetensors").failed(2, &["does not hold \"<dog>\""]);
    let same = "adapter.safetensors";
    draw("x.png", "a *", same).failed(2, &["\"*\"", "cannot be told from", "FILE:WORD"]);
    let missing = "dog.safetensors:+:9";
    draw("x.png", "a * and +", missing).failed(1, &["dog.safetensors", "no photo number 9"]);
    let named = ["generate", "a *", "--base", &base, "--adapter", "adapter.safetensors:+"];
    place.run(&[&named[..], &["--output", "x.png"]].concat()).failed(2, &["FILE alone"]);
}
