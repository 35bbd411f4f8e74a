use engine::{
    Tensor,
    nn::{CrossAttention, CrossAttentionShape, LayerNorm, Linear, Replace, WeightSource},
    ops::{self, KeyMask},
};

/// Epsilon of the block's norms, the same in every published model.
const EPSILON: f64 = 1e-5;

/// A transformer block: self-attention, cross-attention to a context and a
/// gated MLP, each behind a norm and added to its input. The U-Net's own block
/// has the text as its context; methods may have blocks of their own.
#[derive(Clone)]
pub struct Block {
    norm1: LayerNorm,
    own: CrossAttention,
    norm2: LayerNorm,
    cross: CrossAttention,
    norm3: LayerNorm,
    gate: Linear,
    down: Linear,
}

impl Block {
    /// Builds the block from weights `name.attn1.to_q.weight`, .. as in
    /// diffusers and in the original files; `context` is the width of what the
    /// cross-attention reads.
    pub fn build<S: WeightSource>(
        source: &S,
        name: &str,
        width: usize,
        context: usize,
        heads: usize,
    ) -> Result<Self, S::Error> {
        let part = |p: &str| format!("{name}.{p}");
        let norm = |p: &str| source.layer_norm(&part(p), width, EPSILON);
        let attention = |p: &str, context| {
            let shape = CrossAttentionShape { width, context, heads, bias: false };
            CrossAttention::build(source, &part(p), shape)
        };
        Ok(Self {
            norm1: norm("norm1")?,
            own: attention("attn1", width)?,
            norm2: norm("norm2")?,
            cross: attention("attn2", context)?,
            norm3: norm("norm3")?,
            gate: source.linear(&part("ff.net.0.proj"), width, 8 * width, true)?,
            down: source.linear(&part("ff.net.2"), 4 * width, width, true)?,
        })
    }

    /// The same block, whose name in the model is `name`, with other projections in its
    /// two attentions.
    pub fn replaced(&self, name: &str, replace: &Replace) -> Self {
        Self {
            own: self.own.replaced(&format!("{name}.attn1"), replace),
            cross: self.cross.replaced(&format!("{name}.attn2"), replace),
            ..self.clone()
        }
    }

    /// # Shapes
    /// `x [batch, n, width]`; `context [batch or a divisor of it, m, context]`,
    /// with one row of `keep` for each of its rows; result as `x`.
    pub fn forward(&self, x: Tensor<3>, context: &Tensor<3>, keep: Option<&KeyMask>) -> Tensor<3> {
        let x = self.before(x);
        let change = self.cross.forward(self.norm2.forward(x.clone()), context, keep);
        self.behind(ops::add(x, change))
    }

    /// The same without a mask, together with columns of the cross-attention,
    /// see [`ops::attention_columns`].
    pub fn forward_columns(
        &self,
        x: Tensor<3>,
        context: &Tensor<3>,
        columns: &[Vec<usize>],
    ) -> (Tensor<3>, Tensor<3>) {
        let x = self.before(x);
        let n = self.norm2.forward(x.clone());
        let (change, maps) = self.cross.forward_columns(n, context, columns);
        (self.behind(ops::add(x, change)), maps)
    }

    fn before(&self, x: Tensor<3>) -> Tensor<3> {
        let n = self.norm1.forward(x.clone());
        ops::add(x, self.own.forward(n.clone(), &n, None))
    }

    fn behind(&self, x: Tensor<3>) -> Tensor<3> {
        let n = self.norm3.forward(x.clone());
        ops::add(x, self.down.forward(ops::geglu(self.gate.forward(n))))
    }
}
