use crate::{Tensor, nn::Precision};

/// The product of two matrices, or of several that the leading dimensions count, with factors
/// that are rounded to that precision where they are not f32 anyway. The result is f32, and so
/// are the gradients.
///
/// # Shapes
/// `a [.., rows, inner]`, `b [.., inner, columns] -> [.., rows, columns]`, the leading dimensions
/// alike.
pub fn product<const D: usize>(a: Tensor<D>, b: Tensor<D>, precision: Precision) -> Tensor<D> {
    #[cfg(any(feature = "vulkan", feature = "metal", feature = "cuda"))]
    if crate::cube::serves(&a.device()) {
        return crate::cube::product(a, b, precision);
    }
    // What is f32 stays as it is: a cast would be recorded all the same.
    let to = |x: Tensor<D>, kind: Precision| match x.dtype() == kind.of_values() {
        true => x,
        false => x.cast(kind.of_tensors()),
    };
    let [a, b] = [a, b].map(|factor| to(factor, precision));
    to(a.matmul(b), Precision::F32)
}
