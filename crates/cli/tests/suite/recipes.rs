//! Recipe files, and what a run leaves for TensorBoard.

use std::fs;

use super::vico::{Place, base, bytes};

fn with_recipe(text: &str) -> Place {
    let place = Place::new();
    let text = text.replace("BASE", &base());
    fs::write(place.path("recipe.toml"), text).unwrap();
    place
}

const RECIPE: &str = r#"
[recipe]
steps = 4
batch = 2
init_word = "toy"
lr_token = 0.01

[inputs]
photos = "photos"
base = 'BASE'

[outputs]
adapter = "adapter.safetensors"
checkpoint_every = 2
"#;

#[test]
fn a_recipe_and_typed_options_are_the_same() {
    let (file, typed) = (with_recipe(RECIPE), Place::new());
    file.run(&["train", "--recipe", "recipe.toml"]).done();
    typed.train(&["--lr-token", "0.01", "--checkpoint-every", "2"]).done();
    let bytes = |place: &Place| bytes(place.path("adapter.safetensors"));
    assert_eq!(bytes(&file), bytes(&typed));
    let checkpoints = ["step-000002.safetensors", "step-000004.safetensors"];
    assert_eq!(file.list("adapter.run/checkpoints"), checkpoints);
    // The recipe in the run folder is one for another run.
    let recipe = file.path("adapter.run/recipe.toml");
    let recipe = ["train", "--recipe", recipe.to_str().unwrap(), "--output", "b.safetensors"];
    file.run(&recipe).done();
    assert_eq!(bytes(&file), fs::read(file.path("b.safetensors")).unwrap());
}

#[test]
fn what_is_typed_wins() {
    let place = with_recipe(&format!("{RECIPE}[recipe.frozen_weights]\nprecision = \"bf16\"\n"));
    let typed = ["--steps", "3", "--init-word", "dog", "--output", "other.safetensors"];
    let said =
        place.run(&[&["train", "--recipe", "recipe.toml", "--dry-run"], &typed[..]].concat());
    let said = said.done().said();
    for line in [
        "precision = \"bf16\"",
        "steps = 3",
        "lr_token = 0.01",
        "init_word = \"dog\"",
        "other.safetensors",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
    for word in ["memory", "a step", "in all", "3 steps"] {
        assert!(said.contains(word), "a dry run says {word}: {said}");
    }
    assert_eq!(place.list("."), ["photos", "recipe.toml"]);
}

#[test]
fn recipes_that_cannot_be_followed() {
    let refused = |text: &str, code: i32, words: &[&str]| {
        let place = with_recipe(text);
        place.run(&["train", "--recipe", "recipe.toml"]).failed(code, words);
        assert_eq!(place.list("."), ["photos", "recipe.toml"]);
    };
    let stepps = RECIPE.replace("steps", "stepps");
    refused(&stepps, 1, &["recipe.toml", "unknown key recipe.stepps", "nearest is recipe.steps"]);
    refused(&RECIPE.replace("= 4", "= \"four\""), 1, &["recipe.toml", "steps"]);
    refused(&RECIPE.replace("= 4", "= 0"), 2, &["--steps is 0"]);
    refused("[recipe", 1, &["recipe.toml"]);
    refused("", 2, &["missing"]);
    let place = Place::new();
    place.run(&["train", "--recipe", "none.toml"]).failed(1, &["none.toml"]);
    place.train(&[]).done();
    let resume = ["train", "--resume", "adapter.run", "--recipe", "adapter.run/recipe.toml"];
    place.run(&resume).failed(2, &["--recipe"]);
}

/// Everything in the event files of a run.
pub fn events(place: &Place) -> String {
    let files = place.list("adapter.run");
    let files = files.iter().filter(|name| name.starts_with("events.out."));
    let all: Vec<u8> =
        files.flat_map(|name| bytes(place.path(&format!("adapter.run/{name}")))).collect();
    String::from_utf8_lossy(&all).into_owned()
}

#[test]
fn a_run_leaves_events_for_tensorboard() {
    let place = Place::new();
    place.train(&[]).done();
    place.run(&["train", "--resume", "adapter.run", "--steps", "6"]).done();
    let all = events(&place);
    let count = |text: &str| all.matches(text).count();
    assert_eq!(count("brain.Event:2"), 2, "one for each part of the run");
    for tag in ["loss", "gradient_norm", "denoising", "regulariser"] {
        assert_eq!(count(tag), 6, "{tag} in each step");
    }
}
