//! From images to transformed tiles and back.

use std::ops::Range;

use half::bf16;

use super::transform::{Transform, both_ways};
use crate::conv::shape::Images;
use crate::elementwise::{load_up_to, store_up_to};
use crate::shared::Shared;
use crate::simd::{Kernel, Simd};

/// The tiles that cover a batch of images.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    /// Height and width of the images as the convolution sees them.
    size: [usize; 2],
    /// Rows and columns of tiles in an image.
    counts: [usize; 2],
    batch: usize,
    /// Pixels of a tile's output in each direction.
    side: usize,
}

impl Tiles {
    pub(super) fn new(batch: usize, size: [usize; 2], side: usize) -> Self {
        Self { size, counts: size.map(|n| n.div_ceil(side)), batch, side }
    }

    pub(super) fn count(&self) -> usize {
        self.batch * self.counts[0] * self.counts[1]
    }

    /// The image of a tile, and the row and column where its output begins.
    fn place(&self, tile: usize) -> (usize, [usize; 2]) {
        let [rows, columns] = self.counts;
        let (line, column) = (tile / columns, tile % columns);
        (line / rows, [line % rows * self.side, column * self.side])
    }
}

/// Transformed tiles, `[frequency][tile][channels]`.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    /// Cells from one frequency to the next.
    pub(super) frequency: usize,
    /// Cells from one tile to the next: the channels, filled up to whole vectors.
    pub(super) tile: usize,
}

/// Transforms a range of tiles of the input.
pub(super) struct Gather<'a, F> {
    pub(super) images: Images<'a>,
    /// Each pixel stands for four.
    pub(super) doubled: bool,
    pub(super) tiles: Tiles,
    pub(super) range: Range<usize>,
    /// The tile that is the first in `to`.
    pub(super) first: usize,
    pub(super) to: Shared<'a, f32>,
    pub(super) layout: Layout,
    /// Whether to round to pairs of bf16, two to a cell.
    pub(super) pairs: bool,
    /// As many zeros as channels.
    pub(super) zeros: &'a [f32],
    pub(super) transform: F,
}

impl<F> Gather<'_, F> {
    /// The channels of the pixels under a tile, zeros outside of the image.
    #[inline(always)]
    fn pixels<const T: usize>(&self, tile: usize) -> [[&[f32]; T]; T] {
        let (image, [top, left]) = self.tiles.place(tile);
        let Images { data, size: [height, width], channels, .. } = self.images;
        let halving = usize::from(self.doubled);
        let mut pixels = [[self.zeros; T]; T];
        for (i, line) in pixels.iter_mut().enumerate() {
            // The tile begins one pixel above and to the left of its output.
            let y = (top + i).wrapping_sub(1);
            if y >= self.tiles.size[0] {
                continue;
            }
            let row = (image * height + (y >> halving)) * width;
            for (j, pixel) in line.iter_mut().enumerate() {
                let x = (left + j).wrapping_sub(1);
                if x < self.tiles.size[1] {
                    *pixel = &data[(row + (x >> halving)) * channels..][..channels];
                }
            }
        }
        pixels
    }
}

/// Carries the sizes of a transform to [`Kernel::run`].
pub(super) struct OfSize<K, const T: usize, const M: usize>(pub(super) K);

impl<F: Transform<T, M>, const T: usize, const M: usize> Kernel for OfSize<Gather<'_, F>, T, M> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let gather = self.0;
        let channels = gather.images.channels;
        for tile in gather.range.clone() {
            let pixels = gather.pixels::<T>(tile);
            let start = (tile - gather.first) * gather.layout.tile;
            for channel in (0..channels).step_by(S::LANES) {
                let count = S::LANES.min(channels - channel);
                let mut square = [[s.zero(); T]; T];
                for (line, pixels) in square.iter_mut().zip(&pixels) {
                    for (value, pixel) in line.iter_mut().zip(pixels) {
                        // SAFETY: each pixel has all channels.
                        *value = unsafe { load_up_to(s, pixel.as_ptr().add(channel), count) };
                    }
                }
                let square: [[S::V; T]; T] = both_ways(s, gather.transform, square);
                for (frequency, &value) in square.iter().flatten().enumerate() {
                    let at = frequency * gather.layout.frequency + start;
                    // SAFETY: tiles are filled up to whole vectors, and no other thread
                    // has this one.
                    unsafe {
                        if gather.pairs {
                            let to = gather.to.at(at + channel / 2, S::LANES / 2);
                            s.store_bf16(to.cast::<bf16>(), value);
                        } else {
                            s.store(gather.to.at(at + channel, S::LANES), value);
                        }
                    }
                }
            }
        }
    }
}

