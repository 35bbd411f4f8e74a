//! The transform of kernels, made once.

use super::tiles::OfSize;
use super::transform::{Transform, both_ways};
use crate::gemm::{Panels, Precision, copy_transposed, panel_width};
use crate::scratch::Scratch;
use crate::simd::{Kernel, Level, MAX_LANES, Simd, dispatch};

/// Transforms `[outputs, inputs, 3, 3]` and packs it as `T * T` matrices of `inputs` rows
/// by `outputs` columns.
pub(super) fn transform_weights<F: Transform<T, M>, const T: usize, const M: usize>(
    level: Level,
    precision: Precision,
    weight: &[f32],
    [inputs, outputs]: [usize; 2],
    transform: F,
) -> Panels {
    let width = panel_width(level);
    let kernels = inputs * 9;
    Panels::pack(level, precision, [T * T, inputs, outputs], |panel, to| {
        let end = outputs.min((panel + 1) * width) * kernels;
        let weight = &weight[panel * width * kernels..end];
        dispatch(level, OfSize::<_, T, M>(FillPanel { weight, inputs, to, transform }));
    })
}

/// Transforms the kernels of one panel's outputs.
struct FillPanel<'a, 'b, F> {
    weight: &'a [f32],
    inputs: usize,
    to: &'b mut [f32],
    transform: F,
}

/// Inputs transformed at a time: a multiple of the lanes, small enough that the
/// transforms of a panel's outputs stay in the second-level cache.
const INPUTS: usize = 4 * MAX_LANES;

impl<F: Transform<T, M>, const T: usize, const M: usize> Kernel
    for OfSize<FillPanel<'_, '_, F>, T, M>
{
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let FillPanel { weight, inputs, to, transform } = self.0;
        let width = 2 * S::LANES;
        let count = weight.len() / (inputs * 9);
        let mut transformed = Scratch::<f32>::take(T * T * count * INPUTS);
        for first in (0..inputs).step_by(INPUTS) {
            let len = INPUTS.min(inputs - first);
            for (output, kernels) in weight.chunks_exact(inputs * 9).enumerate() {
                for input in (0..len).step_by(S::LANES) {
                    let lanes = S::LANES.min(len - input);
                    let kernels = &kernels[(first + input) * 9..][..lanes * 9];
                    let tile = transform_kernels(s, kernels, transform);
                    for (frequency, &value) in tile.iter().flatten().enumerate() {
                        let at = (frequency * count + output) * INPUTS + input;
                        let to = &mut transformed[at..at + S::LANES];
                        // SAFETY: the slice has as many values as there are lanes.
                        unsafe { s.store(to.as_mut_ptr(), value) }
                    }
                }
            }
            let frequencies = transformed.chunks_exact(count * INPUTS);
            for (from, to) in frequencies.zip(to.chunks_exact_mut(inputs * width)) {
                copy_transposed(s, from, INPUTS, count, &mut to[first * width..][..len * width]);
            }
        }
    }
}

/// Transforms as many kernels as there are lanes, or fewer.
#[inline(always)]
fn transform_kernels<S: Simd, F: Transform<T, M>, const T: usize, const M: usize>(
    s: S,
    kernels: &[f32],
    transform: F,
) -> [[S::V; T]; T] {
    let mut apart = [[0.0; MAX_LANES]; 9];
    for (lane, kernel) in kernels.chunks_exact(9).enumerate() {
        for (to, &value) in apart.iter_mut().zip(kernel) {
            to[lane] = value;
        }
    }
    let mut square = [[s.zero(); 3]; 3];
    for (i, lanes) in apart.iter().enumerate() {
        // SAFETY: no vector has more than MAX_LANES lanes.
        square[i / 3][i % 3] = unsafe { s.load(lanes.as_ptr()) };
    }
    both_ways(s, transform, square)
}
