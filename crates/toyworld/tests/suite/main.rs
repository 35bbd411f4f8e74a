//! The world through its public interface, with the few objects whose pictures are fixtures.

mod captions;
mod files;
mod pictures;
mod scenes;

use std::path::PathBuf;

use toyworld::World;

/// The objects of the fixtures, the last one held out.
const OBJECTS: [&str; 4] = ["dog", "owl", "teapot", "teddy bear"];

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn world() -> World {
    World::of(&fixtures(), &OBJECTS).unwrap()
}
