//! Working memory that is kept and used again.
//!
//! A pass through a U-Net needs hundreds of megabytes of passing buffers. Fresh
//! from the allocator each would be mapped, zeroed page by page at the first
//! touch and unmapped again, which costs as much as a few convolutions.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use bytemuck::{Pod, Zeroable};

/// Sixteen bytes. No more aligned than what the allocator gives by itself: memory that is both
/// zeroed and aligned further would be written here, by one thread, in place of being zeroed by
/// the system where threads touch it first.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(16))]
struct Quad([u8; 16]);

/// Bytes of a cache line, which is also the widest vector.
const LINE: usize = 64;

/// A slice of `f32` or `bf16` that starts on a cache line, so that a vector load
/// never touches two lines.
pub(crate) struct Aligned<T> {
    /// With room for the first of them to lie before the line.
    quads: Vec<Quad>,
    len: usize,
    element: PhantomData<T>,
}

impl<T: Pod> Aligned<T> {
    /// `len` zeros.
    pub(crate) fn zeroed(len: usize) -> Self {
        let quads = bytemuck::zeroed_vec(Self::quads_for(len));
        Self { quads, len, element: PhantomData }
    }

    /// A copy.
    pub(crate) fn from_slice(values: &[T]) -> Self {
        let mut copy = Self::zeroed(values.len());
        copy.copy_from_slice(values);
        copy
    }

    fn quads_for(len: usize) -> usize {
        (len * size_of::<T>()).div_ceil(size_of::<Quad>()) + LINE / size_of::<Quad>() - 1
    }

    /// Values before the first whole line.
    fn start(&self) -> usize {
        (self.quads.as_ptr() as usize).wrapping_neg() % LINE / size_of::<T>()
    }
}

impl<T: Pod> Clone for Aligned<T> {
    /// Its line may begin elsewhere.
    fn clone(&self) -> Self {
        Self::from_slice(self)
    }
}

impl<T: Pod> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &bytemuck::cast_slice(&self.quads)[self.start()..][..self.len]
    }
}

impl<T: Pod> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        let (start, len) = (self.start(), self.len);
        &mut bytemuck::cast_slice_mut(&mut self.quads)[start..][..len]
    }
}

/// The buffers at rest.
static POOL: Mutex<Vec<Vec<Quad>>> = Mutex::new(Vec::new());

/// Buffers kept at most; beyond it the smallest is freed. Two levels of parallel
/// loops on sixteen cores hold fewer.
const KEPT: usize = 64;

/// Quads from which a buffer is large (1 MiB). The small buffers of parallel tasks
/// must not occupy the large ones.
const LARGE: usize = (1 << 20) / size_of::<Quad>();

/// A borrowed buffer; it goes back to the pool when dropped.
pub(crate) struct Scratch<T>(Aligned<T>);

impl<T: Pod> Scratch<T> {
    /// A buffer of `len` values that starts on a cache line. It holds what its
    /// last user left in it.
    pub(crate) fn take(len: usize) -> Self {
        let count = Aligned::<T>::quads_for(len);
        let mut quads = take_quads(count);
        if quads.len() < count {
            // Replaced, not grown: growing would copy what nobody reads.
            drop(std::mem::take(&mut quads));
            quads = bytemuck::zeroed_vec(count);
        }
        Self(Aligned { quads, len, element: PhantomData })
    }
}

/// The smallest resting buffer that is large enough, else the largest of its class.
fn take_quads(count: usize) -> Vec<Quad> {
    let mut resting = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    let rank = |quads: &Vec<Quad>| match quads.len() {
        len if (len < LARGE) != (count < LARGE) => None,
        len if len >= count => Some((0, len)),
        len => Some((1, usize::MAX - len)),
    };
    let ranked = resting.iter().enumerate().filter_map(|(i, quads)| Some((rank(quads)?, i)));
    match ranked.min() {
        Some((_, i)) => resting.swap_remove(i),
        None => Vec::new(),
    }
}

impl<T> Drop for Scratch<T> {
    fn drop(&mut self) {
        let mut resting = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        resting.push(std::mem::take(&mut self.0.quads));
        if resting.len() > KEPT
            && let Some((i, _)) = resting.iter().enumerate().min_by_key(|(_, quads)| quads.len())
        {
            resting.swap_remove(i);
        }
    }
}

impl<T: Pod> Deref for Scratch<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Pod> DerefMut for Scratch<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

/// Frees the working memory that no operation is using at the moment.
///
/// Worth calling between phases of different sizes, for example after the VAE has
/// decoded an image; the next operation allocates what it needs.
pub fn release_scratch() {
    POOL.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_aligned_and_comes_back() {
        let len = 5_000_001;
        let mut first = Scratch::<f32>::take(len);
        assert_eq!((first.len(), first.as_ptr() as usize % 64), (len, 0));
        first[len - 1] = 7.0;
        let address = first.as_ptr();
        // Other tests of this binary take smaller ones at the same time.
        drop(first);
        let again = Scratch::<f32>::take(len);
        assert!(again.as_ptr() != address || again[len - 1] == 7.0);
        let copy = again.0.clone();
        assert_eq!((copy.len(), copy.as_ptr() as usize % 64), (len, 0));
        let small = Scratch::<f32>::take(10);
        assert!(small.0.quads.len() < LARGE);
    }
}
