use std::ops::Deref;

use burn::backend::{Flex, TensorMetadata, flex::FlexTensor};

use super::Buffer;
use crate::operation::Values;

/// The values of a float tensor on the flex device, row after row. Clones share
/// them.
#[derive(Clone, Debug)]
pub(crate) struct Array(FlexTensor);

impl Array {
    /// A new array that `fill` writes; it finds anything there and must write
    /// every value.
    pub fn filled(shape: &[usize], fill: impl FnOnce(&mut [f32])) -> Self {
        let mut buffer = Buffer::take(shape.iter().product());
        fill(&mut buffer);
        buffer.shaped(shape)
    }

    /// Length of each dimension.
    pub fn shape(&self) -> Vec<usize> {
        self.0.shape().to_vec()
    }

    /// The same, of a known rank.
    ///
    /// # Panics
    /// If the rank is another.
    pub fn dims<const D: usize>(&self) -> [usize; D] {
        self.0.shape().dims()
    }

    /// The values to be changed in place, if nobody else holds them.
    pub fn as_mut(&mut self) -> Option<&mut [f32]> {
        let whole = self.0.storage::<f32>().len() == self.len();
        whole.then(|| self.0.try_storage_mut()).flatten()
    }

    /// Length of the last dimension.
    pub fn width(&self) -> usize {
        *self.0.layout().shape().last().expect("a tensor of rank 1 at least")
    }

    /// The shape with another length of the last dimension.
    pub fn shape_with_width(&self, width: usize) -> Vec<usize> {
        let mut shape = self.shape();
        *shape.last_mut().expect("a tensor of rank 1 at least") = width;
        shape
    }
}

impl Deref for Array {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        self.0.as_slice().expect("made contiguous, and vico computes in f32")
    }
}

impl From<FlexTensor> for Array {
    /// Copies only what is not contiguous.
    fn from(tensor: FlexTensor) -> Self {
        Self(if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() })
    }
}

impl From<Array> for FlexTensor {
    fn from(array: Array) -> Self {
        array.0
    }
}

impl Values for Array {
    type Backend = Flex;

    fn open(tensor: FlexTensor) -> Self {
        tensor.into()
    }

    fn close(self) -> FlexTensor {
        self.into()
    }
}
