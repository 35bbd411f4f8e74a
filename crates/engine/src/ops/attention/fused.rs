use std::sync::Arc;

use kernels::{AttentionGradients, AttentionSaved, ColumnGradient, Precision};

use super::{Attention, KeyMask};
use crate::flex::{Array, Buffer, Operation};

/// Attention on the kernels. With columns the result is flat: the attention's, then
/// the columns'.
#[derive(Clone, Debug)]
pub(super) struct Fused {
    heads: usize,
    keep: Option<KeyMask>,
    causal: bool,
    precision: Precision,
    /// As many for each row of queries.
    columns: Option<Arc<[usize]>>,
}

impl Fused {
    pub fn new(how: &Attention, columns: Option<&[Vec<usize>]>) -> Self {
        let Attention { heads, keep, causal, precision } = how.clone();
        let precision = precision.of_kernels().unwrap_or_default();
        Self { heads, keep, causal, precision, columns: columns.map(|rows| rows.concat().into()) }
    }

    fn kernel(&self, q: &Array, k: &Array) -> kernels::Attention<'_> {
        let [batch, queries, channels] = q.dims();
        let [key_batch, keys, _] = k.dims();
        kernels::Attention {
            level: kernels::level(),
            precision: self.precision,
            batch,
            queries,
            key_batch,
            keys,
            heads: self.heads,
            width: channels / self.heads,
            keep: self.keep.as_ref().map(|mask| &*mask.keep),
            causal: self.causal,
        }
    }
}

/// What the way back through an attention needs.
#[derive(Clone, Debug)]
pub(super) struct Saved {
    inputs: [Array; 3],
    /// The result, with the columns if there are some.
    out: Array,
    /// Logarithms of the softmax's sums.
    lse: Vec<f32>,
}

impl Operation<3> for Fused {
    type Saved = Saved;

    fn forward(&self, inputs: [Array; 3], _: [bool; 3]) -> (Array, Saved) {
        let [q, k, v] = &inputs;
        let kernel = self.kernel(q, k);
        let mut lse = vec![0.0; kernel.batch * kernel.heads * kernel.queries];
        let out = match &self.columns {
            None => Array::filled(&q.shape(), |out| kernel.forward(q, k, v, out, &mut lse)),
            Some(columns) => {
                let maps = columns.len() * kernel.queries;
                Array::filled(&[q.len() + maps], |both| {
                    let (out, maps) = both.split_at_mut(q.len());
                    kernel.forward(q, k, v, out, &mut lse);
                    kernel.columns(q, k, &lse, columns, maps);
                })
            }
        };
        (out.clone(), Saved { inputs, out, lse })
    }

    fn backward(&self, saved: Saved, gradient: Array, _: [bool; 3]) -> [Option<Array>; 3] {
        let [q, k, v] = &saved.inputs;
        let (dout, dmaps) = gradient.split_at(q.len());
        let columns = self.columns.as_deref();
        let columns = columns.map(|columns| ColumnGradient { columns, gradient: dmaps });
        let [mut dq, mut dk, mut dv] = [q, k, v].map(|input| Buffer::take(input.len()));
        let gradients = AttentionGradients { dq: &mut dq, dk: &mut dk, dv: &mut dv };
        let out = &saved.out[..q.len()];
        let forward = AttentionSaved { q, k, v, out, lse: &saved.lse };
        self.kernel(q, k).backward(forward, dout, columns, gradients);
        [dq.shaped(&q.shape()), dk.shaped(&k.shape()), dv.shaped(&v.shape())].map(Some)
    }
}
