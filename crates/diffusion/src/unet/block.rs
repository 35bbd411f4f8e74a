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
    frame: Frame,
    cross: CrossAttention,
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
        let shape = CrossAttentionShape { width, context, heads, bias: false };
        Ok(Self {
            frame: Frame::build(source, name, width, heads)?,
            cross: CrossAttention::build(source, &format!("{name}.attn2"), shape)?,
        })
    }

    /// The same block, whose name in the model is `name`, with other projections in its
    /// two attentions.
    pub fn replaced(&self, name: &str, replace: &Replace) -> Self {
        Self {
            frame: Frame {
                own: self.frame.own.replaced(&format!("{name}.attn1"), replace),
                ..self.frame.clone()
            },
            cross: self.cross.replaced(&format!("{name}.attn2"), replace),
        }
    }

    /// # Shapes
    /// `x [batch, n, width]`; `context [batch or a divisor of it, m, context]`,
    /// with one row of `keep` for each of its rows; result as `x`.
    pub fn forward(&self, x: Tensor<3>, context: &Tensor<3>, keep: Option<&KeyMask>) -> Tensor<3> {
        self.frame.forward(x, |n| self.cross.forward(n, context, keep))
    }

    /// The same without a mask, together with columns of the cross-attention,
    /// see [`ops::attention_columns`].
    pub fn forward_columns(
        &self,
        x: Tensor<3>,
        context: &Tensor<3>,
        columns: &[Vec<usize>],
    ) -> (Tensor<3>, Tensor<3>) {
        let x = self.frame.before(x);
        let n = self.frame.norm2.forward(x.clone());
        let (change, maps) = self.cross.forward_columns(n, context, columns);
        (self.frame.behind(ops::add(x, change)), maps)
    }
}

/// What a transformer block has around its cross-attention: self-attention
/// before it and the gated MLP behind it. A method may put something else in the
/// place between.
#[derive(Clone)]
pub struct Frame {
    norm1: LayerNorm,
    own: CrossAttention,
    norm2: LayerNorm,
    norm3: LayerNorm,
    gate: Linear,
    down: Linear,
}

impl Frame {
    /// Builds the frame from weights `name.attn1.to_q.weight`, `name.norm2.weight`, ..
    pub fn build<S: WeightSource>(
        source: &S,
        name: &str,
        width: usize,
        heads: usize,
    ) -> Result<Self, S::Error> {
        let part = |p: &str| format!("{name}.{p}");
        let norm = |p: &str| source.layer_norm(&part(p), width, EPSILON);
        let shape = CrossAttentionShape { width, context: width, heads, bias: false };
        Ok(Self {
            norm1: norm("norm1")?,
            own: CrossAttention::build(source, &part("attn1"), shape)?,
            norm2: norm("norm2")?,
            norm3: norm("norm3")?,
            gate: source.linear(&part("ff.net.0.proj"), width, 8 * width, true)?,
            down: source.linear(&part("ff.net.2"), 4 * width, width, true)?,
        })
    }

    /// A block whose middle part adds `change` of the normed tokens.
    ///
    /// # Shapes
    /// `x [batch, n, width]`, as are what `change` takes and gives, and the result.
    pub fn forward(&self, x: Tensor<3>, change: impl FnOnce(Tensor<3>) -> Tensor<3>) -> Tensor<3> {
        let x = self.before(x);
        let change = change(self.norm2.forward(x.clone()));
        self.behind(ops::add(x, change))
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
