//! Captions say what the pictures show.

use std::collections::HashSet;

use toyworld::{Kind, Rendering, Scene, World, words};

use crate::{OBJECTS, world};

fn samples(world: &World, count: u64) -> Vec<Rendering> {
    (0..count).map(|seed| world.sample(seed, 8)).collect()
}

fn names_scene(caption: &str, scene: Scene) -> bool {
    scene.phrases().iter().any(|phrase| caption.ends_with(phrase))
}

#[test]
fn captions_name_what_is_drawn() {
    for Rendering { caption, object, scene, kind, .. } in samples(&world(), 1500) {
        let name = OBJECTS[object];
        assert!(caption.contains(name), "{caption}");
        let other_scenes = Scene::ALL.iter().filter(|&&other| other != scene);
        assert!(!other_scenes.into_iter().any(|&s| names_scene(&caption, s)), "{caption}");
        match kind {
            Kind::Plain => assert!(names_scene(&caption, scene), "{caption}"),
            Kind::NoScene => assert!(!names_scene(&caption, scene), "{caption}"),
            Kind::Colour(tint) => {
                assert!(caption.contains(&format!("{} {name}", tint.name())), "{caption}");
            }
            Kind::Size { large } => {
                let says = |words: [&str; 2]| {
                    words.iter().any(|word| caption.contains(&format!("{word} {name}")))
                };
                assert_eq!(says(["big", "large"]), large, "{caption}");
                assert_eq!(says(["small", "little"]), !large, "{caption}");
            }
            Kind::Two { other } => {
                let (a, b) = (caption.find(name).unwrap(), caption.find(OBJECTS[other]).unwrap());
                assert!(a < b, "{caption}");
                assert!(caption.contains(" and a"), "{caption}");
            }
            Kind::Accessory(accessory) => {
                let wearing = format!("{name} wearing {}", accessory.phrase());
                assert!(caption.contains(&wearing), "{caption}");
            }
        }
    }
}

#[test]
fn kinds_are_as_frequent_as_promised() {
    let samples = samples(&world(), 3000);
    let share = |is: fn(&Kind) -> bool| {
        let count = samples.iter().filter(|sample| is(&sample.kind)).count();
        count as f64 / samples.len() as f64
    };
    let near = |found: f64, promised: f64| assert!((found - promised).abs() < 0.03, "{found}");
    near(share(|kind| *kind == Kind::Plain), 0.6);
    near(share(|kind| *kind == Kind::NoScene), 0.15);
    near(share(|kind| matches!(kind, Kind::Colour(_))), 0.1);
    near(share(|kind| matches!(kind, Kind::Size { .. })), 0.05);
    near(share(|kind| matches!(kind, Kind::Two { .. })), 0.05);
    near(share(|kind| matches!(kind, Kind::Accessory(_))), 0.05);
}

#[test]
fn training_never_shows_what_is_held_out() {
    for Rendering { object, kind, caption, .. } in samples(&world(), 1500) {
        assert_ne!(OBJECTS[object], "teddy bear");
        assert!(!matches!(kind, Kind::Two { other: 3 }));
        assert!(!caption.contains("teddy"), "{caption}");
    }
}

#[test]
fn a_world_of_one_plain_object_has_no_company_and_wears_nothing() {
    let world = World::of(&crate::fixtures(), &["teapot"]).unwrap();
    for Rendering { kind, .. } in samples(&world, 300) {
        assert!(!matches!(kind, Kind::Two { .. } | Kind::Accessory(_)));
    }
}

#[test]
fn every_word_of_a_caption_is_known() {
    let known: HashSet<String> = words().into_iter().collect();
    for Rendering { caption, .. } in samples(&world(), 1500) {
        for word in caption.split([' ', '-']) {
            assert!(known.contains(word), "{word} of {caption}");
        }
    }
}

#[test]
fn articles_are_right() {
    for Rendering { caption, .. } in samples(&world(), 1500) {
        let wrong = ["a owl", "an dog", "an teapot", "a orange"];
        let padded = format!(" {caption}");
        assert!(!wrong.iter().any(|w| padded.contains(&format!(" {w}"))), "{caption}");
    }
}
