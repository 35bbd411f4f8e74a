//! Element types, and widening them to the two types the rest of the program computes with.

use std::fmt;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

/// The element type of a tensor in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DType {
    /// IEEE 754 double precision.
    F64,
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 half precision.
    F16,
    /// The upper half of a single precision number.
    BF16,
    /// Signed, 64 bits.
    I64,
    /// Signed, 32 bits.
    I32,
    /// Signed, 16 bits.
    I16,
    /// Signed, 8 bits.
    I8,
    /// Unsigned, 64 bits.
    U64,
    /// Unsigned, 32 bits.
    U32,
    /// Unsigned, 16 bits.
    U16,
    /// Unsigned, 8 bits.
    U8,
    /// One byte an element; zero is false, anything else is true.
    Bool,
}

impl DType {
    /// The size of one element in bytes.
    pub const fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// The name that the safetensors format gives the type.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F64 => "F64",
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::I64 => "I64",
            Self::I32 => "I32",
            Self::I16 => "I16",
            Self::I8 => "I8",
            Self::U64 => "U64",
            Self::U32 => "U32",
            Self::U16 => "U16",
            Self::U8 => "U8",
            Self::Bool => "BOOL",
        }
    }

    /// Whether the type holds integers or truth values.
    pub const fn is_integer(self) -> bool {
        !matches!(self, Self::F64 | Self::F32 | Self::F16 | Self::BF16)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Widens little-endian elements of any type to `f32`.
///
/// `f64` and integers beyond 2^24 are rounded to the nearest `f32`.
pub(crate) fn to_f32(dtype: DType, bytes: &[u8]) -> Vec<f32> {
    match dtype {
        DType::F64 => map(bytes, |b| f64::from_le_bytes(b) as f32),
        DType::F32 => map(bytes, f32::from_le_bytes),
        DType::F16 => from_halves::<f16>(bytes, f16::from_le_bytes),
        DType::BF16 => from_halves::<bf16>(bytes, bf16::from_le_bytes),
        DType::I64 => map(bytes, |b| i64::from_le_bytes(b) as f32),
        DType::I32 => map(bytes, |b| i32::from_le_bytes(b) as f32),
        DType::I16 => map(bytes, |b| f32::from(i16::from_le_bytes(b))),
        DType::I8 => map(bytes, |b| f32::from(i8::from_le_bytes(b))),
        DType::U64 => map(bytes, |b| u64::from_le_bytes(b) as f32),
        DType::U32 => map(bytes, |b| u32::from_le_bytes(b) as f32),
        DType::U16 => map(bytes, |b| f32::from(u16::from_le_bytes(b))),
        DType::U8 => map(bytes, |[b]: [u8; 1]| f32::from(b)),
        DType::Bool => map(bytes, |[b]: [u8; 1]| f32::from(b != 0)),
    }
}

/// Widens little-endian integers and truth values to `i64`.
///
/// `None` if the elements are fractions, or one of them is too large for an `i64`.
pub(crate) fn to_i64(dtype: DType, bytes: &[u8]) -> Option<Vec<i64>> {
    Some(match dtype {
        DType::F64 | DType::F32 | DType::F16 | DType::BF16 => return None,
        DType::I64 => map(bytes, i64::from_le_bytes),
        DType::I32 => map(bytes, |b| i64::from(i32::from_le_bytes(b))),
        DType::I16 => map(bytes, |b| i64::from(i16::from_le_bytes(b))),
        DType::I8 => map(bytes, |b| i64::from(i8::from_le_bytes(b))),
        DType::U64 => {
            let (chunks, _) = bytes.as_chunks();
            return chunks.iter().map(|b| u64::from_le_bytes(*b).try_into().ok()).collect();
        }
        DType::U32 => map(bytes, |b| i64::from(u32::from_le_bytes(b))),
        DType::U16 => map(bytes, |b| i64::from(u16::from_le_bytes(b))),
        DType::U8 => map(bytes, |[b]: [u8; 1]| i64::from(b)),
        DType::Bool => map(bytes, |[b]: [u8; 1]| i64::from(b != 0)),
    })
}

fn map<const N: usize, T>(bytes: &[u8], widen: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks().0.iter().map(|chunk| widen(*chunk)).collect()
}

/// Widens halves a block at a time, because only the slice conversions of `half` use the
/// processor's instructions for it without asking anew for every element.
fn from_halves<H>(bytes: &[u8], decode: impl Fn([u8; 2]) -> H) -> Vec<f32>
where
    H: Copy + Default,
    [H]: HalfFloatSliceExt,
{
    const BLOCK: usize = 2048;
    let (elements, _) = bytes.as_chunks::<2>();
    let mut wide = vec![0.0; elements.len()];
    let mut block = [H::default(); BLOCK];
    for (source, target) in elements.chunks(BLOCK).zip(wide.chunks_mut(BLOCK)) {
        let block = &mut block[..source.len()];
        for (half, bytes) in block.iter_mut().zip(source) {
            *half = decode(*bytes);
        }
        block.convert_to_f32_slice(target);
    }
    wide
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_widens_to_f32() {
        let three = [
            (DType::F64, 3f64.to_le_bytes().to_vec()),
            (DType::F32, 3f32.to_le_bytes().to_vec()),
            (DType::F16, f16::from_f32(3.0).to_le_bytes().to_vec()),
            (DType::BF16, bf16::from_f32(3.0).to_le_bytes().to_vec()),
            (DType::I64, 3i64.to_le_bytes().to_vec()),
            (DType::I32, 3i32.to_le_bytes().to_vec()),
            (DType::I16, 3i16.to_le_bytes().to_vec()),
            (DType::I8, vec![3]),
            (DType::U64, 3u64.to_le_bytes().to_vec()),
            (DType::U32, 3u32.to_le_bytes().to_vec()),
            (DType::U16, 3u16.to_le_bytes().to_vec()),
            (DType::U8, vec![3]),
        ];
        for (dtype, bytes) in three {
            assert_eq!(bytes.len(), dtype.size(), "{dtype}");
            assert_eq!(to_f32(dtype, &bytes), [3.0], "{dtype}");
            let whole = dtype.is_integer().then(|| vec![3]);
            assert_eq!(to_i64(dtype, &bytes), whole, "{dtype}");
        }
        assert_eq!(to_f32(DType::Bool, &[0, 1, 7]), [0.0, 1.0, 1.0]);
        assert_eq!(to_i64(DType::Bool, &[0, 1, 7]), Some(vec![0, 1, 1]));
    }

    #[test]
    fn halves_widen_across_blocks() {
        let values: Vec<f32> = (0..5000).map(|i| i as f32 * 0.5 - 900.0).collect();
        let halves: Vec<u8> = values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect();
        let expected: Vec<f32> = values.iter().map(|v| f16::from_f32(*v).to_f32()).collect();
        assert_eq!(to_f32(DType::F16, &halves), expected);
    }

    #[test]
    fn negative_and_oversized_integers() {
        assert_eq!(to_i64(DType::I16, &(-2i16).to_le_bytes()), Some(vec![-2]));
        assert_eq!(to_i64(DType::U64, &u64::MAX.to_le_bytes()), None);
    }
}
