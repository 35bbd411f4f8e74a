//! Recipes that users write.

#![no_main]

use std::path::Path;

use app::train::RecipeFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = RecipeFile::parse(Path::new("recipe.toml"), text);
});
