//! Draws sheets of the world to look at.
//!
//! `cargo run -p toyworld --release --example sheet -- FOLDER OUT.png [WHAT]`, where FOLDER holds
//! the pictures of the objects and WHAT is one of
//!
//! - `--objects`: every object to train on, in a scene (the default),
//! - `--held-out`: every object held out,
//! - `--scenes`: every scene, eight times, empty,
//! - `--samples N`: N pictures of the training world; prints their captions,
//!
//! and, after these, `--side N` for the side of a picture in pixels (128).

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use image::RgbImage;
use toyworld::{Rendering, Scene, World};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, out, options @ ..] = &args[..] else {
        return Err(
            "usage: sheet FOLDER OUT.png [--objects|--held-out|--scenes|--samples N] [--side N]"
                .into(),
        );
    };
    let number = |flag: &str| -> Result<Option<usize>, std::num::ParseIntError> {
        let at = options.iter().position(|option| option == flag);
        at.and_then(|i| options.get(i + 1)).map(|text| text.parse()).transpose()
    };
    let side = number("--side")?.unwrap_or(128);
    let given = |flag: &str| options.iter().any(|option| option == flag);
    let world = World::open(Path::new(folder))?;

    let start = Instant::now();
    let (pictures, columns) = if let Some(count) = number("--samples")? {
        (samples(&world, count, side), 10)
    } else if given("--scenes") {
        (scenes(side), 8)
    } else if given("--held-out") {
        (objects(&world, world.held_out(), side), 8)
    } else {
        (objects(&world, world.trained(), side), 13)
    };
    let each = start.elapsed().as_secs_f64() * 1e3 / pictures.len() as f64;
    sheet(&pictures, columns, side).save(out)?;
    eprint(&format!("{} pictures of {side} x {side} pixels, {each:.2} ms each", pictures.len()));
    Ok(())
}

fn objects(world: &World, indices: impl Iterator<Item = usize>, side: usize) -> Vec<Vec<u8>> {
    let scene = |i: usize| Scene::ALL[i % Scene::ALL.len()];
    indices.map(|i| world.plain(i, scene(i * 7), i as u64, side).pixels).collect()
}

fn scenes(side: usize) -> Vec<Vec<u8>> {
    Scene::ALL.iter().flat_map(|scene| (0..8).map(|seed| scene.picture(seed, side))).collect()
}

fn samples(world: &World, count: usize, side: usize) -> Vec<Vec<u8>> {
    let sample = |seed| {
        let Rendering { caption, pixels, .. } = world.sample(seed, side);
        eprint(&format!("{seed}: {caption}"));
        pixels
    };
    (0..count as u64).map(sample).collect()
}

/// Lays square pictures out in rows.
fn sheet(pictures: &[Vec<u8>], columns: usize, side: usize) -> RgbImage {
    let rows = pictures.len().div_ceil(columns);
    let mut sheet = RgbImage::new((columns * side) as u32, (rows * side) as u32);
    for (i, pixels) in pictures.iter().enumerate() {
        let (left, top) = (i % columns * side, i / columns * side);
        let picture = RgbImage::from_raw(side as u32, side as u32, pixels.clone());
        let picture = picture.expect("a picture has the bytes of its side");
        image::imageops::replace(&mut sheet, &picture, left as i64, top as i64);
    }
    sheet
}

#[expect(clippy::print_stderr, reason = "a program to look at its output")]
fn eprint(line: &str) {
    eprintln!("{line}");
}
