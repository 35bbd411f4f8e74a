//! Products of matrices on graphics cards.

use burn::tensor::DType;
use burn_cubecl::{CubeBackend, cubecl::prelude::*, tensor::CubeTensor};
use cubek::{
    matmul::{
        definition::{MatmulElems, MatmulGlobalElems},
        launch::launch_ref,
        multi_level,
        strategy::Strategy,
    },
    std::InputBinding,
};

use super::{
    has_tf32,
    tensors::{empty, rounded, transposed},
};
use crate::{
    Tensor,
    nn::Precision,
    operation::{Operation, Plain, apply_plain},
};

/// The product of two matrices, or of several that the leading dimensions count, with factors
/// rounded to that precision. It is added up and comes in f32, as do the gradients.
///
/// # Shapes
/// `a [.., rows, inner]`, `b [.., inner, columns] -> [.., rows, columns]`, the leading dimensions
/// alike.
pub(crate) fn product<const D: usize>(
    a: Tensor<D>,
    b: Tensor<D>,
    precision: Precision,
) -> Tensor<D> {
    apply_plain::<CubeBackend, 2, D>(Product(precision), [a.into_dispatch(), b.into_dispatch()])
}

#[derive(Clone, Debug)]
struct Product(Precision);

impl Operation<2, Plain<CubeBackend>> for Product {
    /// The factors that the gradients need.
    type Saved = [Option<CubeTensor>; 2];

    fn forward(
        &self,
        factors: [Plain<CubeBackend>; 2],
        wanted: [bool; 2],
    ) -> (Plain<CubeBackend>, Self::Saved) {
        let [a, b] = factors.map(|factor| rounded(factor.0, self.0.of_tensors()));
        let saved = [wanted[1].then(|| a.clone()), wanted[0].then(|| b.clone())];
        (Plain(multiply(a, b, self.0)), saved)
    }

    fn backward(
        &self,
        [a, b]: Self::Saved,
        gradient: Plain<CubeBackend>,
        _: [bool; 2],
    ) -> [Option<Plain<CubeBackend>>; 2] {
        let gradient = rounded(gradient.0, self.0.of_tensors());
        let of_a = b.map(|b| Plain(multiply(gradient.clone(), transposed(b), self.0)));
        let of_b = a.map(|a| Plain(multiply(transposed(a), gradient, self.0)));
        [of_a, of_b]
    }
}

/// The product in f32 of factors that are rounded already.
pub(super) fn multiply(a: CubeTensor, b: CubeTensor, precision: Precision) -> CubeTensor {
    let mut shape = a.meta.shape().clone();
    let rank = shape.num_dims();
    shape[rank - 1] = b.meta.shape()[rank - 1];
    let y = empty(&a, shape, DType::F32);
    let mut failures = Vec::new();
    for strategy in strategies(&a, precision) {
        match launched(strategy, &a, &b, &y) {
            Ok(()) => return y,
            Err(failure) => failures.push(failure),
        }
    }
    panic!(
        "no kernel multiplies {:?} and {:?}: {}",
        a.meta.shape(),
        b.meta.shape(),
        failures.join("; ")
    );
}

/// How to multiply, best first.
fn strategies(beside: &CubeTensor, precision: Precision) -> Vec<multi_level::Strategy> {
    let plain = multi_level::Strategy::SimpleUnit(Default::default());
    // CubeK rounds f32 to TF32 where there are tensor cores that know it, without being asked.
    match precision == Precision::F32 && has_tf32(&beside.client) {
        true => vec![plain],
        false => vec![multi_level::Strategy::SimpleCyclicCmma(Default::default()), plain],
    }
}

fn launched(
    strategy: multi_level::Strategy,
    a: &CubeTensor,
    b: &CubeTensor,
    y: &CubeTensor,
) -> Result<(), String> {
    let kinds = MatmulGlobalElems { lhs: kind(a), rhs: kind(b), out: kind(y) };
    let factor = |tensor: &CubeTensor| InputBinding::new(tensor.clone().binding(), kind(tensor));
    launch_ref(
        &Strategy::MultiLevel(strategy),
        &a.client,
        factor(a),
        factor(b),
        y.clone().binding(),
        &mut MatmulElems::from_globals(&kinds),
    )
    .map_err(|e| format!("{e:?}"))
}

/// What the kernels call a tensor's type.
pub(super) fn kind(tensor: &CubeTensor) -> ElemType {
    match tensor.dtype {
        DType::F16 => half::f16::elem_type_native(),
        DType::BF16 => half::bf16::elem_type_native(),
        _ => f32::elem_type_native(),
    }
}
