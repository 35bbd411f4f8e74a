//! Image attention inside the noisy stream.

use std::collections::BTreeMap;

use diffusion::unet::{Processor, Replay, Site};
use engine::{
    Tensor,
    params::{Gradients as Sums, Params},
    replay::{Gradients, Seeds, leaf},
};

use super::{
    block::{self, ImageBlock},
    reference::Layers,
    variant::Variant,
};

/// The blocks by transformer number.
pub type Blocks = BTreeMap<usize, ImageBlock>;

/// Lets the noisy stream read from the reference's layers.
pub struct Inject<'a> {
    /// The trained blocks.
    pub blocks: &'a Blocks,
    /// What they read.
    pub layers: &'a Layers,
}

impl Processor for Inject<'_> {
    fn touches(&self, site: &Site) -> bool {
        self.layers.contains_key(&site.index)
    }

    fn after_block(&mut self, site: &Site, tokens: Tensor<3>, _: Option<Tensor<3>>) -> Tensor<3> {
        match (self.blocks.get(&site.index), self.layers.get(&site.index)) {
            (Some(block), Some(layer)) => block.forward(tokens, &layer.tokens, layer.keep.as_ref()),
            _ => tokens,
        }
    }
}

/// The noisy stream on the way back: each block is built anew from leaves, and
/// gives the gradients of its weights and, unless it is detached, of the
/// reference's tokens.
pub struct InjectBack<'a> {
    params: &'a Params,
    layers: &'a Layers,
    variant: Variant,
    leaves: Option<(usize, Params, Tensor<3>)>,
    /// Gradients of the blocks' weights.
    pub weights: Sums,
    /// Gradients of the reference's tokens by transformer number.
    pub reference: BTreeMap<usize, Tensor<3>>,
}

impl<'a> InjectBack<'a> {
    /// Over the trained weights and the layers of the forward pass.
    pub fn new(params: &'a Params, layers: &'a Layers, variant: Variant) -> Self {
        let (weights, reference) = (Sums::default(), BTreeMap::new());
        Self { params, layers, variant, leaves: None, weights, reference }
    }
}

impl Processor for InjectBack<'_> {
    fn after_block(&mut self, site: &Site, tokens: Tensor<3>, _: Option<Tensor<3>>) -> Tensor<3> {
        let Some(layer) = self.layers.get(&site.index) else { return tokens };
        let weights = self.params.starting_with(&block::prefix(site)).leaves();
        let reference = match self.variant.detach_reference {
            true => layer.tokens.clone(),
            false => leaf(&layer.tokens),
        };
        let Ok(block) = ImageBlock::build(&weights, site, self.variant.injection);
        let out = block.forward(tokens, &reference, layer.keep.as_ref());
        self.leaves = Some((site.index, weights, reference));
        out
    }
}

impl Replay for InjectBack<'_> {
    fn seeds(&mut self, _: &mut Seeds) {}

    fn collect(&mut self, gradients: &mut Gradients) {
        let Some((site, weights, reference)) = self.leaves.take() else { return };
        weights.collect(gradients, &mut self.weights);
        if self.variant.detach_reference {
            return;
        }
        if let Some(gradient) = gradients.take(&reference) {
            self.reference.insert(site, gradient);
        }
    }
}
