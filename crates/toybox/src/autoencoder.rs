//! Training the VAE on renderings.

use diffusion::{
    base::Configs,
    vae::{Decoder, Encoder},
};
use engine::{Device, Tensor, params::Params, rng::TorchRng};

use crate::{Result, fresh::Fresh};

/// Weight of the Kullback-Leibler term per latent value, against the mean squared
/// error per pixel value: just enough to keep the latents near one scale.
const KL: f64 = 1e-5;

/// Weight of the difference of neighbouring pixels. The squared error alone prefers
/// soft edges, because an edge that is a pixel off costs twice; comparing gradients
/// makes a soft edge cost as well.
const EDGES: f64 = 0.5;

/// Random parameters of both halves.
pub fn fresh(configs: &Configs, seed: u64, device: &Device) -> Params {
    let source = Fresh::new(seed, device);
    let Ok(_) = Encoder::build(&configs.vae, &source);
    let Ok(_) = Decoder::build(&configs.vae, &source);
    source.into_params()
}

/// The loss of a batch of pictures `[batch, side, side, 3]` in -1..1.
pub fn loss(
    configs: &Configs,
    leaves: &Params,
    pictures: Tensor<4>,
    rng: &mut TorchRng,
) -> Result<Tensor<1>> {
    let Ok(encoder) = Encoder::build(&configs.vae, leaves);
    let Ok(decoder) = Decoder::build(&configs.vae, leaves);
    let posterior = encoder.forward(pictures.clone());
    let (mean, std) = (posterior.mean(), posterior.std());
    let noise = rng.randn(mean.shape().num_elements());
    let noise = engine::tensor(noise, mean.dims(), &mean.device());
    // The decoder takes latents as the U-Net has them, and the scale here is 1.
    let drawn = decoder.forward(posterior.sample(noise));
    let variance = std.clone() * std.clone();
    let divergence = (mean.clone() * mean + variance.clone() - variance.log() - 1.0).mean() * 0.5;
    let difference = drawn - pictures;
    let edges = steps(&difference, 1) + steps(&difference, 2);
    Ok((difference.clone() * difference).mean() + edges * EDGES + divergence * KL)
}

/// Mean square of the steps from each pixel to the next along an axis.
fn steps(x: &Tensor<4>, axis: usize) -> Tensor<1> {
    let length = x.dims()[axis] - 1;
    let step = x.clone().narrow(axis, 1, length) - x.clone().narrow(axis, 0, length);
    (step.clone() * step).mean()
}
