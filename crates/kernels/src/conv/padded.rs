//! Images with a border, and the windows that move over them.

use rayon::prelude::*;

use super::shape::{Images, Resize};
use crate::gemm::Rows;
use crate::scratch::Scratch;

/// The windows of a 3x3 convolution over a batch of images with their borders.
pub(super) struct Windows {
    resize: Resize,
    batch: usize,
    /// Height and width with as much border as windows touch.
    padded: [usize; 2],
    /// Windows down and across.
    counts: [usize; 2],
}

impl Windows {
    /// Over images of `size`, without the border.
    pub(super) fn new(resize: Resize, batch: usize, size: [usize; 2]) -> Self {
        let counts = resize.output_size(size);
        let padded = counts.map(|n| if n == 0 { 0 } else { (n - 1) * resize.stride() + 3 });
        Self { resize, batch, padded, counts }
    }

    /// Windows on all images.
    pub(super) fn count(&self) -> usize {
        self.batch * self.counts[0] * self.counts[1]
    }

    /// The pixels under one weight, `cells` each: a row for each window.
    pub(super) fn rows(&self, cells: usize) -> Rows {
        let [height, width] = self.padded;
        let stride = self.resize.stride();
        Rows {
            row: stride * cells,
            line: stride * width * cells,
            image: height * width * cells,
            ..self.output_rows(cells)
        }
    }

    /// The pixels of the output, one for each window.
    pub(super) fn output_rows(&self, cells: usize) -> Rows {
        let [lines, run] = self.counts.map(|n| n.max(1));
        let line = run * cells;
        Rows { count: self.count(), run, row: cells, lines, line, image: lines * line }
    }

    /// Distances of the pixels under the nine weights.
    pub(super) fn taps(&self, cells: usize) -> [usize; 9] {
        std::array::from_fn(|tap| (tap / 3 * self.padded[1] + tap % 3) * cells)
    }

    /// A bordered image of zeros.
    pub(super) fn zeros(&self, channels: usize) -> Scratch<f32> {
        let mut padded = self.take(channels);
        padded.par_chunks_mut(1 << 16).for_each(|part| part.fill(0.0));
        padded
    }

    /// The images with their borders, enlarged beforehand if the convolution does that.
    pub(super) fn pad(&self, images: Images<'_>) -> Scratch<f32> {
        let channels = images.channels;
        let mut padded = self.take(channels);
        let row = self.padded[1] * channels;
        padded.par_chunks_mut(row.max(1)).enumerate().for_each(|(i, to)| {
            let (image, y) = (i / self.padded[0], i % self.padded[0]);
            let Some(from) = self.inside(y, images.size[0]) else { return to.fill(0.0) };
            let length = images.size[1] * channels;
            let from = &images.data[(image * images.size[0] + from) * length..][..length];
            for (x, to) in to.chunks_exact_mut(channels).enumerate() {
                match self.inside(x, images.size[1]) {
                    Some(x) => to.copy_from_slice(&from[x * channels..][..channels]),
                    None => to.fill(0.0),
                }
            }
        });
        padded
    }

    /// The inside of a bordered image; what no window touches becomes zero.
    pub(super) fn crop(&self, padded: &[f32], size: [usize; 2], channels: usize, to: &mut [f32]) {
        let before = self.resize.before();
        let [height, width] = self.padded;
        let touched = size[1].min(width - before) * channels;
        to.par_chunks_mut(size[1] * channels).enumerate().for_each(|(i, to)| {
            let (image, y) = (i / size[0], i % size[0] + before);
            let (filled, beyond) = to.split_at_mut(touched);
            if y < height {
                let start = ((image * height + y) * width + before) * channels;
                filled.copy_from_slice(&padded[start..][..touched]);
            } else {
                filled.fill(0.0);
            }
            beyond.fill(0.0);
        });
    }

    fn take(&self, channels: usize) -> Scratch<f32> {
        Scratch::take(self.batch * self.padded[0] * self.padded[1] * channels)
    }

    /// The row or column of an image of `side` that lies at `at` of the bordered one.
    fn inside(&self, at: usize, side: usize) -> Option<usize> {
        let at = at.checked_sub(self.resize.before())?;
        let at = if self.resize == Resize::Double { at / 2 } else { at };
        (at < side).then_some(at)
    }
}
