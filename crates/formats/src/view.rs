//! A tensor's place in the mapped file: where its elements lie and in which order.

use std::borrow::Cow;
use std::ops::Range;

use crate::DType;

/// The element type and shape of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// The type of the elements as they are stored.
    pub dtype: DType,
    /// The extents, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
}

/// How much larger than the stored bytes a tensor may become when it repeats elements
/// (PyTorch's `expand` has a stride of zero). Without repetition, the file is the bound.
const MAX_REPEATED_BYTES: usize = 64 << 20;

/// The most dimensions a tensor may have; PyTorch's own limit.
pub(crate) const MAX_RANK: usize = 64;

/// A run of raw elements in the file, which tensors view.
#[derive(Debug, Clone)]
pub(crate) struct Storage {
    /// The bytes of the file; the caller has checked that they lie within it.
    pub bytes: Range<usize>,
    /// Whether the elements were written by a big-endian machine.
    pub big_endian: bool,
    /// The checksum of the bytes, where the file carries one.
    pub crc32: Option<u32>,
}

/// A tensor as a strided view of a storage. Every element lies within the storage.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub info: Info,
    storage: Storage,
    /// Distance between neighbours along each dimension, in elements.
    strides: Vec<usize>,
    /// Where the first element starts, in bytes from the start of the file.
    start: usize,
}

impl View {
    /// A tensor whose elements fill `bytes` in row-major order, little-endian.
    ///
    /// The caller has checked that `bytes` is as long as the shape says.
    pub fn contiguous(info: Info, bytes: Range<usize>) -> Self {
        let strides = row_major(&info.shape);
        let start = bytes.start;
        Self { info, storage: Storage { bytes, big_endian: false, crc32: None }, strides, start }
    }

    /// A tensor that starts `offset` elements into `storage` and steps by `strides`.
    ///
    /// The error says which of the numbers contradict each other.
    pub fn strided(
        info: Info,
        storage: Storage,
        offset: usize,
        strides: Vec<usize>,
    ) -> Result<Self, String> {
        let Info { dtype, shape } = &info;
        if shape.len() != strides.len() || shape.len() > MAX_RANK {
            return Err(format!("shape {shape:?} does not go with strides {strides:?}"));
        }
        let held = storage.bytes.len() / dtype.size();
        let needed = extent(shape, &strides, offset)
            .ok_or_else(|| format!("shape {shape:?} with strides {strides:?} is too large"))?;
        if needed > held {
            return Err(format!(
                "shape {shape:?} with strides {strides:?} from element {offset} on needs \
                 {needed} elements, but its storage holds {held}"
            ));
        }
        let bytes = byte_size(&info)
            .filter(|bytes| *bytes <= storage.bytes.len() || *bytes <= MAX_REPEATED_BYTES);
        if bytes.is_none() {
            return Err(format!(
                "shape {shape:?} repeats the {held} elements of its storage more often than \
                 any weight needs"
            ));
        }
        let start = storage.bytes.start + offset * dtype.size();
        Ok(Self { info, storage, strides, start })
    }

    /// Where the tensor's storage lies in the file.
    pub fn span(&self) -> Range<usize> {
        self.storage.bytes.clone()
    }

