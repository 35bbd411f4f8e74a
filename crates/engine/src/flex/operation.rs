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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::{cpu, replay::leaf, tensor, values};

    /// `a + 2 b`, which notes what it is asked for.
    #[derive(Clone, Debug, Default)]
    struct Noted {
        forward: Arc<Mutex<Vec<[bool; 2]>>>,
        backward: Arc<Mutex<Vec<[bool; 2]>>>,
    }

    impl Operation<2> for Noted {
        type Saved = ();

        fn forward(&self, [a, b]: [Array; 2], wanted: [bool; 2]) -> (Array, ()) {
            self.forward.lock().unwrap().push(wanted);
            let sum = |y: &mut [f32]| (0..y.len()).for_each(|i| y[i] = a[i] + 2.0 * b[i]);
            (Array::filled(&a.shape(), sum), ())
        }

        fn backward(&self, (): (), dy: Array, wanted: [bool; 2]) -> [Option<Array>; 2] {
            self.backward.lock().unwrap().push(wanted);
            let double = |db: &mut [f32]| (0..db.len()).for_each(|i| db[i] = 2.0 * dy[i]);
            let db = Array::filled(&dy.shape(), double);
            [wanted[0].then_some(dy), wanted[1].then_some(db)]
        }
    }

    fn apply_to(noted: &Noted, a: &Tensor<1>, b: &Tensor<1>) -> Tensor<1> {
        apply(noted.clone(), [a.clone().into_dispatch(), b.clone().into_dispatch()])
    }

    #[test]
    fn constants_cost_no_work_on_the_way_back() {
        let noted = Noted::default();
        let a = tensor([1.0, 2.0], [2], &cpu());
        let b = tensor([3.0, 4.0], [2], &cpu());
        let plain = apply_to(&noted, &a, &b);
        assert!(!plain.is_autodiff());
        assert_eq!(values(plain), [7.0, 10.0]);

        let (tracked, idle) = (leaf(&b), a.clone().autodiff());
        for constant in [a, idle] {
            let sum = apply_to(&noted, &constant, &tracked);
            let mut gradients = sum.backward();
            assert_eq!(values(tracked.grad_remove(&mut gradients).unwrap()), [2.0, 2.0]);
        }
        assert_eq!(*noted.forward.lock().unwrap(), [[false; 2], [false, true], [false, true]]);
        assert_eq!(*noted.backward.lock().unwrap(), [[false, true]; 2]);
    }

    #[test]
    fn an_input_may_be_given_twice() {
        let x = leaf(&tensor([1.0, 2.0], [2], &cpu()));
        let mut gradients = apply_to(&Noted::default(), &x, &x).backward();
        assert_eq!(values(x.grad_remove(&mut gradients).unwrap()), [3.0, 3.0]);
    }
}
