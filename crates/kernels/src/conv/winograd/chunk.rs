//! One convolution, chunk by chunk, in three parallel steps.

use std::ops::Range;

use rayon::prelude::*;

use super::tiles::{Gather, Layout, OfSize, Scatter, Tiles};
use super::transform::Transform;
use crate::conv::shape::Images;
use crate::gemm::{
    Base, Left, MulAdd, Out, Panels, Product, ProductKernel, Right, Rows, block, dispatch_product,
    share,
};
use crate::scratch::Scratch;
use crate::shared::Shared;
use crate::simd::{MAX_LANES, Simd, dispatch};

/// Tiles of a chunk at most: enough rows for the products, few enough for the cache.
const CHUNK: usize = 256;

/// Tasks made for each thread, so that one that was held up can be helped.
const TASKS_PER_THREAD: usize = 4;

/// One convolution, forwards or backwards.
pub(super) struct Run<'a> {
    pub(super) backward: bool,
    pub(super) from: Images<'a>,
    pub(super) bias: Option<&'a [f32]>,
    /// Whether the image is enlarged before a convolution, and its gradient shrunk.
    pub(super) resized: bool,
    pub(super) to: Shared<'a, f32>,
}

impl Run<'_> {
    pub(super) fn all<F: Transform<T, M>, const T: usize, const M: usize>(
        &self,
        weights: &Panels,
        transform: F,
    ) {
        let factor = if self.resized && !self.backward { 2 } else { 1 };
        let tiles = Tiles::new(self.from.batch, self.from.size.map(|n| factor * n), M);
        let chunks = tiles.count().div_ceil(CHUNK);
        for i in 0..chunks {
            let range = share(tiles.count(), chunks, i);
            Chunk { run: self, weights, tiles, range, transform }.compute();
        }
    }
}

/// A range of the tiles of a convolution.
struct Chunk<'a, F> {
    run: &'a Run<'a>,
    weights: &'a Panels,
    tiles: Tiles,
    range: Range<usize>,
    transform: F,
}

impl<F: Sync> Chunk<'_, F> {
    fn compute<const T: usize, const M: usize>(&self)
    where
        F: Transform<T, M>,
    {
        let pairs = self.weights.is_pairs();
        let [inputs, outputs] = self.channels();
        let into = Layout::new(self.range.len(), inputs, if pairs { 2 } else { 1 });
        let back = Layout::new(self.range.len(), outputs, 1);
        let mut transformed = Scratch::take(T * T * into.frequency);
        let mut products = Scratch::take(T * T * back.frequency);
        self.gather(&mut transformed, into);
        self.multiply(&transformed, into, &mut products, back);
        self.scatter(&products, back);
    }

    /// Channels of what is read and of what is written.
    fn channels(&self) -> [usize; 2] {
        let [inputs, outputs] = [self.weights.depth(), self.weights.columns()];
        if self.run.backward { [outputs, inputs] } else { [inputs, outputs] }
    }

    /// Hands ranges of tiles to threads.
    fn each_part(&self, work: impl Fn(Range<usize>) + Sync) {
        let tasks = (rayon::current_num_threads() * TASKS_PER_THREAD).min(self.range.len());
        (0..tasks).into_par_iter().for_each(|i| {
            let part = share(self.range.len(), tasks, i);
            work(self.range.start + part.start..self.range.start + part.end);
        });
    }

    fn gather<const T: usize, const M: usize>(&self, to: &mut [f32], layout: Layout)
    where
        F: Transform<T, M>,
    {
        let zeros = vec![0.0; self.run.from.channels];
        let to = Shared::new(to);
        self.each_part(|range| {
            let gather = Gather::<F> {
                images: self.run.from,
                doubled: self.run.resized && !self.run.backward,
                tiles: self.tiles,
                range,
                first: self.range.start,
                to,
                layout,
                pairs: self.weights.is_pairs(),
                zeros: &zeros,
                transform: self.transform,
            };
            dispatch(self.weights.level(), OfSize::<_, T, M>(gather));
        });
    }

    /// A product for each frequency.
    fn multiply<const T: usize, const M: usize>(
        &self,
        from: &[f32],
        into: Layout,
        to: &mut [f32],
        back: Layout,
    ) where
        F: Transform<T, M>,
    {
        let rows = self.range.len();
        let frequencies: Vec<_> = from
            .chunks_exact(into.frequency)
            .zip(to.chunks_exact_mut(back.frequency))
            .enumerate()
            .map(|(i, (from, to))| {
                let right = self.right::<T, M>(i);
                let left = Left::new(from, rows, right.depth(), into.tile);
                (left, [right], Out::new(to, Rows::even(rows, back.tile)))
            })
            .collect();
        let panels = self.channels()[1].div_ceil(2 * self.weights.level().lanes());
        let tasks = rayon::current_num_threads() * TASKS_PER_THREAD;
        let parts = tasks.div_ceil(T * T).min(panels);
        (0..T * T * parts).into_par_iter().with_max_len(1).for_each(|i| {
            let (left, right, out) = &frequencies[i / parts];
            let product = Product { left: *left, right, out: *out, base: Base::Zero };
            let panels = share(panels, parts, i % parts);
            let frequency = Frequency { product, panels };
            dispatch_product(self.weights.level(), self.weights.is_pairs(), frequency);
        });
    }

    /// The kernels' values at a frequency.
    fn right<const T: usize, const M: usize>(&self, frequency: usize) -> Right<'_>
    where
        F: Transform<T, M>,
    {
        if self.run.backward {
            let turned = F::MIRROR[frequency / T] * T + F::MIRROR[frequency % T];
            self.weights.right_transposed(turned)
        } else {
            self.weights.right(frequency)
        }
    }

    fn scatter<const T: usize, const M: usize>(&self, from: &[f32], layout: Layout)
    where
        F: Transform<T, M>,
    {
        self.each_part(|range| {
            let scatter = Scatter::<F> {
                from,
                layout,
                tiles: self.tiles,
                range,
                first: self.range.start,
                bias: self.run.bias,
                to: self.run.to,
                channels: self.channels()[1],
                halved: self.run.resized && self.run.backward,
                transform: self.transform,
            };
            dispatch(self.weights.level(), OfSize::<_, T, M>(scatter));
        });
    }
}

/// Some panels of the product of one frequency.
struct Frequency<'a> {
    product: Product<'a>,
    panels: Range<usize>,
}

impl ProductKernel for Frequency<'_> {
    #[inline(always)]
    fn run<S: Simd, P: MulAdd<S>>(self, s: S, mul_add: P) {
        let rows = 0..self.product.left.rows.count;
        // SAFETY: the tasks have different frequencies or panels.
        unsafe { block(s, mul_add, &self.product, rows, self.panels) }
    }
}

impl Layout {
    /// Tiles of as many channels, `share` of them to a cell, filled up to whole vectors.
    /// A vector more behind each frequency keeps them from meeting in the same sets of
    /// the caches.
    fn new(tiles: usize, channels: usize, share: usize) -> Self {
        let tile = channels.next_multiple_of(share * MAX_LANES) / share;
        Self { frequency: tiles * tile + MAX_LANES, tile }
    }
}
