//! ViCo's switches through the whole program.

use std::fs;

use super::vico::{Place, base, bytes};

const SWITCHES: [&str; 7] = [
    "--no-mask",
    "--injection",
    "concat",
    "--image-attention",
    "encoder",
    "--zero-init",
    "--same-reference",
];

#[test]
fn switches_are_recorded_resumed_and_used() {
    let (whole, parts) = (Place::new(), Place::new());
    let said = whole.train(&SWITCHES).done().said();
    let differences = "no mask, concatenated features in place of attention, image attention in \
                       the encoder, zero-initialised output, each photo its own reference";
    assert!(said.contains(&format!("unlike the paper: {differences}")), "{said}");

    let base = base();
    let mut arguments = vec!["train", "photos", "--base", &base, "--init-word", "toy"];
    arguments.extend(["--output", "adapter.safetensors", "--batch", "2", "--steps", "2"]);
    parts.run(&[&arguments[..], &SWITCHES].concat()).done();
    parts.run(&["train", "--resume", "adapter.run", "--steps", "4"]).done();
    let adapter = "adapter.safetensors";
    assert_eq!(bytes(whole.path(adapter)), bytes(parts.path(adapter)), "a resumed run");
    parts.run(&["train", "--resume", "adapter.run", "--detach-reference"]).failed(2, &["keeps"]);
    let recipe = fs::read_to_string(whole.path("adapter.run/recipe.toml")).unwrap();
    assert!(recipe.contains("[recipe.vico]\nmask = false\ninjection = \"concat\""), "{recipe}");

    whole.generate("a * here", "x.png", &[]).done();
    let said = whole.run(&["inspect", adapter]).done().said();
    assert!(said.contains(&format!("unlike paper {differences}")), "{said}");
    let mask = ["mask", "photos/0.png", "--base", &base, "--adapter", adapter];
    let said = whole.run(&mask).done().said();
    assert!(said.contains("100 % taken") && said.contains("input_blocks.1.1"), "{said}");
    let wider = ["--width", "256"];
    whole.generate("a * here", "y.png", &wider).failed(2, &["patch by patch", "--reference"]);
    let export = ["export", adapter, "--format", "vico-official", "--output", "official"];
    whole.run(&export).failed(1, &["cannot draw", "no mask"]);
}

#[test]
fn a_detached_training_is_resumed_to_the_same_bits() {
    let (whole, parts) = (Place::new(), Place::new());
    let switches = ["--detach-reference", "--injection", "add", "--image-attention", "all"];
    whole.train(&switches).done();
    let base = base();
    let mut arguments = vec!["train", "photos", "--base", &base, "--init-word", "toy"];
    arguments.extend(["--output", "adapter.safetensors", "--batch", "2", "--steps", "1"]);
    parts.run(&[&arguments[..], &switches].concat()).done();
    parts.run(&["train", "--resume", "adapter.run", "--steps", "4"]).done();
    let adapter = "adapter.safetensors";
    assert_eq!(bytes(whole.path(adapter)), bytes(parts.path(adapter)));
}

#[test]
fn a_detached_training_has_no_regulariser() {
    let place = Place::new();
    let said = place.train(&["--detach-reference", "--dry-run"]).done().said();
    assert!(said.contains("detach_reference = true"), "{said}");
    assert!(said.contains("reg_weight = 0.0"), "{said}");
    let both = ["--detach-reference", "--reg-weight", "0.1"];
    place.train(&both).failed(2, &["--reg-weight is 0.1, expected 0", "--detach-reference"]);
    let other = ["--method", "textual-inversion", "--no-mask"];
    place.train(&other).failed(2, &["no mask", "textual-inversion"]);
    place.train(&["--injection", "sum"]).failed(2, &["expected attention, concat, add"]);
    assert_eq!(place.list("."), ["photos"], "nothing was written");
}