    /// The elements, little-endian and row-major: borrowed if they lie so in the file.
    pub fn read<'a>(&self, file: &'a [u8]) -> Result<Cow<'a, [u8]>, String> {
        self.verify(file)?;
        let length = byte_size(&self.info).unwrap_or(0);
        let mut bytes = if length == 0 {
            Cow::Borrowed(&[][..])
        } else if self.is_contiguous() {
            Cow::Borrowed(&file[self.start..self.start + length])
        } else {
            Cow::Owned(self.gather(file, length))
        };
        let size = self.info.dtype.size();
        if self.storage.big_endian && size > 1 {
            bytes.to_mut().chunks_exact_mut(size).for_each(<[u8]>::reverse);
        }
        Ok(bytes)
    }

    /// Compares the storage with its checksum, if the tensor is all of it: hashing a large
    /// storage again for each of many small views would cost more than it tells.
    fn verify(&self, file: &[u8]) -> Result<(), String> {
        let bytes = &self.storage.bytes;
        let whole = byte_size(&self.info) == Some(bytes.len());
        match self.storage.crc32 {
            Some(expected) if whole && crc32fast::hash(&file[bytes.clone()]) != expected => {
                Err("its bytes do not have the checksum that the archive states".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn is_contiguous(&self) -> bool {
        let expected = row_major(&self.info.shape);
        let steps = self.strides.iter().zip(&expected);
        steps
            .zip(&self.info.shape)
            .all(|((step, expected), extent)| step == expected || *extent == 1)
    }

    /// Collects a non-empty tensor's elements in row-major order.
    fn gather(&self, file: &[u8], length: usize) -> Vec<u8> {
        let size = self.info.dtype.size();
        let shape = &self.info.shape;
        let mut index = vec![0; shape.len()];
        let mut at = self.start;
        let mut gathered = Vec::with_capacity(length);
        while gathered.len() < length {
            gathered.extend_from_slice(&file[at..at + size]);
            // Steps to the next element as an odometer does, last dimension first.
            for axis in (0..shape.len()).rev() {
                let step = self.strides[axis] * size;
                index[axis] += 1;
                if index[axis] < shape[axis] {
                    at += step;
                    break;
                }
                at -= step * (shape[axis] - 1);
                index[axis] = 0;
            }
        }
        gathered
    }
}

/// The size of a tensor in bytes, or `None` if it exceeds the address space.
pub(crate) fn byte_size(info: &Info) -> Option<usize> {
    if info.shape.contains(&0) {
        return Some(0);
    }
    let elements = info.shape.iter().try_fold(1usize, |n, extent| n.checked_mul(*extent))?;
    elements.checked_mul(info.dtype.size())
}

/// One past the last element that a view touches; `offset` itself if the view is empty.
fn extent(shape: &[usize], strides: &[usize], offset: usize) -> Option<usize> {
    if shape.contains(&0) {
        return Some(offset);
    }
    let last = shape.iter().zip(strides).try_fold(offset, |at, (extent, stride)| {
        at.checked_add((extent - 1).checked_mul(*stride)?)
    })?;
    last.checked_add(1)
}

/// The strides of a row-major tensor. Shapes that overflow have no elements to step over.
pub(crate) fn row_major(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(shape[axis]);
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(shape: &[usize], strides: &[usize], offset: usize) -> Result<View, String> {
        let info = Info { dtype: DType::U8, shape: shape.to_vec() };
        let storage = Storage { bytes: 2..14, big_endian: false, crc32: None };
        View::strided(info, storage, offset, strides.to_vec())
    }

    fn read(shape: &[usize], strides: &[usize], offset: usize) -> Vec<u8> {
        let file: Vec<u8> = (0..20).collect();
        view(shape, strides, offset).unwrap().read(&file).unwrap().into_owned()
    }

    #[test]
    fn strides_and_offset_are_honoured() {
        assert_eq!(read(&[2, 3], &[3, 1], 1), [3, 4, 5, 6, 7, 8]);
        assert_eq!(read(&[3, 2], &[1, 3], 1), [3, 6, 4, 7, 5, 8]);
        assert_eq!(read(&[2, 2, 2], &[1, 6, 2], 0), [2, 4, 8, 10, 3, 5, 9, 11]);
        assert_eq!(read(&[], &[], 11), [13]);
        assert_eq!(read(&[2, 3], &[0, 1], 0), [2, 3, 4, 2, 3, 4]);
        assert!(read(&[0, 3], &[3, 1], 12).is_empty());
        // A stride along an extent of one is never stepped: PyTorch writes anything there.
        assert_eq!(read(&[1, 3], &[0, 1], 0), [2, 3, 4]);
    }

    #[test]
    fn views_outside_the_storage_are_refused() {
        for (shape, strides, offset) in [
            (&[13][..], &[1][..], 0),
            (&[12], &[1], 1),
            (&[2, 2], &[11, 1], 0),
            (&[0], &[1], 13),
            (&[2], &[usize::MAX], 0),
            (&[usize::MAX, 2], &[1, 1], 0),
            (&[2, 2], &[1], 0),
            (&[1 << 27, 4], &[0, 1], 0),
        ] {
            assert!(view(shape, strides, offset).is_err(), "{shape:?} {strides:?} {offset}");
        }
    }

    #[test]
    fn big_endian_elements_are_turned_round() {
        let info = Info { dtype: DType::I16, shape: vec![2] };
        let storage = Storage { bytes: 0..4, big_endian: true, crc32: None };
        let view = View::strided(info, storage, 0, vec![1]).unwrap();
        assert_eq!(*view.read(&[1, 2, 3, 4]).unwrap(), [2, 1, 4, 3]);
    }
}
