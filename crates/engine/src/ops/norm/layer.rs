use super::Saved;
use crate::{
    Tensor,
    flex::{self, Array, Operation},
};

/// Layer norm over the last dimension (Ba et al. 2016, arXiv 1607.06450).
///
/// # Shapes
/// `x [batch, tokens, channels]`; weight and bias `[channels]`.
pub fn layer_norm(x: Tensor<3>, weight: Tensor<1>, bias: Tensor<1>, epsilon: f64) -> Tensor<3> {
    if flex::serves(&x.device()) {
        let inputs = [x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()];
        return flex::apply(LayerNorm { epsilon }, inputs);
    }
    #[cfg(any(feature = "vulkan", feature = "metal", feature = "cuda"))]
    if crate::cube::serves(&x.device()) {
        return crate::cube::layer_norm(x, weight, bias, epsilon);
    }
    layer_norm_twin(x, weight, bias, epsilon)
}

/// The twin of [`layer_norm`].
pub fn layer_norm_twin(
    x: Tensor<3>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
) -> Tensor<3> {
    let c = x.dims()[2];
    let mean = x.clone().mean_dim(2);
    let centred = x - mean;
    let variance = centred.clone().square().mean_dim(2);
    let y = centred / (variance + epsilon).sqrt();
    y * weight.reshape([1, 1, c]) + bias.reshape([1, 1, c])
}

#[derive(Clone, Debug)]
struct LayerNorm {
    epsilon: f64,
}

impl LayerNorm {
    fn kernel<'a>(&self, weight: &'a [f32], bias: &'a [f32]) -> kernels::LayerNorm<'a> {
        kernels::LayerNorm { level: kernels::level(), epsilon: self.epsilon, weight, bias }
    }
}

impl Operation<3> for LayerNorm {
    type Saved = Saved;

    fn forward(&self, [x, weight, bias]: [Array; 3], _: [bool; 3]) -> (Array, Saved) {
        let mut moments = vec![0.0; x.len() / x.width() * 2];
        let kernel = self.kernel(&weight, &bias);
        let y = Array::filled(&x.shape(), |y| kernel.forward(&x, y, &mut moments));
        (y, Saved { x, weight, bias, moments })
    }

    fn backward(&self, saved: Saved, dy: Array, wanted: [bool; 3]) -> [Option<Array>; 3] {
        let kernel = self.kernel(&saved.weight, &saved.bias);
        saved.gradients(wanted, |dx, affine| {
            kernel.backward(&saved.x, &saved.moments, &dy, dx, affine);
        })
    }
}
