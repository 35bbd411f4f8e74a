//! Stable Diffusion 2, from photos to pictures.

use formats::TensorFile;
use images::read_photo;

use super::vico::Place;

#[test]
fn a_model_that_predicts_v_is_trained_and_draws() {
    let place = Place::new();
    let base = golden::fixture("diffusers/tiny-sd2").canonicalize().unwrap();
    let base = base.to_str().unwrap();
    let train = ["train", "photos", "--base", base, "--init-word", "a", "--steps", "3"];
    place.run(&[&train[..], &["--batch", "2", "--output", "adapter.safetensors"]].concat()).done();
    let adapter = TensorFile::open(place.path("adapter.safetensors")).unwrap();
    assert_eq!(adapter.get("placeholder_embedding").unwrap().shape, [1, 16]);
    let draw =
        ["generate", "a (*:1.2) BREAK b", "--base", base, "--adapter", "adapter.safetensors"];
    let draw =
        [&draw[..], &["--steps", "3", "--sampler", "dpmpp-2m", "--output", "x.png"]].concat();
    place.run(&draw).done();
    let picture = read_photo(place.path("x.png")).unwrap();
    assert_eq!((picture.width(), picture.height()), (48, 48));
}
