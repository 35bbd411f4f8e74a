//! The demo, and the model inside the program.

use images::read_photo;

use super::vico::{Place, bytes};

#[test]
fn the_demo_goes_the_whole_way() {
    let place = Place::new();
    let typed = ["demo", "--steps", "2", "--preview-steps", "3", "--output", "out"];
    let said = place.run(&typed).done().said();
    for word in ["sheet.png", "vico train out/photos", "vico generate", "vico mask"] {
        assert!(said.contains(word), "\"{word}\" in:\n{said}");
    }
    assert_eq!(place.list("out"), ["adapter.run", "adapter.safetensors", "photos", "sheet.png"]);
    assert_eq!(place.list("out/photos"), ["00.png", "01.png", "02.png", "03.png", "04.png"]);
    assert_eq!(
        place.list("out/adapter.run/previews"),
        ["step-000000.png", "step-000001.png", "step-000002.png"]
    );
    let sheet = read_photo(place.path("out/sheet.png")).unwrap();
    let cell = 192;
    assert!(sheet.width() >= 6 * cell && sheet.height() >= 4 * cell, "photos and three rows");

    // What it said can be typed as it stands.
    place
        .run(&["mask", "out/photos/00.png", "--adapter", "out/adapter.safetensors", "-o", "m.png"])
        .done();
    place.run(&typed).failed(1, &["out", "holds a demo already", "--output"]);
}

#[test]
fn a_demo_of_ones_own_photos_needs_their_class_word() {
    let place = Place::new();
    place.run(&["demo", "--photos", "photos"]).failed(2, &["--init-word"]);
    let said = ["demo", "--photos", "photos", "--init-word", "ball", "--steps", "0"];
    place.run(&said).failed(2, &["--steps"]);
    let said = ["demo", "--preview-steps", "0"];
    place.run(&said).failed(2, &["--preview-steps is 0", "from 1 to 1000"]);
}

#[test]
fn the_model_inside_is_the_default_and_draws_the_same_picture_again() {
    let place = Place::new();
    let train = ["train", "photos", "--init-word", "ball", "--steps", "1", "--batch", "1"];
    let output = ["--output", "adapter.safetensors"];
    place.run(&[&train[..], &output].concat()).done();
    let draw = |prompt: &str, name: &str| {
        let typed = ["generate", prompt, "--adapter", "adapter.safetensors", "--steps", "4"];
        place.run(&[&typed[..], &["--output", name]].concat()).done();
        bytes(place.path(name))
    };
    let beach = draw("a photo of * on the beach", "beach.png");
    assert!(beach == draw("a photo of * on the beach", "beach-again.png"));
    assert!(beach != draw("a photo of * in the snow", "snow.png"));
    assert_eq!(read_photo(place.path("beach.png")).unwrap().width(), 64);
}

#[test]
fn words_that_the_small_model_does_not_know_are_named() {
    let place = Place::new();
    let typed = ["train", "photos", "--init-word", "xylophone", "--output", "a.safetensors"];
    place.run(&typed).failed(2, &["init word", "xylophone", "tokens"]);
}
