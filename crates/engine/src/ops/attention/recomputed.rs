use burn::{
    backend::{Backend, DispatchDevice, DispatchTensor, Flex},
    tensor::GradientCheckpointingStrategy,
};

use super::{
    Attention,
    twin::{attention_in_parts, gradients_in_parts},
};
use crate::{
    Tensor,
    operation::{OnTape, Operation, Plain, apply_plain},
};

/// [`attention_in_parts`] that keeps no scores for the way back: they are computed again
/// there, part by part (Dao et al. 2022, arXiv 2205.14135, without the fusion).
#[derive(Clone, Debug)]
pub(super) struct Recomputed {
    how: Attention,
    /// Scores at a time.
    most: usize,
}

impl Recomputed {
    /// Multi-head attention of any device.
    pub fn attention(
        q: Tensor<3>,
        k: Tensor<3>,
        v: Tensor<3>,
        how: &Attention,
        most: usize,
    ) -> Tensor<3> {
        let device = q.device();
        let checkpointing = device.gradient_checkpointing_strategy();
        if checkpointing.is_some_and(|it| it != GradientCheckpointingStrategy::Disabled) {
            return attention_in_parts(q, k, v, how, most);
        }
        let dispatch = match device.as_dispatch() {
            DispatchDevice::Autodiff(taped) => taped,
            plain => plain,
        };
        let operation = Self { how: how.clone(), most };
        match dispatch {
            DispatchDevice::Flex(_) => operation.apply::<Flex>(q, k, v),
            #[cfg(any(feature = "vulkan", feature = "metal", feature = "cuda"))]
            DispatchDevice::Cube(_) => operation.apply::<burn::backend::Cube>(q, k, v),
            #[allow(unreachable_patterns)]
            _ => attention_in_parts(q, k, v, how, most),
        }
    }

    fn apply<B: Backend>(self, q: Tensor<3>, k: Tensor<3>, v: Tensor<3>) -> Tensor<3>
    where
        DispatchTensor: OnTape<B>,
    {
        let inputs = [q.into_dispatch(), k.into_dispatch(), v.into_dispatch()];
        apply_plain(self, inputs)
    }
}

impl<B: Backend> Operation<3, Plain<B>> for Recomputed
where
    DispatchTensor: OnTape<B>,
{
    /// Queries, keys and values.
    type Saved = [Plain<B>; 3];

    fn forward(&self, inputs: [Plain<B>; 3], _: [bool; 3]) -> (Plain<B>, Self::Saved) {
        let [q, k, v] = inputs.clone().map(Plain::tensor);
        (Plain::new(attention_in_parts(q, k, v, &self.how, self.most)), inputs)
    }

    fn backward(
        &self,
        saved: Self::Saved,
        gradient: Plain<B>,
        _: [bool; 3],
    ) -> [Option<Plain<B>>; 3] {
        let inputs = saved.map(Plain::tensor);
        let gradients = gradients_in_parts(inputs, gradient.tensor(), &self.how, self.most);
        gradients.map(|gradient| Some(Plain::new(gradient)))
    }
}
