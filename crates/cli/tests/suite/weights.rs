//! `--precision` and `--memory`: what they choose is recorded and kept.

use std::fs;

use super::{
    training::learned,
    vico::{Place, Run, base, bytes},
};

const ADAPTER: &str = "adapter.safetensors";
const RECIPE: &str = "adapter.run/recipe.toml";

/// `precision` and `convolutions` of the recipe in the run folder.
fn recorded(place: &Place) -> [String; 2] {
    let recipe: toml::Table =
        toml::from_str(&fs::read_to_string(place.path(RECIPE)).unwrap()).unwrap();
    let weights = &recipe["recipe"]["frozen_weights"];
    ["precision", "convolutions"].map(|key| weights[key].as_str().unwrap().to_owned())
}

fn resume(place: &Place, more: &[&str]) -> Run {
    place.run(&[&["train", "--resume", "adapter.run", "--steps", "4"], more].concat())
}

#[test]
fn a_resumed_training_in_bf16_ends_at_the_same_bits() {
    let (whole, parts) = (Place::new(), Place::new());
    whole.train(&["--precision", "bf16"]).done();
    let base = base();
    let mut begin = vec!["train", "photos", "--base", &base, "--init-word", "toy", "--steps", "2"];
    begin.extend(["--batch", "2", "--output", ADAPTER, "--precision", "bf16"]);
    parts.run(&begin).done();
    assert_eq!(recorded(&parts), ["bf16", "balanced"]);
    resume(&parts, &["--precision", "f32"]).failed(2, &["as it began", "bf16"]);
    resume(&parts, &[]).done();
    assert_eq!(bytes(whole.path(ADAPTER)), bytes(parts.path(ADAPTER)));
    assert_eq!(recorded(&parts), ["bf16", "balanced"]);

    let exact = Place::new();
    exact.train(&[]).done();
    assert_ne!(learned(&whole.path(ADAPTER)), learned(&exact.path(ADAPTER)), "bf16 is not f32");
    resume(&exact, &["--precision", "bf16"]).failed(2, &["as it began", "f32"]);
}

#[test]
fn what_memory_chose_is_kept() {
    let place = Place::new();
    place.train(&["--memory", "100GB"]).done();
    assert_eq!(recorded(&place), ["f32", "fast"]);
    resume(&place, &[]).done();
    resume(&place, &["--memory", "100GB", "--precision", "f32"]).done();
    assert_eq!(recorded(&place), ["f32", "fast"]);

    let default = Place::new();
    default.train(&[]).done();
    assert_eq!(recorded(&default), ["f32", "balanced"]);
    resume(&default, &["--memory", "100GB"]).failed(2, &["as it began", "Winograd F(2x2)"]);
}

/// A run from before it was recorded how weights are kept.
#[test]
fn an_old_run_goes_on_in_f32() {
    let (old, new) = (Place::new(), Place::new());
    for place in [&old, &new] {
        place.train(&[]).done();
    }
    let text = fs::read_to_string(old.path(RECIPE)).unwrap();
    let mut recipe: toml::Table = toml::from_str(&text).unwrap();
    recipe["recipe"].as_table_mut().unwrap().remove("frozen_weights").unwrap();
    fs::write(old.path(RECIPE), toml::to_string(&recipe).unwrap()).unwrap();
    for place in [&old, &new] {
        place.run(&["train", "--resume", "adapter.run", "--steps", "5"]).done();
    }
    assert_eq!(bytes(old.path(ADAPTER)), bytes(new.path(ADAPTER)));
    assert_eq!(recorded(&old), ["f32", "balanced"]);
}

#[test]
fn a_recipe_that_was_changed_does_not_fit_the_checkpoint() {
    let place = Place::new();
    place.train(&[]).done();
    let text = fs::read_to_string(place.path(RECIPE)).unwrap();
    fs::write(place.path(RECIPE), text.replace("\"f32\"", "\"bf16\"")).unwrap();
    resume(&place, &[]).failed(1, &["state.safetensors", "f32", "bf16", "recipe.toml"]);
}

#[test]
fn too_little_memory_is_noticed_before_the_work() {
    let place = Place::new();
    place.train(&["--memory", "1MB"]).failed(1, &["--memory is 1 MB", "are needed"]);
    let huge = ["--size", "65536"];
    place.train(&huge).failed(1, &["this needs", "are free", "lower --batch"]);
    place.train(&["--memory", "some"]).failed(2, &["--memory"]);
    assert_eq!(place.list("."), ["photos"], "nothing was written");
}