/// Transforms a range of tiles back, and writes them to the output.
pub(super) struct Scatter<'a, F> {
    pub(super) from: &'a [f32],
    pub(super) layout: Layout,
    pub(super) tiles: Tiles,
    pub(super) range: Range<usize>,
    /// The tile that is the first in `from`.
    pub(super) first: usize,
    pub(super) bias: Option<&'a [f32]>,
    pub(super) to: Shared<'a, f32>,
    pub(super) channels: usize,
    /// Each two by two pixels are summed to one.
    pub(super) halved: bool,
    pub(super) transform: F,
}

impl<F: Transform<T, M>, const T: usize, const M: usize> Kernel for OfSize<Scatter<'_, F>, T, M> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let scatter = self.0;
        for tile in scatter.range.clone() {
            let start = (tile - scatter.first) * scatter.layout.tile;
            for channel in (0..scatter.channels).step_by(S::LANES) {
                let count = S::LANES.min(scatter.channels - channel);
                let mut square = [[s.zero(); T]; T];
                for (frequency, value) in square.iter_mut().flatten().enumerate() {
                    let at = frequency * scatter.layout.frequency + start + channel;
                    let from = &scatter.from[at..at + S::LANES];
                    // SAFETY: the slice has as many values as there are lanes.
                    *value = unsafe { s.load(from.as_ptr()) };
                }
                let mut square: [[S::V; M]; M] = both_ways(s, scatter.transform, square);
                if let Some(bias) = scatter.bias {
                    // SAFETY: a bias for each channel.
                    let bias = unsafe { load_up_to(s, bias[channel..][..count].as_ptr(), count) };
                    for value in square.iter_mut().flatten() {
                        *value = s.add(*value, bias);
                    }
                }
                if scatter.halved {
                    scatter.write_halved(s, tile, channel, &square);
                } else {
                    scatter.write(s, tile, channel, &square);
                }
            }
        }
    }
}

impl<F> Scatter<'_, F> {
    #[inline(always)]
    fn write<S: Simd, const M: usize>(
        &self,
        s: S,
        tile: usize,
        channel: usize,
        square: &[[S::V; M]; M],
    ) {
        let (image, [top, left]) = self.tiles.place(tile);
        let [height, width] = self.tiles.size;
        for (y, line) in (top..height).zip(square) {
            for (x, &value) in (left..width).zip(line) {
                self.store(s, (image * height + y) * width + x, channel, value);
            }
        }
    }

    /// Tiles begin at even pixels and sizes are even, so that no sum is torn.
    #[inline(always)]
    fn write_halved<S: Simd, const M: usize>(
        &self,
        s: S,
        tile: usize,
        channel: usize,
        square: &[[S::V; M]; M],
    ) {
        let (image, [top, left]) = self.tiles.place(tile);
        let [height, width] = self.tiles.size.map(|n| n / 2);
        for (y, lines) in (top / 2..height).zip(square.chunks_exact(2)) {
            for (i, x) in (left / 2..width).enumerate().take(M / 2) {
                let upper = s.add(lines[0][2 * i], lines[0][2 * i + 1]);
                let lower = s.add(lines[1][2 * i], lines[1][2 * i + 1]);
                self.store(s, (image * height + y) * width + x, channel, s.add(upper, lower));
            }
        }
    }

    #[inline(always)]
    fn store<S: Simd>(&self, s: S, pixel: usize, channel: usize, value: S::V) {
        let count = S::LANES.min(self.channels - channel);
        let to = self.to.at(pixel * self.channels + channel, count);
        // SAFETY: tiles do not overlap, and no other thread has this one.
        unsafe { store_up_to(s, to, count, value) }
    }
}
