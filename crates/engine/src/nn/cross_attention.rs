use super::{Linear, Precision, Replace, WeightSource};
use crate::{
    Tensor,
    ops::{self, Attention, KeyMask},
};

/// Multi-head attention with its four projections, under diffusers' names
/// (`to_q`, `to_k`, `to_v`, `to_out.0`).
#[derive(Clone, Debug)]
pub struct CrossAttention {
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    heads: usize,
    precision: Precision,
}

/// Sizes of a [`CrossAttention`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrossAttentionShape {
    /// Channels of the queries and of the result.
    pub width: usize,
    /// Channels of what keys and values are made from.
    pub context: usize,
    /// Attention heads, dividing `width`.
    pub heads: usize,
    /// Queries, keys and values have biases; the result always has one.
    pub bias: bool,
}

impl CrossAttention {
    /// Builds the layer from weights `name.to_q.weight`, ...
    pub fn build<S: WeightSource>(
        source: &S,
        name: &str,
        shape: CrossAttentionShape,
    ) -> Result<Self, S::Error> {
        let CrossAttentionShape { width, context, heads, bias } = shape;
        Ok(Self {
            query: source.linear(&format!("{name}.to_q"), width, width, bias)?,
            key: source.linear(&format!("{name}.to_k"), context, width, bias)?,
            value: source.linear(&format!("{name}.to_v"), context, width, bias)?,
            out: source.linear(&format!("{name}.to_out.0"), width, width, true)?,
            heads,
            precision: source.precision(),
        })
    }

    /// The same layer, whose name in the model is `name`, with other projections.
    pub fn replaced(&self, name: &str, replace: &Replace) -> Self {
        let new = |part: &str, old: &Linear| {
            replace(&format!("{name}.{part}"), old).unwrap_or_else(|| old.clone())
        };
        Self {
            query: new("to_q", &self.query),
            key: new("to_k", &self.key),
            value: new("to_v", &self.value),
            out: new("to_out.0", &self.out),
            heads: self.heads,
            precision: self.precision,
        }
    }

    /// # Shapes
    /// `x [batch, n, width]`; `context [batch or a divisor of it, m, context]`,
    /// with one row of `keep` for each of its rows; result `[batch, n, width]`.
    pub fn forward(&self, x: Tensor<3>, context: &Tensor<3>, keep: Option<&KeyMask>) -> Tensor<3> {
        let how = Attention { keep: keep.cloned(), ..self.how() };
        let (k, v) = self.keys_and_values(context);
        self.out.forward(ops::attention(self.query.forward(x), k, v, &how))
    }

    /// The same without a mask, together with columns of the head-averaged
    /// probabilities, see [`ops::attention_columns`].
    pub fn forward_columns(
        &self,
        x: Tensor<3>,
        context: &Tensor<3>,
        columns: &[Vec<usize>],
    ) -> (Tensor<3>, Tensor<3>) {
        let (k, v) = self.keys_and_values(context);
        let (mixed, maps) =
            ops::attention_columns(self.query.forward(x), k, v, &self.how(), columns);
        (self.out.forward(mixed), maps)
    }

    fn how(&self) -> Attention {
        Attention { precision: self.precision, ..Attention::heads(self.heads) }
    }

    fn keys_and_values(&self, context: &Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        (self.key.forward(context.clone()), self.value.forward(context.clone()))
    }
}
