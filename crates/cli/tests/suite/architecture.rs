//! The direction of the crates, as ARCHITECTURE.md draws it.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What each crate may use of the others.
const MAY_USE: [(&str, &[&str]); 13] = [
    ("kernels", &[]),
    ("formats", &[]),
    ("images", &["formats"]),
    ("golden", &["formats"]),
    ("toyworld", &[]),
    ("builtin", &[]),
    ("engine", &["kernels"]),
    ("diffusion", &["engine", "formats"]),
    ("personalize", &["engine", "diffusion", "formats", "images"]),
    ("evaluate", &["engine", "diffusion", "formats", "images"]),
    ("app", &["builtin", "engine", "diffusion", "personalize", "evaluate", "formats", "images"]),
    ("cli", &["app"]),
    (
        "toybox",
        &["app", "engine", "diffusion", "personalize", "evaluate", "formats", "images", "toyworld"],
    ),
];

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn dependencies(name: &str) -> Vec<String> {
    let text = fs::read_to_string(crates().join(name).join("Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    manifest
        .get("dependencies")
        .map_or_else(Vec::new, |d| d.as_table().unwrap().keys().cloned().collect())
}

#[test]
fn crates_depend_in_one_direction() {
    let own: Vec<&str> = MAY_USE.iter().map(|(name, _)| *name).collect();
    let mut found: Vec<String> = fs::read_dir(crates())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    let mut known: Vec<String> = own.iter().map(|&name| name.to_owned()).collect();
    known.sort();
    assert_eq!(found, known, "every crate has its place");
    for (name, may_use) in MAY_USE {
        for used in dependencies(name).iter().filter(|used| own.contains(&used.as_str())) {
            assert!(may_use.contains(&used.as_str()), "{name} must not know {used}");
        }
    }
}

#[test]
fn only_the_engine_names_burn() {
    for (name, _) in MAY_USE {
        let burn = dependencies(name).iter().any(|used| used.starts_with("burn"));
        assert_eq!(burn, name == "engine", "{name}");
    }
}
