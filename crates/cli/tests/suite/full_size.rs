//! The whole program on a full-size Stable Diffusion 1.x.
//!
//! Off unless `VICO_FULL_SD` names a diffusers folder; random weights will do.
//! To be run in release, with `--nocapture` to see the figures.
#![allow(clippy::print_stdout)]

use std::{fs, path::PathBuf, time::Instant};

use super::vico::Place;

/// Memory that training at 512 px with batch 1 may take at its peak.
const MOST_GIGABYTES: f64 = 10.0;

/// What the program says of itself: `peak memory 6.5 GB`.
fn peak_memory(said: &str) -> f64 {
    let figure = said.split("peak memory ").nth(1).and_then(|rest| rest.split(" GB").next());
    figure.and_then(|figure| figure.parse().ok()).unwrap_or_else(|| panic!("no peak in {said}"))
}

#[test]
fn full_size_trains_and_draws() {
    let Some(base) = std::env::var_os("VICO_FULL_SD").map(PathBuf::from) else { return };
    let base = base.to_str().unwrap();
    let place = Place::new();
    let start = Instant::now();
    let mut arguments = vec!["train", "photos", "--base", base, "--init-word", "toy"];
    arguments.extend(["--size", "512", "--batch", "1", "--steps", "2"]);
    arguments.extend(["--output", "adapter.safetensors"]);
    let said = place.run(&arguments).done().said();
    println!("{said}\ntraining: {:.1?}", start.elapsed());
    assert!(peak_memory(&said) < MOST_GIGABYTES, "{said}");
    let size = fs::metadata(place.path("adapter.safetensors")).unwrap().len();
    assert!(size > 4 * 51_248_960, "{size} bytes hold all that is learned");

    let start = Instant::now();
    let mut arguments = vec!["generate", "a photo of * on the beach", "--base", base];
    arguments.extend(["--adapter", "adapter.safetensors", "--steps", "2", "--output", "x.png"]);
    place.run(&arguments).done();
    println!("one picture in 2 steps: {:.1?}", start.elapsed());
    let picture = images::read_photo(place.path("x.png")).unwrap();
    assert_eq!((picture.width(), picture.height()), (512, 512));
}
