//! Maps of numbers, such as attention maps, as pictures.

use crate::Picture;

/// A map of numbers as a picture of `width` x `height` pixels, black for the least through purple,
/// red and orange to pale yellow for the largest.
///
/// `map` is `[map_height, map_width]`, row by row, of any range: its least and largest numbers
/// become the ends of the scale. Not-a-number and infinities are drawn as the least. Between the
/// numbers the picture is interpolated linearly, each standing in the middle of its cell.
///
/// The colours are "inferno", made so that equal steps look equal, in colour and in grey, by
/// Nathaniel J. Smith and Stefan van der Walt for matplotlib (CC0), thinned out to 17 and
/// interpolated between them, within 7 of 255 levels of the full table.
///
/// # Panics
///
/// If a side is zero, or `map` does not hold `map_height * map_width` numbers.
#[must_use]
pub fn heatmap(
    map: &[f32],
    map_width: usize,
    map_height: usize,
    width: usize,
    height: usize,
) -> Picture {
    let values = Grid::new(&scaled(map), map_width, map_height).enlarged(width, height);
    Picture::from_rgb(width, height, values.into_iter().flat_map(inferno).collect())
}

/// A mask as a picture of `width` x `height` pixels: white where it is true, black elsewhere, with
/// the edges of its cells left sharp.
///
/// `mask` is `[mask_height, mask_width]`, row by row.
///
/// # Panics
///
/// If a side is zero, or `mask` does not hold `mask_height * mask_width` values.
#[must_use]
pub fn mask_picture(
    mask: &[bool],
    mask_width: usize,
    mask_height: usize,
    width: usize,
    height: usize,
) -> Picture {
    let mask = Grid::new(mask, mask_width, mask_height).repeated(width, height);
    let grey = |inside: bool| [if inside { 255 } else { 0 }; 3];
    Picture::from_rgb(width, height, mask.into_iter().flat_map(grey).collect())
}

/// The numbers of a map brought to 0..1: the least becomes 0, the largest 1. If all are equal, or
/// none is finite, all become 0.
pub(crate) fn scaled(map: &[f32]) -> Vec<f32> {
    let finite = || map.iter().copied().filter(|value| value.is_finite());
    let (low, high) = (finite().fold(f32::MAX, f32::min), finite().fold(f32::MIN, f32::max));
    // Halves, since the difference of two finite numbers need not be finite.
    let range = high / 2.0 - low / 2.0;
    let scale = |value: f32| (value / 2.0 - low / 2.0) / range;
    let finite_or_low = |&value: &f32| if value.is_finite() { scale(value) } else { 0.0 };
    if range > 0.0 { map.iter().map(finite_or_low).collect() } else { vec![0.0; map.len()] }
}

/// Values in rows, of which pictures of another size are made.
pub(crate) struct Grid<'a, T> {
    values: &'a [T],
    width: usize,
    height: usize,
}

impl<'a, T: Copy> Grid<'a, T> {
    /// A grid of `values`, `[height, width]`.
    ///
    /// # Panics
    ///
    /// If a side is zero, or the number of values is another.
    pub(crate) fn new(values: &'a [T], width: usize, height: usize) -> Self {
        assert!(width > 0 && height > 0, "a map of {width}x{height} has no cells");
        assert_eq!(values.len(), width * height, "values of a {width}x{height} map");
        Self { values, width, height }
    }

    /// `[height, width]` values, each that of the cell it lies in.
    pub(crate) fn repeated(&self, width: usize, height: usize) -> Vec<T> {
        let row = |y: usize| &self.values[y * self.height / height * self.width..][..self.width];
        let cells = |y| (0..width).map(move |x| row(y)[x * self.width / width]);
        (0..height).flat_map(cells).collect()
    }
}

