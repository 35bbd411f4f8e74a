//! Resizing gives Pillow's bytes.

use images::{Filter, Picture, cover, read_photo, resize};

use crate::fixture;

fn assert_as_pillow(filter: Filter, name: &str) {
    let source = read_photo(fixture("resize-source.png")).unwrap();
    for (width, height) in [(17, 13), (64, 50), (20, 45), (40, 9)] {
        // Below the size of a photo, so read by other means.
        let expected = read_any_size(&format!("resize-{name}-{width}x{height}.png"));
        assert!(resize(&source, width, height, filter) == expected, "{name} to {width}x{height}");
    }
}

fn read_any_size(name: &str) -> Picture {
    let image = image::open(fixture(name)).unwrap().into_rgb8();
    Picture::from_rgb(image.width() as usize, image.height() as usize, image.into_raw())
}

#[test]
fn bilinear_is_that_of_pillow() {
    assert_as_pillow(Filter::Bilinear, "bilinear");
}

#[test]
fn bicubic_is_that_of_pillow() {
    assert_as_pillow(Filter::Bicubic, "bicubic");
}

#[test]
fn lanczos_is_that_of_pillow() {
    assert_as_pillow(Filter::Lanczos, "lanczos");
}

#[test]
fn a_plain_picture_stays_plain() {
    let plain = Picture::filled(37, 11, [255, 128, 3]);
    for filter in [Filter::Bilinear, Filter::Bicubic, Filter::Lanczos] {
        for (width, height) in [(1, 1), (5, 80), (200, 3), (37, 11)] {
            let expected = Picture::filled(width, height, [255, 128, 3]);
            assert_eq!(resize(&plain, width, height, filter), expected);
        }
    }
}

/// A picture whose columns and rows can be told apart by their colours.
fn ramp(width: usize, height: usize) -> Picture {
    let pixel = |i: usize| [(i % width) as u8, (i / width) as u8, 0];
    Picture::from_rgb(width, height, (0..width * height).flat_map(pixel).collect())
}

#[test]
fn covering_keeps_the_middle() {
    let wide = cover(&ramp(40, 20), 20, 20, Filter::Lanczos);
    assert_eq!((wide.pixel(0, 0), wide.pixel(19, 19)), ([10, 0, 0], [29, 19, 0]));
    let high = cover(&ramp(20, 40), 20, 20, Filter::Lanczos);
    assert_eq!((high.pixel(0, 0), high.pixel(19, 19)), ([0, 10, 0], [19, 29, 0]));
}

#[test]
fn covering_fills_any_size() {
    for (width, height) in [(7, 31), (64, 8), (1, 1), (33, 33)] {
        let covered = cover(&Picture::filled(13, 29, [5, 6, 7]), width, height, Filter::Lanczos);
        assert_eq!(covered, Picture::filled(width, height, [5, 6, 7]));
    }
}
