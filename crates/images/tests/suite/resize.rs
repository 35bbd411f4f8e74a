//! Resizing gives Pillow's bytes.

use images::{Filter, Picture, read_photo, resize};

use crate::fixture;

fn assert_as_pillow(filter: Filter, name: &str) {
    let source = read_photo(fixture("resize-source.png")).unwrap();
    for (width, height) in [(17, 13), (64, 50), (20, 45), (40, 9)] {
        // Below the size of a photo, so read by other means.
        let expected = read_any_size(&format!("resize-{name}-{width}x{height}.png"));
        let resized = resize(&source, width, height, filter);
        let pairs = resized.rgb().iter().zip(expected.rgb());
        let worst = pairs.map(|(a, b)| a.abs_diff(*b)).max();
        assert_eq!(worst, Some(0), "{name} to {width}x{height}");
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
