//! Burn's tensors on graphics cards, as kernels see them.

use burn::{
    backend::ops::FloatTensorOps,
    tensor::{DType, FloatDType, Shape},
};
use burn_cubecl::{
    CubeBackend, kernel::into_contiguous, ops::numeric::empty_device_contiguous_dtype,
    tensor::CubeTensor,
};

/// Rows one after the other, without gaps.
pub fn contiguous(tensor: CubeTensor) -> CubeTensor {
    into_contiguous(tensor)
}

/// A tensor that holds anything, beside another one.
pub fn empty(beside: &CubeTensor, shape: impl Into<Shape>, dtype: DType) -> CubeTensor {
    let (client, device) = (beside.client.clone(), beside.device.clone());
    empty_device_contiguous_dtype(client, device, shape.into(), dtype)
}

/// The same values as numbers of that kind.
pub fn rounded(tensor: CubeTensor, kind: FloatDType) -> CubeTensor {
    match tensor.dtype == kind.into() {
        true => tensor,
        false => CubeBackend::float_cast(tensor, kind),
    }
}

/// With the last two dimensions in the other order.
pub fn transposed(tensor: CubeTensor) -> CubeTensor {
    let rank = tensor.meta.shape().num_dims();
    CubeBackend::float_swap_dims(tensor, rank - 2, rank - 1)
}

/// In another shape of as many values.
pub fn reshaped(tensor: CubeTensor, shape: impl Into<Shape>) -> CubeTensor {
    CubeBackend::float_reshape(tensor, shape.into())
}
