//! Tensors on their way into a file.

use std::borrow::Cow;

use crate::DType;
use crate::error::{Error, Result};
use crate::view::{Info, byte_size};

/// A tensor to be written: its elements in row-major order, little-endian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Array<'a> {
    /// The element type.
    pub dtype: DType,
    /// The extents, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// `dtype.size()` bytes for each element.
    pub bytes: Cow<'a, [u8]>,
}

impl<'a> Array<'a> {
    /// An array of `f32`, without a copy where the machine is little-endian.
    pub fn f32(shape: &[usize], values: &'a [f32]) -> Self {
        Self { dtype: DType::F32, shape: shape.to_vec(), bytes: little_endian(values) }
    }

    /// An array of `i64`, without a copy where the machine is little-endian.
    pub fn i64(shape: &[usize], values: &'a [i64]) -> Self {
        Self { dtype: DType::I64, shape: shape.to_vec(), bytes: little_endian(values) }
    }

    /// Checks that there are as many bytes as the shape says.
    pub(crate) fn check(&self, name: &str) -> Result<()> {
        let info = Info { dtype: self.dtype, shape: self.shape.clone() };
        if byte_size(&info) == Some(self.bytes.len()) {
            return Ok(());
        }
        Err(Error::WrongSize {
            name: name.to_owned(),
            shape: info.shape,
            dtype: self.dtype,
            bytes: self.bytes.len(),
        })
    }
}

fn little_endian<T: bytemuck::Pod>(values: &[T]) -> Cow<'_, [u8]> {
    let mut bytes = Cow::Borrowed(bytemuck::cast_slice(values));
    if cfg!(target_endian = "big") {
        bytes.to_mut().chunks_exact_mut(size_of::<T>()).for_each(<[u8]>::reverse);
    }
    bytes
}
