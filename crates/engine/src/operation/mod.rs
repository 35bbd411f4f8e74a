//! Operations with gradients of their own, on the tensors of any of Burn's backends.

mod plain;

use std::{fmt::Debug, marker::PhantomData};

use burn::backend::{
    Autodiff, Backend, DispatchKindConversion, DispatchTensor, DispatchTensorKind,
    autodiff::{
        checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
        grads::Gradients,
        ops::{Backward, NodeGuard, Ops, OpsKind},
    },
    tensor::FloatTensor,
};

pub(crate) use plain::{Plain, apply_plain};

use crate::{Tensor, flex::Array};

/// What an operation computes on: the float tensors of one of Burn's backends.
pub(crate) trait Values: Clone + Debug + Send + 'static {
    /// Whose tensors they are.
    type Backend: Backend;

    fn open(tensor: FloatTensor<Self::Backend>) -> Self;

    fn close(self) -> FloatTensor<Self::Backend>;
}

/// A differentiable operation on `N` tensors.
pub(crate) trait Operation<const N: usize, V: Values = Array>:
    Clone + Debug + Send + 'static
{
    /// What the way back needs of the way there.
    type Saved: Clone + Debug + Send + 'static;

    /// The result, and what [`Operation::backward`] needs where some gradient is
    /// `wanted`; whatever is saved without need only costs memory.
    fn forward(&self, inputs: [V; N], wanted: [bool; N]) -> (V, Self::Saved);

    /// The gradients of the inputs from that of the result: one at least where it
    /// is wanted; what comes without being wanted is dropped.
    fn backward(&self, saved: Self::Saved, gradient: V, wanted: [bool; N]) -> [Option<V>; N];
}

/// Runs an operation. It is recorded if an input is tracked; the others are
/// constants then.
///
/// # Panics
/// If the inputs are not float tensors of the operation's backend, plain or with Burn's
/// default tape.
pub(crate) fn apply<const N: usize, const D: usize, V: Values>(
    operation: impl Operation<N, V>,
    inputs: [DispatchTensor; N],
) -> Tensor<D>
where
    DispatchTensor: OnTape<V::Backend>,
{
    let inputs = inputs.map(Input::<V::Backend>::open);
    if inputs.iter().any(|input| input.is_tracked()) {
        Tensor::from_primitive::<Autodiff<V::Backend>>(record(operation, inputs))
    } else {
        let (result, _) =
            operation.forward(inputs.map(|input| V::open(input.values())), [false; N]);
        Tensor::from_primitive::<V::Backend>(result.close())
    }
}

/// Burn's tensors can be those of a backend, plain or with its default tape.
pub(crate) trait OnTape<B: Backend>:
    DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>
{
}

impl<B: Backend> OnTape<B> for DispatchTensor where
    Self: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>
{
}

/// A float tensor with or without a place on the tape.
enum Input<B: Backend> {
    Plain(FloatTensor<B>),
    Taped(FloatTensor<Autodiff<B>>),
}

impl<B: Backend> Input<B> {
    fn open(tensor: DispatchTensor) -> Self
    where
        DispatchTensor: OnTape<B>,
    {
        let opened = match tensor.kind {
            DispatchTensorKind::Autodiff(_) => {
                <DispatchTensor as DispatchKindConversion<Autodiff<B>>>::try_into_backend(tensor)
                    .map(|tensor| Self::Taped(tensor.float()))
            }
            _ => <DispatchTensor as DispatchKindConversion<B>>::try_into_backend(tensor)
                .map(|tensor| Self::Plain(tensor.float())),
        };
        opened.unwrap_or_else(|e| {
            panic!("an operation was given a tensor that it does not serve: {e}")
        })
    }

    fn is_tracked(&self) -> bool {
        matches!(self, Self::Taped(tensor) if tensor.is_tracked())
    }

    fn values(self) -> FloatTensor<B> {
        match self {
            Self::Plain(tensor) => tensor,
            Self::Taped(tensor) => tensor.into_primitive(),
        }
    }

    /// Values and place on the tape; a constant gets one that wants no gradient.
    fn into_parts(self) -> (FloatTensor<B>, NodeGuard) {
        let taped = match self {
            Self::Plain(tensor) => FloatTensor::<Autodiff<B>>::new(tensor),
            Self::Taped(tensor) => tensor,
        };
        taped.into_parts()
    }
}

fn record<O: Operation<N, V>, V: Values, const N: usize>(
    operation: O,
    inputs: [Input<V::Backend>; N],
) -> FloatTensor<Autodiff<V::Backend>> {
    let wanted = inputs.each_ref().map(Input::is_tracked);
    let mut nodes = Vec::with_capacity(N);
    let values = inputs.map(|input| {
        let (values, node) = input.into_parts();
        nodes.push(node);
        V::open(values)
    });
    let nodes: [NodeGuard; N] = nodes.try_into().expect("a node for each input");
    let (result, saved) = operation.forward(values, wanted);
    let prepared = Recorded::<O, V>(PhantomData).prepare::<NoCheckpointing>(nodes).compute_bound();
    match prepared.stateful() {
        OpsKind::Tracked(prepared) => prepared.finish((operation, saved), result.close()),
        OpsKind::UnTracked(prepared) => prepared.finish(result.close()),
    }
}

/// An operation on the tape.
#[derive(Debug)]
struct Recorded<O, V>(PhantomData<(O, V)>);

impl<O: Operation<N, V>, V: Values, const N: usize> Backward<V::Backend, N> for Recorded<O, V> {
    type State = (O, O::Saved);

    fn backward(self, step: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<V::Backend>(&step.node);
        let wanted = step.parents.each_ref().map(Option::is_some);
        let (operation, saved) = step.state;
        let results = operation.backward(saved, V::open(gradient), wanted);
        for (parent, result) in step.parents.into_iter().zip(results) {
            if let Some(parent) = parent {
                let result = result.expect("an operation gives every gradient that is wanted");
                gradients.register::<V::Backend>(parent.id, result.close());
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
