use burn::backend::{Backend, DispatchKindConversion, DispatchTensor, tensor::FloatTensor};

use super::{OnTape, Operation, Values, apply};
use crate::Tensor;

/// A tensor of any backend, without a tape.
#[derive(Clone, Debug)]
pub(crate) struct Plain<B: Backend>(pub(crate) FloatTensor<B>);

impl<B: Backend> Values for Plain<B> {
    type Backend = B;

    fn open(tensor: FloatTensor<B>) -> Self {
        Self(tensor)
    }

    fn close(self) -> FloatTensor<B> {
        self.0
    }
}

impl<B: Backend> Plain<B>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    /// To be computed with as with any other.
    pub(crate) fn tensor<const D: usize>(self) -> Tensor<D> {
        Tensor::from_primitive::<B>(self.0)
    }

    /// The tensor that operations on [`Plain::tensor`]s have made.
    ///
    /// # Panics
    /// If it is not the backend's.
    pub(crate) fn new<const D: usize>(tensor: Tensor<D>) -> Self {
        Self(tensor.try_into_primitive::<B>().expect("it came from tensors of the backend"))
    }
}

/// [`apply`] for operations that are said in tensors of backend `B`.
pub(crate) fn apply_plain<B: Backend, const N: usize, const D: usize>(
    operation: impl Operation<N, Plain<B>>,
    inputs: [DispatchTensor; N],
) -> Tensor<D>
where
    DispatchTensor: OnTape<B>,
{
    apply::<N, D, Plain<B>>(operation, inputs)
}
