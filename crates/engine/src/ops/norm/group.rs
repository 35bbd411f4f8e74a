use burn::tensor::activation;

use super::Saved;
use crate::{
    Tensor,
    flex::{self, Array, Operation},
};

/// Group norm over channels-last activations (Wu and He 2018, arXiv 1803.08494),
/// with SiLU behind it if asked.
///
/// # Shapes
/// `x [batch, height, width, channels]`; weight and bias `[channels]`.
pub fn group_norm(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    groups: usize,
    epsilon: f64,
    silu: bool,
) -> Tensor<4> {
    if flex::serves(&x.device()) {
        let inputs = [x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()];
        return flex::apply(GroupNorm { groups, epsilon, silu }, inputs);
    }
    #[cfg(any(feature = "vulkan", feature = "metal", feature = "cuda"))]
    if crate::cube::serves(&x.device()) {
        return crate::cube::group_norm(x, weight, bias, groups, epsilon, silu);
    }
    group_norm_twin(x, weight, bias, groups, epsilon, silu)
}

/// The twin of [`group_norm`].
pub fn group_norm_twin(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    groups: usize,
    epsilon: f64,
    silu: bool,
) -> Tensor<4> {
    let [b, h, w, c] = x.dims();
    let grouped = x.reshape([b, h * w, groups, c / groups]);
    // Mean and variance over pixels and the group's channels.
    let mean = grouped.clone().mean_dim(1).mean_dim(3);
    let centred = grouped - mean;
    let variance = centred.clone().square().mean_dim(1).mean_dim(3);
    let y = (centred / (variance + epsilon).sqrt()).reshape([b, h, w, c]);
    let y = y * weight.reshape([1, 1, 1, c]) + bias.reshape([1, 1, 1, c]);
    if silu { activation::silu(y) } else { y }
}

#[derive(Clone, Debug)]
struct GroupNorm {
    groups: usize,
    epsilon: f64,
    silu: bool,
}

impl GroupNorm {
    fn kernel<'a>(&self, x: &Array, weight: &'a [f32], bias: &'a [f32]) -> kernels::GroupNorm<'a> {
        kernels::GroupNorm {
            level: kernels::level(),
            pixels: x.dims::<4>()[1..3].iter().product(),
            groups: self.groups,
            epsilon: self.epsilon,
            silu: self.silu,
            weight,
            bias,
        }
    }
}

impl Operation<3> for GroupNorm {
    type Saved = Saved;

    fn forward(&self, [x, weight, bias]: [Array; 3], _: [bool; 3]) -> (Array, Saved) {
        let mut moments = vec![0.0; x.dims::<4>()[0] * self.groups * 2];
        let kernel = self.kernel(&x, &weight, &bias);
        let y = Array::filled(&x.shape(), |y| kernel.forward(&x, y, &mut moments));
        (y, Saved { x, weight, bias, moments })
    }

    fn backward(&self, saved: Saved, dy: Array, wanted: [bool; 3]) -> [Option<Array>; 3] {
        let kernel = self.kernel(&saved.x, &saved.weight, &saved.bias);
        saved.gradients(wanted, |dx, affine| {
            kernel.backward(&saved.x, &saved.moments, &dy, dx, affine);
        })
    }
}
