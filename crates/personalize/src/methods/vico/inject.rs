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
    fn after_block(&mut self, site: &Site, tokens: Tensor<3>, _: Option<Tensor<3>>) -> Tensor<3> {
        match (self.blocks.get(&site.index), self.layers.get(&site.index)) {
            (Some(block), Some(layer)) => block.forward(tokens, &layer.tokens, layer.keep.as_ref()),
            _ => tokens,
        }
    }
}

/// The same while the blocks learn: on a tape each is built anew from leaves, which on the
/// way back give the gradients of its weights and, unless it is detached, of the
/// reference's tokens.
pub struct InjectLearning<'a> {
    plain: Inject<'a>,
    params: &'a Params,
    variant: Variant,
    /// Weights and reference's tokens by transformer number.
    leaves: BTreeMap<usize, (Params, Tensor<3>)>,
    /// Gradients of the blocks' weights.
    pub weights: Sums,
    /// Gradients of the reference's tokens by transformer number.
    pub reference: BTreeMap<usize, Tensor<3>>,
}

impl<'a> InjectLearning<'a> {
    /// Over the trained weights, of which the blocks are built.
    pub fn new(plain: Inject<'a>, params: &'a Params, variant: Variant) -> Self {
        let (weights, reference) = (Sums::default(), BTreeMap::new());
        Self { plain, params, variant, leaves: BTreeMap::new(), weights, reference }
    }
}

impl Processor for InjectLearning<'_> {
    fn after_block(
        &mut self,
        site: &Site,
        tokens: Tensor<3>,
        maps: Option<Tensor<3>>,
    ) -> Tensor<3> {
        let layer = match self.plain.layers.get(&site.index) {
            Some(layer) if tokens.is_tracked() => layer,
            _ => return self.plain.after_block(site, tokens, maps),
        };
        let weights = self.params.starting_with(&block::prefix(site)).leaves();
        let reference = match self.variant.detach_reference {
            true => layer.tokens.clone(),
            false => leaf(&layer.tokens),
        };
        let Ok(block) = ImageBlock::build(&weights, site, self.variant.injection);
        let out = block.forward(tokens, &reference, layer.keep.as_ref());
        self.leaves.insert(site.index, (weights, reference));
        out
    }
}

impl Replay for InjectLearning<'_> {
    fn seeds(&mut self, _: &Site, _: &mut Seeds) {}

    fn collect(&mut self, site: Option<&Site>, gradients: &mut Gradients) {
        let Some(site) = site.map(|site| site.index) else { return };
        let Some((weights, reference)) = self.leaves.remove(&site) else { return };
        weights.collect(gradients, &mut self.weights);
        if self.variant.detach_reference {
            return;
        }
        if let Some(gradient) = gradients.take(&reference) {
            self.reference.insert(site, gradient);
        }
    }
}
