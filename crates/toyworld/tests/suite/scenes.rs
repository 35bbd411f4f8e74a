//! Scenes differ from each other, and from seed to seed.

use std::collections::HashSet;

use toyworld::Scene;

const SIDE: usize = 16;

/// The mean difference of two pictures' bytes.
fn distance(a: &[u8], b: &[u8]) -> f64 {
    let sum: u64 = a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / a.len() as f64
}

#[test]
fn names_and_phrases_are_unique() {
    let names: HashSet<_> = Scene::ALL.iter().map(|scene| scene.name()).collect();
    assert_eq!(names.len(), 20);
    let phrases: Vec<_> = Scene::ALL.iter().flat_map(|scene| scene.phrases()).collect();
    assert_eq!(phrases.iter().collect::<HashSet<_>>().len(), phrases.len());
    for scene in Scene::ALL {
        assert_eq!(scene.phrase(), scene.phrases()[0]);
    }
}

#[test]
fn a_seed_always_gives_the_same_picture() {
    for scene in Scene::ALL {
        assert_eq!(scene.picture(3, SIDE), scene.picture(3, SIDE), "{scene:?}");
    }
}

#[test]
fn scenes_vary_with_the_seed() {
    for scene in Scene::ALL {
        let pictures: Vec<_> = (0..6).map(|seed| scene.picture(seed, SIDE)).collect();
        for (i, a) in pictures.iter().enumerate() {
            for b in &pictures[i + 1..] {
                assert!(distance(a, b) > 2.5, "{scene:?}: {}", distance(a, b));
            }
        }
    }
}

/// Even the simplest of classifiers tells them apart: the nearest of a few examples, at 16 pixels.
#[test]
fn scenes_are_told_apart_by_their_nearest_neighbour() {
    let of = |seeds: std::ops::Range<u64>| {
        let pictures =
            move |&scene: &Scene| seeds.clone().map(move |seed| (scene, scene.picture(seed, SIDE)));
        Scene::ALL.iter().flat_map(pictures).collect::<Vec<_>>()
    };
    let (known, asked) = (of(0..24), of(100..110));
    let right = asked.iter().filter(|(scene, picture)| {
        let nearer = |a: &&(Scene, Vec<u8>), b: &&(Scene, Vec<u8>)| {
            distance(&a.1, picture).total_cmp(&distance(&b.1, picture))
        };
        known.iter().min_by(nearer).is_some_and(|(nearest, _)| nearest == scene)
    });
    let share = right.count() as f64 / asked.len() as f64;
    assert!(share > 0.9, "{share}");
}