impl Grid<'_, f32> {
    /// `[height, width]` values, interpolated linearly between the middles of the cells.
    pub(crate) fn enlarged(&self, width: usize, height: usize) -> Vec<f32> {
        let columns: Vec<_> = (0..width).map(|x| neighbours(x, width, self.width)).collect();
        let rows = (0..height).map(|y| neighbours(y, height, self.height));
        let value = |(top, bottom, down), &(left, right, along)| {
            let at = |row, column| self.values[row * self.width + column];
            let upper = mix(at(top, left), at(top, right), along);
            mix(upper, mix(at(bottom, left), at(bottom, right), along), down)
        };
        rows.flat_map(|row| columns.iter().map(move |column| value(row, column))).collect()
    }
}

/// The two cells, of `cells`, between whose middles a pixel, of `pixels`, has its own, and how far
/// it is from the first to the second.
fn neighbours(pixel: usize, pixels: usize, cells: usize) -> (usize, usize, f32) {
    let at = (pixel as f64 + 0.5) * cells as f64 / pixels as f64 - 0.5;
    let at = at.clamp(0.0, (cells - 1) as f64);
    let first = at as usize;
    (first, (first + 1).min(cells - 1), at.fract() as f32)
}

/// The number that lies the fraction `part` of the way from `a` to `b`.
pub(crate) fn mix(a: f32, b: f32, part: f32) -> f32 {
    a + (b - a) * part
}

/// The colour of a value in 0..1.
fn inferno(value: f32) -> [u8; 3] {
    const COLOURS: [[u8; 3]; 17] = [
        [0, 0, 4],
        [11, 7, 36],
        [33, 12, 74],
        [60, 9, 101],
        [87, 16, 109],
        [112, 25, 110],
        [137, 34, 106],
        [163, 43, 97],
        [187, 55, 85],
        [209, 70, 68],
        [227, 89, 50],
        [241, 113, 30],
        [249, 141, 10],
        [252, 171, 15],
        [249, 202, 50],
        [242, 232, 101],
        [252, 255, 164],
    ];
    let at = value * (COLOURS.len() - 1) as f32;
    let first = (at as usize).min(COLOURS.len() - 2);
    let (below, above) = (COLOURS[first], COLOURS[first + 1]);
    std::array::from_fn(|channel| {
        mix(below[channel].into(), above[channel].into(), at - first as f32).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_any_range_are_the_ends_of_the_scale() {
        assert_eq!(scaled(&[-3.0, 5.0, 1.0, f32::NAN]), [0.0, 1.0, 0.5, 0.0]);
        assert_eq!(scaled(&[f32::MIN, f32::MAX, f32::INFINITY]), [0.0, 1.0, 0.0]);
        assert_eq!(scaled(&[2.0, 2.0]), [0.0, 0.0]);
        assert_eq!(scaled(&[f32::NAN]), [0.0]);
    }

    #[test]
    fn maps_are_interpolated_between_the_middles_of_cells() {
        let row = Grid::new(&[0.0, 1.0], 2, 1).enlarged(4, 1);
        assert_eq!(row, [0.0, 0.25, 0.75, 1.0]);
        let square = Grid::new(&[0.0, 1.0, 2.0, 3.0], 2, 2).enlarged(2, 2);
        assert_eq!(square, [0.0, 1.0, 2.0, 3.0]);
    }

    #[test]
    fn masks_keep_their_edges() {
        let picture = mask_picture(&[true, false, false, true], 2, 2, 6, 4);
        let white = |y: usize| (0..6).map(|x| picture.pixel(x, y)[0] == 255).collect::<Vec<_>>();
        assert_eq!(white(1), [true, true, true, false, false, false]);
        assert_eq!(white(2), [false, false, false, true, true, true]);
    }

    #[test]
    fn a_heatmap_goes_from_black_to_pale_yellow() {
        let picture = heatmap(&[0.0, 0.5, 1.0], 3, 1, 3, 1);
        assert_eq!(picture.rgb(), [0, 0, 4, 187, 55, 85, 252, 255, 164]);
    }

    #[test]
    #[should_panic(expected = "values of a 3x3 map")]
    fn a_map_of_another_size_is_a_fault_of_the_program() {
        let _ = heatmap(&[0.0; 8], 3, 3, 9, 9);
    }
}
