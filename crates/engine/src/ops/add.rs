//! Sums of activations.

use rayon::prelude::*;

use crate::{
    Tensor,
    flex::{self, Array, Operation},
};

/// `a + b` of one shape. Where nobody else holds one of them, the sum takes its memory.
pub fn add<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    if flex::serves(&a.device()) {
        return flex::apply(Add, [a.into_dispatch(), b.into_dispatch()]);
    }
    add_twin(a, b)
}

/// The twin of [`add`].
pub fn add_twin<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    a + b
}

#[derive(Clone, Debug)]
struct Add;

impl Operation<2> for Add {
    type Saved = ();

    fn forward(&self, [mut a, mut b]: [Array; 2], _: [bool; 2]) -> (Array, ()) {
        let level = kernels::level();
        if let Some(sum) = a.as_mut() {
            kernels::add_assign(level, sum, &b);
            return (a, ());
        }
        if let Some(sum) = b.as_mut() {
            kernels::add_assign(level, sum, &a);
            return (b, ());
        }
        (Array::filled(&a.shape(), |sum| kernels::add(level, &a, &b, sum)), ())
    }

    fn backward(&self, (): (), dy: Array, _: [bool; 2]) -> [Option<Array>; 2] {
        [Some(dy.clone()), Some(dy)]
    }
}

/// Adds a vector to all pixels of an image, one for each image or one for all.
///
/// # Shapes
/// `x [batch, height, width, channels]`, `shift [batch or 1, channels]`
pub fn add_to_pixels(x: Tensor<4>, shift: Tensor<2>) -> Tensor<4> {
    if flex::serves(&x.device()) {
        return flex::apply(AddToPixels, [x.into_dispatch(), shift.into_dispatch()]);
    }
    add_to_pixels_twin(x, shift)
}

/// The twin of [`add_to_pixels`].
pub fn add_to_pixels_twin(x: Tensor<4>, shift: Tensor<2>) -> Tensor<4> {
    let [rows, channels] = shift.dims();
    x + shift.reshape([rows, 1, 1, channels])
}

#[derive(Clone, Debug)]
struct AddToPixels;

/// Pixels that a thread takes at once.
const PIXELS: usize = 32;

impl Operation<2> for AddToPixels {
    /// Rows of the shift.
    type Saved = usize;

    fn forward(&self, [mut x, shift]: [Array; 2], _: [bool; 2]) -> (Array, usize) {
        let [rows, _] = shift.dims();
        let [batch, ..] = x.dims::<4>();
        if let Some(sum) = x.as_mut() {
            shift_images(sum, batch, &shift);
            return (x, rows);
        }
        let sum = Array::filled(&x.shape(), |sum| {
            sum.copy_from_slice(&x);
            shift_images(sum, batch, &shift);
        });
        (sum, rows)
    }

    fn backward(&self, rows: usize, dy: Array, wanted: [bool; 2]) -> [Option<Array>; 2] {
        let shift = wanted[1].then(|| {
            let (channels, level) = (dy.width(), kernels::level());
            let ones = vec![1.0; dy.len() / rows / channels];
            Array::filled(&[rows, channels], |dshift| {
                let images = dy.chunks_exact(dy.len() / rows);
                for (dy, sums) in images.zip(dshift.chunks_exact_mut(channels)) {
                    kernels::linear_weight_gradient(level, &ones, dy, 1, sums, None);
                }
            })
        });
        [Some(dy), shift]
    }
}

fn shift_images(x: &mut [f32], batch: usize, shift: &Array) {
    let (level, channels) = (kernels::level(), shift.width());
    let image = x.len() / batch;
    x.par_chunks_mut(image).enumerate().for_each(|(i, image)| {
        let shift = &shift[i * shift.len() / channels / batch * channels..][..channels];
        image.par_chunks_mut(PIXELS * channels).for_each(|pixels| {
            let pixels = pixels.chunks_exact_mut(channels);
            pixels.for_each(|pixel| kernels::add_assign(level, pixel, shift));
        });
    });
}
