//! Memory for results, kept and used again.
//!
//! A network asks for the same sizes in every pass. Large blocks fresh from the
//! system are zeroed page by page at their first touch, which costs as much as a
//! few convolutions a pass; a block that lay here costs nothing.

use std::{
    collections::VecDeque,
    mem::{self, MaybeUninit},
    ops::{Deref, DerefMut},
    slice,
    sync::{Mutex, MutexGuard, PoisonError},
};

use burn::{
    backend::flex::{FlexTensor, Layout},
    tensor::{Bytes, DType, Shape},
};
use burn_std::{AccessError, AccessPolicy, AllocationController, AllocationProperty};
use bytemuck::{Pod, Zeroable};

use super::Array;

/// A cache line, so that a vector never lies across two.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

/// Values of a cache line.
const LINE: usize = 16;

/// Lines from which a block is kept (64 KiB); the allocator is fast below.
const WORTH_KEEPING: usize = 1 << 10;

/// Lines that may rest at most (512 MiB): more than one pass of Stable Diffusion
/// at 512 pixels asks for.
const MOST_AT_REST: usize = 8 << 20;

/// The blocks that nobody uses, in the order in which they came back.
#[derive(Default)]
struct Resting {
    blocks: VecDeque<Vec<Line>>,
    lines: usize,
}

static RESTING: Mutex<Resting> = Mutex::new(Resting { blocks: VecDeque::new(), lines: 0 });

fn resting() -> MutexGuard<'static, Resting> {
    RESTING.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Resting {
    /// The block of that very size that came back last: it is likeliest to be in
    /// the processor's caches still.
    fn take(&mut self, lines: usize) -> Option<Vec<Line>> {
        let place = self.blocks.iter().rposition(|block| block.len() == lines)?;
        self.lines -= lines;
        self.blocks.remove(place)
    }

    /// Keeps a block, and lets go of the longest unused ones beyond the limit.
    fn keep(&mut self, block: Vec<Line>) {
        self.lines += block.len();
        self.blocks.push_back(block);
        while self.lines > MOST_AT_REST {
            let Some(oldest) = self.blocks.pop_front() else { break };
            self.lines -= oldest.len();
        }
    }
}

/// Frees the memory of results that no tensor uses at the moment, and the
/// kernels' working memory.
///
/// Worth calling between phases of different sizes, for example between training
/// and decoding pictures.
pub fn release_buffers() {
    *resting() = Resting::default();
    kernels::release_scratch();
}

/// Room for the values of a result. It goes back to rest when the last tensor
/// that shares it is dropped.
pub(crate) struct Buffer {
    lines: Vec<Line>,
    len: usize,
}

impl Buffer {
    /// Room for `len` values, which hold anything: whoever takes it fills it.
    pub fn take(len: usize) -> Self {
        let count = len.div_ceil(LINE);
        let used = (count >= WORTH_KEEPING).then(|| resting().take(count)).flatten();
        Self { lines: used.unwrap_or_else(|| bytemuck::zeroed_vec(count)), len }
    }

    /// The values as a tensor's.
    ///
    /// # Panics
    /// If their number is not the product of the shape.
    pub fn shaped(self, shape: &[usize]) -> Array {
        assert_eq!(self.len, shape.iter().product::<usize>(), "shape {shape:?}");
        let bytes = self.len * size_of::<f32>();
        // SAFETY: the controller's memory is this buffer, all of it initialised.
        let bytes = unsafe { Bytes::from_controller(Box::new(self), bytes) };
        let layout = Layout::contiguous(Shape::from(shape.to_vec()));
        FlexTensor::new(bytes, layout, DType::F32).into()
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &bytemuck::cast_slice(&self.lines)[..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.lines.len() >= WORTH_KEEPING {
            resting().keep(mem::take(&mut self.lines));
        }
    }
}

/// What Burn asks of memory that is not its own.
impl AllocationController for Buffer {
    /// Not the 64 that it is: Burn knows alignments up to 16 only.
    fn alloc_align(&self) -> usize {
        16
    }

    fn property(&self) -> AllocationProperty {
        AllocationProperty::Other
    }

    unsafe fn memory_mut(
        &mut self,
        _: AccessPolicy,
    ) -> Result<&mut [MaybeUninit<u8>], AccessError> {
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(self);
        // SAFETY: the same bytes; the caller vouches to write initialised ones.
        Ok(unsafe { slice::from_raw_parts_mut(bytes.as_mut_ptr().cast(), bytes.len()) })
    }

    fn memory(&self, _: AccessPolicy) -> Result<&[MaybeUninit<u8>], AccessError> {
        let bytes: &[u8] = bytemuck::cast_slice(self);
        // SAFETY: the same bytes, and initialised ones may pass for uninitialised.
        Ok(unsafe { slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_rests_until_its_size_is_asked_for() {
        let mut resting = Resting::default();
        let block = |lines| -> Vec<Line> { bytemuck::zeroed_vec(lines) };
        resting.keep(block(3000));
        resting.keep(block(2000));
        assert!(resting.take(2999).is_none());
        assert_eq!(resting.take(3000).map(|block| block.len()), Some(3000));
        assert!(resting.take(3000).is_none());
        assert_eq!(resting.lines, 2000);
        resting.keep(block(MOST_AT_REST));
        assert_eq!(resting.blocks.len(), 1, "the oldest made room");
    }

    #[test]
    fn a_shared_buffer_is_copied_before_it_is_written_to() {
        let mut buffer = Buffer::take(20_000);
        assert_eq!(buffer.as_ptr() as usize % 64, 0);
        buffer.iter_mut().enumerate().for_each(|(i, value)| *value = i as f32);
        let array = buffer.shaped(&[100, 200]);
        let mut copy = FlexTensor::from(array.clone());
        copy.storage_mut::<f32>()[7] = -1.0;
        assert_eq!((array[7], copy.storage::<f32>()[7], array[19_999]), (7.0, -1.0, 19_999.0));
    }
}
