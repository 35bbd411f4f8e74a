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

/// Four values. No more aligned than what the allocator gives by itself: memory that
/// is both zeroed and aligned further would be written here, by one thread, in place
/// of being zeroed by the system where threads touch it first.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(16))]
struct Quad([f32; 4]);

/// Quads of a cache line, on which values start so that no vector lies across two.
const LINE: usize = 4;

/// Quads from which a block is kept (64 KiB); the allocator is fast below.
const WORTH_KEEPING: usize = 1 << 12;

/// Quads that may rest beyond what was once in use (256 MiB): the sizes of different
/// levels of a network are in use one after the other.
const BEYOND_MOST_USED: usize = 16 << 20;

/// The blocks that nobody uses, in the order in which they came back, and a count of
/// quads.
struct Blocks {
    resting: VecDeque<Vec<Quad>>,
    rest: usize,
    used: usize,
    most_used: usize,
}

static BLOCKS: Mutex<Blocks> = Mutex::new(Blocks::NONE);

fn blocks() -> MutexGuard<'static, Blocks> {
    BLOCKS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Blocks {
    const NONE: Self = Self { resting: VecDeque::new(), rest: 0, used: 0, most_used: 0 };

    /// The block of that very size that came back last: it is likeliest to be in
    /// the processor's caches still. Without one, room is made for a new one.
    fn take(&mut self, quads: usize) -> Option<Vec<Quad>> {
        self.used += quads;
        self.most_used = self.most_used.max(self.used);
        let place = self.resting.iter().rposition(|block| block.len() == quads);
        let block = place.and_then(|place| self.resting.remove(place));
        self.rest -= block.as_ref().map_or(0, Vec::len);
        self.make_room();
        block
    }

    fn keep(&mut self, block: Vec<Quad>) {
        self.used -= block.len();
        self.rest += block.len();
        self.resting.push_back(block);
        self.make_room();
    }

    /// Lets go of the longest unused blocks, so that resting ones hardly raise the
    /// peak of memory.
    fn make_room(&mut self) {
        while self.used + self.rest > self.most_used + BEYOND_MOST_USED {
            let Some(oldest) = self.resting.pop_front() else { break };
            self.rest -= oldest.len();
        }
    }

    fn release(&mut self) {
        self.resting.clear();
        (self.rest, self.most_used) = (0, self.used);
    }
}

/// Frees the memory of results that no tensor uses at the moment, and the
/// kernels' working memory.
///
/// Worth calling between phases of different sizes, for example between training
/// and decoding pictures.
pub fn release_buffers() {
    blocks().release();
    kernels::release_scratch();
}

/// Room for the values of a result. It goes back to rest when the last tensor
/// that shares it is dropped.
pub(crate) struct Buffer {
    quads: Vec<Quad>,
    /// Where the first cache line begins.
    start: usize,
    len: usize,
}

impl Buffer {
    /// Room for `len` values, which hold anything: whoever takes it fills it.
    pub fn take(len: usize) -> Self {
        let count = len.div_ceil(4) + LINE - 1;
        let rested = (count >= WORTH_KEEPING).then(|| blocks().take(count)).flatten();
        let quads = rested.unwrap_or_else(|| bytemuck::zeroed_vec(count));
        let start = (quads.as_ptr() as usize / size_of::<Quad>()).wrapping_neg() % LINE;
        Self { quads, start, len }
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
        &bytemuck::cast_slice(&self.quads[self.start..])[..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut bytemuck::cast_slice_mut(&mut self.quads[self.start..])[..self.len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.quads.len() >= WORTH_KEEPING {
            blocks().keep(mem::take(&mut self.quads));
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

    fn block(quads: usize) -> Vec<Quad> {
        bytemuck::zeroed_vec(quads)
    }

    #[test]
    fn a_block_rests_until_its_size_is_asked_for() {
        let mut blocks = Blocks::NONE;
        assert!(blocks.take(3000).is_none() && blocks.take(2000).is_none());
        blocks.keep(block(3000));
        blocks.keep(block(2000));
        assert!(blocks.take(2999).is_none());
        assert_eq!(blocks.take(3000).map(|block| block.len()), Some(3000));
        assert!(blocks.take(3000).is_none());
        assert_eq!((blocks.rest, blocks.used, blocks.most_used), (2000, 8999, 8999));
    }

    #[test]
    fn resting_blocks_make_room() {
        let mut blocks = Blocks::NONE;
        let (large, small) = (BEYOND_MOST_USED / 2, 10_000);
        (0..3).for_each(|_| assert!(blocks.take(large).is_none()));
        (0..3).for_each(|_| blocks.keep(block(large)));
        assert_eq!(blocks.resting.len(), 3, "as much was in use");
        assert!(blocks.take(small).is_none() && blocks.take(2 * large - small).is_none());
        assert_eq!(blocks.resting.len(), 3, "and some more may rest");
        assert!(blocks.take(1).is_none());
        assert_eq!(blocks.resting.len(), 2, "the oldest made room");
        blocks.release();
        assert_eq!((blocks.rest, blocks.most_used), (0, 2 * large + 1));
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
