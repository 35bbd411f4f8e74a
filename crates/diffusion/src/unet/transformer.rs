use engine::{
    Tensor,
    nn::{GroupNorm, LayerNorm, Linear, WeightSource},
    ops::{self, Attention},
};

use super::{Processor, Site};

/// Group norm, projection in, one transformer block over the pixels, projection
/// out, and the input added.
pub(super) struct Transformer {
    pub site: Site,
    norm: GroupNorm,
    project_in: Linear,
    block: Block,
    project_out: Linear,
}

/// Self-attention, text cross-attention and a gated MLP, each behind a norm.
struct Block {
    norm1: LayerNorm,
    own: Projections,
    norm2: LayerNorm,
    text: Projections,
    norm3: LayerNorm,
    gate: Linear,
    down: Linear,
}

struct Projections {
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    heads: usize,
}

/// Epsilon of the transformer's norms, the same in every published model.
const GROUP_EPSILON: f64 = 1e-6;
const LAYER_EPSILON: f64 = 1e-5;

impl Transformer {
    pub fn build<S: WeightSource>(
        source: &S,
        site: Site,
        groups: usize,
        context: usize,
    ) -> Result<Self, S::Error> {
        let (name, width) = (&site.diffusers, site.channels);
        Ok(Self {
            norm: source.group_norm(&format!("{name}.norm"), groups, width, GROUP_EPSILON)?,
            project_in: source.linear(&format!("{name}.proj_in"), width, width, true)?,
            block: Block::build(source, &site, context)?,
            project_out: source.linear(&format!("{name}.proj_out"), width, width, true)?,
            site,
        })
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
        let (tokens, maps) = self.block.forward(tokens, context, processor.columns(&self.site));
        let tokens = processor.after_block(&self.site, tokens, maps);
        x + self.project_out.forward(tokens).reshape([b, h, w, c])
    }
}

impl Block {
    fn build<S: WeightSource>(source: &S, site: &Site, context: usize) -> Result<Self, S::Error> {
        let width = site.channels;
        let part = |p: &str| format!("{}.transformer_blocks.0.{p}", site.diffusers);
        let norm = |p: &str| source.layer_norm(&part(p), width, LAYER_EPSILON);
        Ok(Self {
            norm1: norm("norm1")?,
            own: Projections::build(source, &part("attn1"), width, width, site.heads)?,
            norm2: norm("norm2")?,
            text: Projections::build(source, &part("attn2"), width, context, site.heads)?,
            norm3: norm("norm3")?,
            gate: source.linear(&part("ff.net.0.proj"), width, 8 * width, true)?,
            down: source.linear(&part("ff.net.2"), 4 * width, width, true)?,
        })
    }

    fn forward(
        &self,
        x: Tensor<3>,
        context: &Tensor<3>,
        columns: Option<&[Vec<usize>]>,
    ) -> (Tensor<3>, Option<Tensor<3>>) {
        let n = self.norm1.forward(x.clone());
        let x = x + self.own.forward(n.clone(), &n);
        let n = self.norm2.forward(x.clone());
        let (change, maps) = match columns {
            Some(columns) => {
                let (change, maps) = self.text.forward_columns(n, context, columns);
                (change, Some(maps))
            }
            None => (self.text.forward(n, context), None),
        };
        let x = x + change;
        let n = self.norm3.forward(x.clone());
        (x + self.down.forward(ops::geglu(self.gate.forward(n))), maps)
    }
}

impl Projections {
    fn build<S: WeightSource>(
        source: &S,
        name: &str,
        width: usize,
        context: usize,
        heads: usize,
    ) -> Result<Self, S::Error> {
        Ok(Self {
            query: source.linear(&format!("{name}.to_q"), width, width, false)?,
            key: source.linear(&format!("{name}.to_k"), context, width, false)?,
            value: source.linear(&format!("{name}.to_v"), context, width, false)?,
            out: source.linear(&format!("{name}.to_out.0"), width, width, true)?,
            heads,
        })
    }

    fn forward(&self, x: Tensor<3>, context: &Tensor<3>) -> Tensor<3> {
        let (k, v) = (self.key.forward(context.clone()), self.value.forward(context.clone()));
        let mixed = ops::attention(self.query.forward(x), k, v, &Attention::heads(self.heads));
        self.out.forward(mixed)
    }

    fn forward_columns(
        &self,
        x: Tensor<3>,
        context: &Tensor<3>,
        columns: &[Vec<usize>],
    ) -> (Tensor<3>, Tensor<3>) {
        let (k, v) = (self.key.forward(context.clone()), self.value.forward(context.clone()));
        let how = Attention::heads(self.heads);
        let (mixed, maps) = ops::attention_columns(self.query.forward(x), k, v, &how, columns);
        (self.out.forward(mixed), maps)
    }
}
