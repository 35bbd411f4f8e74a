//! Pictures: the same from the same seed, with the object where its mask says.

use toyworld::{Kind, Rendering, Scene, World};

use crate::world;

/// FNV-1a, 64 bits.
fn checksum(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn mean_difference(a: &[u8], b: &[u8]) -> f64 {
    let sum: u64 = a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / a.len() as f64
}

/// Trained models depend on it: if this fails, what they were trained on is no longer what is
/// drawn.
#[test]
fn pictures_are_those_that_models_were_trained_on() {
    let world = world();
    let mut hash = 0xcbf2_9ce4_8422_2325;
    for seed in 0..40 {
        let Rendering { pixels, mask, caption, .. } = world.sample(seed, 64);
        hash = [pixels.as_slice(), &mask, caption.as_bytes()].into_iter().fold(hash, checksum);
    }
    for (i, &scene) in Scene::ALL.iter().enumerate() {
        hash = checksum(hash, &world.plain(i % 4, scene, i as u64, 64).pixels);
    }
    assert_eq!(hash, 0xb48d_cfcb_8551_1a58, "{hash:#018x}");
}

#[test]
fn pictures_have_the_size_asked_for_and_show_the_same_at_every_size() {
    let world = world();
    for seed in 0..12 {
        let (small, large) = (world.sample(seed, 48), world.sample(seed, 96));
        assert_eq!((small.pixels.len(), small.mask.len()), (48 * 48 * 3, 48 * 48));
        assert_eq!((large.pixels.len(), large.mask.len()), (96 * 96 * 3, 96 * 96));
        assert_eq!((&small.caption, small.kind), (&large.caption, large.kind));
        let halved = |channels: usize, bytes: &[u8]| -> Vec<u8> {
            let at = |x: usize, y: usize, c: usize| u16::from(bytes[(y * 96 + x) * channels + c]);
            let mean = |i: usize| {
                let (x, y, c) = (i / channels % 48 * 2, i / channels / 48 * 2, i % channels);
                ((at(x, y, c) + at(x + 1, y, c) + at(x, y + 1, c) + at(x + 1, y + 1, c)) / 4) as u8
            };
            (0..48 * 48 * channels).map(mean).collect()
        };
        let difference = mean_difference(&halved(3, &large.pixels), &small.pixels);
        assert!(difference < 6.0, "{}: {difference}", small.caption);
        assert!(mean_difference(&halved(1, &large.mask), &small.mask) < 2.0);
    }
}

#[test]
fn threads_share_a_world() {
    let world = world();
    let draw = |seed| world.sample(seed, 16);
    let alone: Vec<_> = (0..8).map(draw).collect();
    let together: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|seed| scope.spawn(move || draw(seed))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(alone, together);
}

/// How far the picture's and the scene's pixel are from each other.
fn change(picture: &[u8], scene: &[u8], pixel: usize) -> i32 {
    (0..3)
        .map(|c| (i32::from(picture[pixel * 3 + c]) - i32::from(scene[pixel * 3 + c])).abs())
        .sum()
}

#[test]
fn the_mask_is_where_the_object_is() {
    let world = world();
    for (seed, &scene) in Scene::ALL.iter().enumerate() {
        for object in 0..4 {
            let Rendering { pixels, mask, .. } = world.plain(object, scene, seed as u64, 64);
            let empty = scene.picture(seed as u64, 64);
            let (covered, bare): (Vec<usize>, Vec<usize>) = (0..64 * 64)
                .filter(|&i| [0, 255].contains(&mask[i]))
                .partition(|&i| mask[i] == 255);
            assert!(covered.len() > 200, "{scene:?}: {} pixels", covered.len());
            let changed = covered.iter().filter(|&&i| change(&pixels, &empty, i) > 12).count();
            assert!(changed * 10 > covered.len() * 9, "{scene:?}: {changed} of {}", covered.len());
            // Around the object only its shadow, image or glow: most stays as it was.
            let kept = bare.iter().filter(|&&i| change(&pixels, &empty, i) <= 3).count();
            assert!(kept * 2 > bare.len(), "{scene:?}: {kept} of {}", bare.len());
        }
    }
}

#[test]
fn shadows_only_darken() {
    let world = world();
    for scene in [Scene::Beach, Scene::WoodenFloor, Scene::Snow, Scene::PinkFabric] {
        let Rendering { pixels, mask, .. } = world.plain(2, scene, 5, 64);
        let empty = scene.picture(5, 64);
        let mut darker = 0;
        for i in (0..64 * 64).filter(|&i| mask[i] == 0) {
            for c in 0..3 {
                assert!(pixels[i * 3 + c] <= empty[i * 3 + c].saturating_add(1), "{scene:?}");
            }
            darker += usize::from(change(&pixels, &empty, i) > 30);
        }
        assert!(darker > 20, "{scene:?}: {darker} pixels of shadow");
    }
}

/// The first samples of a kind.
fn samples_of(world: &World, is: impl Fn(&Kind) -> bool, count: usize) -> Vec<Rendering> {
    let seeds = (0..).filter(|&seed| is(&world.sample(seed, 4).kind)).take(count);
    seeds.map(|seed| world.sample(seed, 64)).collect()
}

#[test]
fn sizes_are_as_the_captions_say() {
    let world = world();
    let area = |sample: &Rendering| sample.mask.iter().filter(|&&m| m > 127).count();
    let largest =
        samples_of(&world, |k| *k == Kind::Size { large: false }, 12).iter().map(area).max();
    let least = samples_of(&world, |k| *k == Kind::Size { large: true }, 12).iter().map(area).min();
    assert!(largest < least, "{largest:?} {least:?}");
}

#[test]
fn colours_are_as_the_captions_say() {
    let world = world();
    let dyed = samples_of(&world, |kind| matches!(kind, Kind::Colour(_)), 24);
    for Rendering { pixels, mask, caption, kind, .. } in dyed {
        let Kind::Colour(tint) = kind else { unreachable!() };
        let sum = |c: usize| -> f64 {
            let of = |i: usize| f64::from(pixels[i * 3 + c]) * f64::from(mask[i]);
            (0..mask.len()).map(of).sum()
        };
        let (r, g, b) = (sum(0), sum(1), sum(2));
        let holds = match tint.name() {
            "red" | "orange" | "yellow" => r > b && r > g * 0.9,
            "green" => g > r && g > b,
            "blue" => b > r && b > g,
            _ => r > g && b > g,
        };
        assert!(holds, "{caption}: {r} {g} {b}");
    }
}
