//! The loss of one batch and its gradients, by block-wise replay.

use std::collections::BTreeMap;

use diffusion::unet::UNet;
use engine::{
    Tensor,
    params::Gradients as Sums,
    replay::{Seeds, leaf},
};

use super::{
    super::mean_square,
    Vico,
    inject::{Inject, InjectLearning},
    reference::{Capture, CaptureBack, LayerGradient, Layers, Positions},
};
use crate::ObjectMask;

/// What goes into one evaluation of the loss; rows are samples.
pub struct Inputs {
    /// Noisy latents `[batch, height, width, channels]`.
    pub noisy: Tensor<4>,
    /// What the U-Net is to predict of them: the noise, or v.
    pub target: Tensor<4>,
    /// Clean latents of the references.
    pub reference: Tensor<4>,
    /// What was drawn to be the object in them; empty for none at all.
    pub masks: Vec<Option<ObjectMask>>,
    /// Timesteps.
    pub timesteps: Vec<f64>,
    /// Text context `[batch, positions, width]`.
    pub context: Tensor<3>,
    /// Placeholder and end-of-text positions.
    pub positions: Vec<Positions>,
}

/// The two parts of the loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parts {
    /// `mean((predicted - target)^2)`.
    pub denoising: f64,
    /// The regulariser before its weight.
    pub regulariser: f64,
}

/// A loss with its gradients.
pub struct Evaluated {
    /// Its parts.
    pub parts: Parts,
    /// The U-Net's prediction.
    pub predicted: Tensor<4>,
    /// The reference stream's layers, for looking at the masks.
    pub layers: Layers,
    /// Gradients of the image attention's weights.
    pub weights: Sums,
    /// Gradient of the text context, through both streams.
    pub context: Tensor<3>,
}

/// Evaluates the loss `denoising + weight * regulariser` and its gradients.
pub fn evaluate(unet: &UNet, vico: &Vico, inputs: &Inputs) -> Evaluated {
    let Vico { sites, params, rates, variant } = vico;
    let Inputs { noisy, target, reference, masks, timesteps, context, positions } = inputs;

    let mut capture = Capture::new(sites, positions, variant.mask).drawn(masks);
    let back_of_reference = if variant.detach_reference {
        capture.run(unet, reference.clone(), timesteps, context);
        None
    } else {
        Some(capture.record(unet, reference.clone(), timesteps, context))
    };
    let blocks = vico.blocks();
    let inject = Inject { blocks: &blocks, layers: &capture.layers };
    let mut inject = InjectLearning::new(inject, params, *variant);
    let (predicted, back_of_noisy) =
        unet.record(noisy.clone(), timesteps, context, &mut inject, None);

    let error = predicted.clone() - target.clone();
    let denoising = mean_square(&error);
    let (regulariser, maps) = regulariser(&capture.layers, rates.regulariser);

    // Noisy stream first: it says what arrives at the reference's tokens.
    let count = error.shape().num_elements() as f64;
    let through_noisy = unet.replay(back_of_noisy, Some(error * (2.0 / count)), &mut inject);
    let InjectLearning { weights, reference: tokens, .. } = inject;

    let context = match back_of_reference {
        None => through_noisy,
        Some(recording) => {
            let mut back = CaptureBack::new(&capture, arriving(tokens, maps));
            through_noisy + unet.replay(recording, None, &mut back)
        }
    };
    let parts = Parts { denoising, regulariser };
    Evaluated { parts, predicted, layers: capture.layers, weights, context }
}

/// The gradients of the reference's tokens and maps, by transformer number.
type Arriving = BTreeMap<usize, Tensor<3>>;

/// Both together, layer by layer.
fn arriving(tokens: Arriving, maps: Arriving) -> BTreeMap<usize, LayerGradient> {
    let mut all: BTreeMap<usize, LayerGradient> = BTreeMap::new();
    for (site, gradient) in tokens {
        all.entry(site).or_default().tokens = Some(gradient);
    }
    for (site, gradient) in maps {
        all.entry(site).or_default().maps = Some(gradient);
    }
    all
}

/// The regulariser, summed over the layers, and `weight` times its gradient to
/// each layer's maps; no gradients where the weight is zero.
fn regulariser(layers: &Layers, weight: f64) -> (f64, Arriving) {
    let mut total = 0.0;
    let mut gradients = Arriving::new();
    for (&site, layer) in layers {
        if weight == 0.0 {
            total += f64::from(engine::values(distance(&layer.maps))[0]);
            continue;
        }
        let maps = leaf(&layer.maps);
        let value = distance(&maps);
        total += f64::from(engine::values(value.clone())[0]);
        let mut seeds = Seeds::default();
        seeds.add(value.clone(), value.ones_like() * weight);
        let gradient = seeds.backward().take(&maps);
        gradients.insert(site, gradient.expect("the regulariser depends on the maps"));
    }
    (total, gradients)
}

/// How far the placeholder's map is from the end of the text's, each divided
/// by its largest value: `mean((A*/max A* - A_eot/max A_eot)^2)`. The latter
/// is a target and gets no gradient.
pub fn distance(maps: &Tensor<3>) -> Tensor<1> {
    let placeholder = normalised(maps.clone().narrow(1, 0, 1));
    let end_of_text = normalised(maps.clone().narrow(1, 1, 1).detach());
    (placeholder - end_of_text).square().mean()
}

/// Divided by its largest value; a map of zeros stays one.
fn normalised(map: Tensor<3>) -> Tensor<3> {
    map.clone() / map.max_dim(2).clamp_min(f32::MIN_POSITIVE)
}
