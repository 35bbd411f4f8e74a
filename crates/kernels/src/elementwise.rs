//! One value from the values at the same place: the loop that activations, sums
//! and their gradients share.

use rayon::prelude::*;

use crate::simd::{Kernel, Level, Simd, dispatch};

/// Values that a thread takes at once: small enough to share work evenly, large
/// enough that taking it costs nothing.
pub(crate) const CHUNK: usize = 1 << 14;

/// What is computed at one place.
pub(crate) trait Elementwise<const N: usize>: Copy + Send + Sync {
    /// The new value from the old one and the inputs. Must be `#[inline(always)]`.
    fn apply<S: Simd>(self, s: S, old: S::V, inputs: [S::V; N]) -> S::V;
}

/// `out[i] = f(out[i], inputs[..][i])`, in parallel.
///
/// # Panics
/// If the lengths differ.
pub(crate) fn elementwise<const N: usize>(
    level: Level,
    f: impl Elementwise<N>,
    inputs: [&[f32]; N],
    out: &mut [f32],
) {
    for input in inputs {
        assert_eq!(input.len(), out.len(), "an input and the output differ in length");
    }
    if out.len() <= CHUNK {
        return dispatch(level, Chunk { f, inputs, out });
    }
    out.par_chunks_mut(CHUNK).enumerate().for_each(|(i, out)| {
        let inputs = inputs.map(|input| &input[i * CHUNK..][..out.len()]);
        dispatch(level, Chunk { f, inputs, out });
    });
}

/// A part of the slices, of equal lengths.
struct Chunk<'a, F, const N: usize> {
    f: F,
    inputs: [&'a [f32]; N],
    out: &'a mut [f32],
}

impl<F: Elementwise<N>, const N: usize> Kernel for Chunk<'_, F, N> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { f, inputs, out } = self;
        let len = out.len();
        let whole = len - len % S::LANES;
        let (from, to) = (inputs.map(<[f32]>::as_ptr), out.as_mut_ptr());
        for i in (0..whole).step_by(S::LANES) {
            // SAFETY: `i + LANES <= len`, the length of every slice.
            unsafe {
                let values = from.map(|from| s.load(from.add(i)));
                s.store(to.add(i), f.apply(s, s.load(to.add(i)), values));
            }
        }
        // SAFETY: `len - whole` values are left behind `whole` in every slice.
        unsafe {
            let values = from.map(|from| s.load_partial(from.add(whole), len - whole));
            let old = s.load_partial(to.add(whole), len - whole);
            s.store_partial(to.add(whole), len - whole, f.apply(s, old, values));
        }
    }
}

/// Reads the first `count` values; the other lanes are zero. Whole vectors, which a
/// loop over a row mostly asks for, are read the fast way.
///
/// # Safety
/// `from` must be valid for reading `count` values, and `count` at most
/// [`Simd::LANES`].
#[inline(always)]
pub(crate) unsafe fn load_up_to<S: Simd>(s: S, from: *const f32, count: usize) -> S::V {
    // SAFETY: as the caller vouches.
    unsafe { if count == S::LANES { s.load(from) } else { s.load_partial(from, count) } }
}

/// Writes the first `count` lanes.
///
/// # Safety
/// `to` must be valid for writing `count` values, and `count` at most
/// [`Simd::LANES`].
#[inline(always)]
pub(crate) unsafe fn store_up_to<S: Simd>(s: S, to: *mut f32, count: usize, v: S::V) {
    // SAFETY: as the caller vouches.
    unsafe { if count == S::LANES { s.store(to, v) } else { s.store_partial(to, count, v) } }
}
