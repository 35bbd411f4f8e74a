//! An attention map or a mask, shown on the photo that it belongs to.

use crate::Picture;
use crate::map::{Grid, mix, scaled};

const OUTLINE: [u8; 3] = [255, 214, 0];

/// The brightness of what the map leaves in the dark.
const DIMMED: f32 = 0.25;

/// How far the largest value of the map brings the photo back outside a mask: clearly visible, and
/// clearly not inside.
const OUTSIDE_MASK: f32 = 0.5;

/// Lights a photo by an attention map: in full colour where the map is largest, dark and grey where
/// it is least.
///
/// With a mask, the photo is left as it is where the mask is true, and a thin yellow line is drawn
/// around that. Outside of it the map lights the photo only half, which shows where attention lies
/// that the mask leaves out.
///
/// `map`, of any range, and `mask` are `[map_height, map_width]`, row by row, and are stretched over
/// the photo: the map smoothly, the mask with sharp edges.
///
/// # Panics
///
/// If a side is zero, or `map` or `mask` do not hold `map_height * map_width` values.
#[must_use]
pub fn overlay(
    photo: &Picture,
    map: &[f32],
    map_width: usize,
    map_height: usize,
    mask: Option<&[bool]>,
) -> Picture {
    let (width, height) = (photo.width(), photo.height());
    let light = Grid::new(&scaled(map), map_width, map_height).enlarged(width, height);
    let pixels = photo.rgb().as_chunks::<3>().0.iter().zip(light);
    let Some(mask) = mask else {
        let rgb = pixels.flat_map(|(pixel, light)| lit(pixel, light)).collect();
        return Picture::from_rgb(width, height, rgb);
    };
    let mask =
        Mask { inside: Grid::new(mask, map_width, map_height).repeated(width, height), width };
    let line = (width.min(height) / 256).max(1);
    let colour = |(at, (&pixel, light))| match () {
        () if mask.inside[at] => pixel,
        () if mask.is_near(at, line) => OUTLINE,
        () => lit(&pixel, light * OUTSIDE_MASK),
    };
    Picture::from_rgb(width, height, pixels.enumerate().flat_map(colour).collect())
}

/// A pixel of the photo, between dark grey (`light` 0) and itself (1).
fn lit(pixel: &[u8; 3], light: f32) -> [u8; 3] {
    let [red, green, blue] = pixel.map(f32::from);
    // Luma of ITU-R BT.601, as in JPEG.
    let grey = (0.299 * red + 0.587 * green + 0.114 * blue) * DIMMED;
    [red, green, blue].map(|channel| mix(grey, channel, light).round() as u8)
}

/// A mask of the photo's size.
struct Mask {
    inside: Vec<bool>,
    width: usize,
}

impl Mask {
    /// Whether there is a pixel inside the mask at `distance` from the pixel of index `at`, in one
    /// of eight directions.
    fn is_near(&self, at: usize, distance: usize) -> bool {
        let (x, y) = (at % self.width, at / self.width);
        let height = self.inside.len() / self.width;
        let around = |middle: usize, end: usize| {
            [middle.checked_sub(distance), Some(middle), Some(middle + distance)]
                .into_iter()
                .flatten()
                .filter(move |&place| place < end)
        };
        around(y, height).any(|y| around(x, self.width).any(|x| self.inside[y * self.width + x]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RED: [u8; 3] = [200, 20, 20];

    #[test]
    fn the_map_lights_the_photo() {
        let photo = Picture::filled(8, 4, RED);
        let lit = overlay(&photo, &[1.0, 3.0], 2, 1, None);
        assert_eq!(lit.pixel(7, 2), RED);
        let [r, g, b] = lit.pixel(0, 2);
        assert!(r == g && g == b && r < 30, "the unattended side is dark grey: {r} {g} {b}");
        let [r, g, _] = lit.pixel(4, 2);
        assert!(g < r && r < RED[0], "the middle lies between");
    }

    #[test]
    fn the_mask_leaves_the_object_and_outlines_it() {
        let photo = Picture::filled(9, 9, RED);
        let mut mask = [false; 9];
        mask[4] = true;
        let shown = overlay(&photo, &[0.0; 9], 3, 3, Some(&mask));
        for at in 0..81usize {
            let (x, y) = (at % 9, at / 9);
            let expected = match x.abs_diff(4).max(y.abs_diff(4)) {
                0..=1 => RED,
                2 => OUTLINE,
                _ => [18, 18, 18],
            };
            assert_eq!(shown.pixel(x, y), expected, "at ({x}, {y})");
        }
    }

    #[test]
    fn attention_outside_the_mask_shows_faintly() {
        let photo = Picture::filled(30, 10, RED);
        let shown = overlay(&photo, &[1.0, 0.0, 1.0], 3, 1, Some(&[true, false, false]));
        let red = |x| shown.pixel(x, 5)[0];
        assert_eq!(red(0), RED[0]);
        assert!(red(15) < 30 && (80..150).contains(&red(29)), "{} {}", red(15), red(29));
    }
}
