//! Images laid side by side in their channels.

use rayon::prelude::*;

use crate::{
    Tensor,
    flex::{self, Array, Buffer, Operation},
};

/// The channels of `a`, then those of `b`.
///
/// # Shapes
/// `a [batch, height, width, n]`, `b [batch, height, width, m]`
/// `-> [batch, height, width, n + m]`
pub fn join(a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
    if flex::serves(&a.device()) {
        return flex::apply(Join, [a.into_dispatch(), b.into_dispatch()]);
    }
    join_twin(a, b)
}

/// The twin of [`join`].
pub fn join_twin(a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
    Tensor::cat(vec![a, b], 3)
}

#[derive(Clone, Debug)]
struct Join;

/// Pixels that a thread takes at once.
const PIXELS: usize = 32;

impl Operation<2> for Join {
    /// Channels of the first image.
    type Saved = usize;

    fn forward(&self, [a, b]: [Array; 2], _: [bool; 2]) -> (Array, usize) {
        let (n, m) = (a.width(), b.width());
        let both = Array::filled(&a.shape_with_width(n + m), |both| {
            let parts = a.par_chunks(PIXELS * n).zip(b.par_chunks(PIXELS * m));
            parts.zip(both.par_chunks_mut(PIXELS * (n + m))).for_each(|((a, b), both)| {
                let pixels = a.chunks_exact(n).zip(b.chunks_exact(m));
                for ((a, b), both) in pixels.zip(both.chunks_exact_mut(n + m)) {
                    both[..n].copy_from_slice(a);
                    both[n..].copy_from_slice(b);
                }
            });
        });
        (both, n)
    }

    fn backward(&self, n: usize, dy: Array, _: [bool; 2]) -> [Option<Array>; 2] {
        let width = dy.width();
        let (pixels, m) = (dy.len() / width, width - n);
        let [mut da, mut db] = [n, m].map(|channels| Buffer::take(pixels * channels));
        let parts = da.par_chunks_mut(PIXELS * n).zip(db.par_chunks_mut(PIXELS * m));
        parts.zip(dy.par_chunks(PIXELS * width)).for_each(|((da, db), dy)| {
            let pixels = da.chunks_exact_mut(n).zip(db.chunks_exact_mut(m));
            for ((da, db), dy) in pixels.zip(dy.chunks_exact(width)) {
                da.copy_from_slice(&dy[..n]);
                db.copy_from_slice(&dy[n..]);
            }
        });
        [(da, n), (db, m)].map(|(part, width)| Some(part.shaped(&dy.shape_with_width(width))))
    }
}
