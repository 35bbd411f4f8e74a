use engine::{
    Tensor,
    nn::{GroupNorm, Linear, Replace, WeightSource},
    ops,
};

use super::{Block, Processor, Site};

/// Group norm, projection in, one transformer block over the pixels, projection
/// out, and the input added.
#[derive(Clone)]
pub(super) struct Transformer {
    pub site: Site,
    norm: GroupNorm,
    project_in: Linear,
    block: Block,
    project_out: Linear,
}

/// Epsilon of its norm, the same in every published model.
const EPSILON: f64 = 1e-6;

impl Transformer {
    pub fn build<S: WeightSource>(
        source: &S,
        site: Site,
        groups: usize,
        context: usize,
    ) -> Result<Self, S::Error> {
        let (name, width) = (&site.diffusers, site.channels);
        let block = site.block_name();
        Ok(Self {
            norm: source.group_norm(&format!("{name}.norm"), groups, width, EPSILON)?,
            project_in: source.linear(&format!("{name}.proj_in"), width, width, true)?,
            block: Block::build(source, &block, width, context, site.heads)?,
            project_out: source.linear(&format!("{name}.proj_out"), width, width, true)?,
            site,
        })
    }

    pub fn replaced(&self, replace: &Replace) -> Self {
        let block = self.block.replaced(&self.site.block_name(), replace);
        Self { block, ..self.clone() }
    }

    /// # Shapes
    /// `x [batch, height, width, channels]`; `context [batch or a divisor of
    /// it, positions, context width]`.
    pub fn forward(
        &self,
        x: Tensor<4>,
        context: &Tensor<3>,
        processor: &mut dyn Processor,
    ) -> Tensor<4> {
        let [b, h, w, c] = x.dims();
        let tokens = self.project_in.forward(self.norm.forward(x.clone()));
        let tokens = tokens.reshape([b, h * w, c]);
        let (tokens, maps) = match processor.columns(&self.site) {
            Some(columns) => {
                let (tokens, maps) = self.block.forward_columns(tokens, context, columns);
                (tokens, Some(maps))
            }
            None => (self.block.forward(tokens, context, None), None),
        };
        let tokens = processor.after_block(&self.site, tokens, maps);
        ops::add(x, self.project_out.forward(tokens).reshape([b, h, w, c]))
    }
}
