//! Every variety of photo comes out upright and in the right colours.

use images::{Picture, read_photo};

use crate::fixture;

type Colour = [u8; 3];

const RED: Colour = [200, 30, 30];
const GREEN: Colour = [30, 160, 40];
const BLUE: Colour = [30, 50, 200];
const GREY: Colour = [200, 200, 200];
const UPRIGHT: [Colour; 4] = [RED, GREEN, BLUE, GREY];

/// The quarters in grey, as BT.601 weighs them.
const SHADES: [Colour; 4] = [[81; 3], [107; 3], [61; 3], [200; 3]];

/// A colour half transparent (128 of 255) on white.
fn half(colour: Colour) -> Colour {
    colour.map(|c| ((u32::from(c) * 128 + 255 * 127 + 127) / 255) as u8)
}

/// Asserts that the middles of the four quarters, top left, top right, bottom left and bottom
/// right, are `expected` within `tolerance`.
#[track_caller]
fn assert_quarters(name: &str, expected: [Colour; 4], tolerance: u8) {
    let picture = read_photo(fixture(name)).unwrap();
    assert_eq!((picture.width(), picture.height()), (48, 32), "{name} is upright");
    let found = [(12, 8), (36, 8), (12, 24), (36, 24)].map(|(x, y)| picture.pixel(x, y));
    let near = |(a, b): (&u8, &u8)| a.abs_diff(*b) <= tolerance;
    let all_near = found.as_flattened().iter().zip(expected.as_flattened()).all(near);
    assert!(all_near, "{name}: found {found:?}, expected {expected:?}");
}

#[test]
fn all_exif_orientations_of_a_jpeg_are_applied() {
    for orientation in 1..=8 {
        assert_quarters(&format!("orientation-{orientation}.jpg"), UPRIGHT, 3);
    }
}

#[test]
fn orientations_of_png_and_webp_are_applied() {
    assert_quarters("orientation-8.png", UPRIGHT, 0);
    assert_quarters("orientation-7-behind-pixels.png", UPRIGHT, 0);
    assert_quarters("orientation-6-lossless.webp", UPRIGHT, 0);
    assert_quarters("orientation-6-as-in-jpeg.webp", UPRIGHT, 0);
    assert_quarters("orientation-5-lossy.webp", UPRIGHT, 6);
}

#[test]
fn inks_become_light() {
    assert_quarters("cmyk.jpg", UPRIGHT, 4);
    assert_quarters("ycck.jpg", UPRIGHT, 6);
}

#[test]
fn grey_is_spread_to_three_channels() {
    assert_quarters("grey.jpg", SHADES, 3);
    assert_quarters("grey.png", SHADES, 0);
    assert_quarters("grey16.png", SHADES, 0);
}

#[test]
fn other_depths_are_brought_to_eight_bits() {
    assert_quarters("rgb16.png", UPRIGHT, 0);
    assert_quarters("indexed.png", UPRIGHT, 0);
    assert_quarters("bilevel.png", [[0; 3], [0; 3], [0; 3], [255; 3]], 0);
    assert_quarters("progressive.jpg", UPRIGHT, 3);
}

#[test]
fn transparency_is_laid_on_white() {
    let half =
        |colour: Colour| colour.map(|c| ((u32::from(c) * 128 + 255 * 127 + 127) / 255) as u8);
    let white = [255; 3];
    let colours = [RED, GREEN, white, half(GREY)];
    for name in ["rgba.png", "rgba16.png", "indexed-alpha.png", "rgba-lossless.webp"] {
        assert_quarters(name, colours, 0);
    }
    assert_quarters("rgba-lossy.webp", colours, 6);
    let [dark, lighter, _, light] = SHADES;
    for name in ["grey-alpha.png", "grey-alpha16.png"] {
        assert_quarters(name, [dark, lighter, white, half(light)], 0);
    }
}

#[test]
fn an_animation_gives_its_first_frame() {
    assert_quarters("animated.png", UPRIGHT, 0);
    assert_quarters("animated.webp", UPRIGHT, 0);
    assert_quarters("animated-rgba.webp", [RED, GREEN, [255; 3], half(GREY)], 6);
}

#[test]
fn the_content_counts_not_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let misnamed = folder.path().join("photo.png");
    std::fs::copy(fixture("orientation-3.jpg"), &misnamed).unwrap();
    let named = read_photo(fixture("orientation-3.jpg")).unwrap();
    assert!(read_photo(misnamed).unwrap() == named);
}

#[test]
fn what_is_written_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture.png");
    let picture = Picture::from_rgb(16, 17, (0..16 * 17 * 3).map(|i| i as u8).collect());
    images::write_png(&path, &picture, &[] as &[(&str, &str)]).unwrap();
    assert!(read_photo(&path).unwrap() == picture);
}
