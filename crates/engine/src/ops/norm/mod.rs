//! Normalisation over channels.

mod group;
mod layer;

pub use group::{group_norm, group_norm_twin};
pub use layer::{layer_norm, layer_norm_twin};

use crate::flex::{Array, Buffer};

/// What the way back through a norm needs.
#[derive(Clone, Debug)]
struct Saved {
    x: Array,
    weight: Array,
    bias: Array,
    /// Mean and reciprocal deviation of whatever is normalised together.
    moments: Vec<f32>,
}

impl Saved {
    /// The gradients of input, weight and bias as `backward` writes them: to the
    /// first slice, and to the others if one of those is wanted.
    fn gradients(
        &self,
        [_, weight, bias]: [bool; 3],
        backward: impl FnOnce(&mut [f32], Option<[&mut [f32]; 2]>),
    ) -> [Option<Array>; 3] {
        let mut dx = Buffer::take(self.x.len());
        let channels = [self.weight.len()];
        let mut affine =
            (weight || bias).then(|| [Buffer::take(channels[0]), Buffer::take(channels[0])]);
        backward(&mut dx, affine.as_mut().map(|both| both.each_mut().map(|one| &mut **one)));
        let [dweight, dbias] = match affine {
            Some(both) => both.map(|one| Some(one.shaped(&channels))),
            None => [None, None],
        };
        [Some(dx.shaped(&self.x.shape())), dweight, dbias]
    }
}
