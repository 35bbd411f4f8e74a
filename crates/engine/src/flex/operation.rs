use std::{fmt::Debug, marker::PhantomData};

use burn::backend::{
    Autodiff, BackendTensor, DispatchTensor, DispatchTensorKind, Flex,
    autodiff::{
        checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
        grads::Gradients,
        ops::{Backward, NodeGuard, Ops, OpsKind},
    },
    flex::FlexTensor,
    tensor::FloatTensor,
};

use super::Array;
use crate::Tensor;

/// A differentiable operation on `N` arrays.
pub(crate) trait Operation<const N: usize>: Clone + Debug + Send + 'static {
    /// What the way back needs of the way there.
    type Saved: Clone + Debug + Send + 'static;

    /// The result, and what [`Operation::backward`] needs where some gradient is
    /// `wanted`; whatever is saved without need only costs memory.
    fn forward(&self, inputs: [Array; N], wanted: [bool; N]) -> (Array, Self::Saved);

    /// The gradients of the inputs from that of the result: one at least where it
    /// is wanted; what comes without being wanted is dropped.
    fn backward(
        &self,
        saved: Self::Saved,
        gradient: Array,
        wanted: [bool; N],
    ) -> [Option<Array>; N];
}

/// Runs an operation. It is recorded if an input is tracked; the others are
/// constants then.
///
/// # Panics
/// If the inputs are not float tensors of a device that [`super::serves`].
pub(crate) fn apply<const N: usize, const D: usize>(
    operation: impl Operation<N>,
    inputs: [DispatchTensor; N],
) -> Tensor<D> {
    let inputs = inputs.map(Input::open);
    if inputs.iter().any(|input| input.is_tracked()) {
        Tensor::from_primitive::<Autodiff<Flex>>(record(operation, inputs))
    } else {
        let (result, _) = operation.forward(inputs.map(Input::into_array), [false; N]);
        Tensor::from_primitive::<Flex>(result.into())
    }
}

/// A float tensor with or without a place on the tape.
enum Input {
    Plain(FlexTensor),
    Taped(FloatTensor<Autodiff<Flex>>),
}

impl Input {
    fn open(tensor: DispatchTensor) -> Self {
        match tensor.kind {
            DispatchTensorKind::Flex(BackendTensor::Float(tensor)) => return Self::Plain(tensor),
            DispatchTensorKind::Autodiff(inner) => {
                if let DispatchTensorKind::Flex(BackendTensor::Autodiff(tensor)) = *inner {
                    return Self::Taped(tensor);
                }
            }
            #[allow(unreachable_patterns)]
            _ => {}
        }
        panic!("the kernels were given something else than a float tensor of the flex device")
    }

    fn is_tracked(&self) -> bool {
        matches!(self, Self::Taped(tensor) if tensor.is_tracked())
    }

    fn into_array(self) -> Array {
        match self {
            Self::Plain(tensor) => tensor.into(),
            Self::Taped(tensor) => tensor.into_primitive().into(),
        }
    }

    /// Values and place on the tape; a constant gets one that wants no gradient.
    fn into_parts(self) -> (Array, NodeGuard) {
        let taped = match self {
            Self::Plain(tensor) => FloatTensor::<Autodiff<Flex>>::new(tensor),
            Self::Taped(tensor) => tensor,
        };
        let (values, node) = taped.into_parts();
        (values.into(), node)
    }
}

fn record<O: Operation<N>, const N: usize>(
    operation: O,
    inputs: [Input; N],
) -> FloatTensor<Autodiff<Flex>> {
    let wanted = inputs.each_ref().map(Input::is_tracked);
    let mut nodes = Vec::with_capacity(N);
    let arrays = inputs.map(|input| {
        let (values, node) = input.into_parts();
        nodes.push(node);
        values
    });
    let nodes: [NodeGuard; N] = nodes.try_into().expect("a node for each input");
    let (result, saved) = operation.forward(arrays, wanted);
    let prepared = Recorded(PhantomData).prepare::<NoCheckpointing>(nodes).compute_bound();
    match prepared.stateful() {
        OpsKind::Tracked(prepared) => prepared.finish((operation, saved), result.into()),
        OpsKind::UnTracked(prepared) => prepared.finish(result.into()),
    }
}

/// An operation on the tape.
#[derive(Debug)]
struct Recorded<O>(PhantomData<O>);

impl<O: Operation<N>, const N: usize> Backward<Flex, N> for Recorded<O> {
    type State = (O, O::Saved);

    fn backward(self, step: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&step.node);
        let wanted = step.parents.each_ref().map(Option::is_some);
        let (operation, saved) = step.state;
        let results = operation.backward(saved, gradient.into(), wanted);
        for (parent, result) in step.parents.into_iter().zip(results) {
            if let Some(parent) = parent {
                let result = result.expect("an operation gives every gradient that is wanted");
                gradients.register::<Flex>(parent.id, result.into());
            }
        }
    }
}
