//! A slice that several threads write to.

use std::marker::PhantomData;

/// An exclusive borrow, split between threads that each write different parts.
#[derive(Clone, Copy)]
pub(crate) struct Shared<'a, T> {
    data: *mut T,
    len: usize,
    lifetime: PhantomData<&'a mut [T]>,
}

// SAFETY: whoever writes through `at` vouches that nobody else is at those values.
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(crate) fn new(data: &'a mut [T]) -> Self {
        Self { data: data.as_mut_ptr(), len: data.len(), lifetime: PhantomData }
    }

    /// A pointer that is valid for `len` values from `start` on. Other threads may
    /// hold one to the same values: two must not use them at a time.
    ///
    /// # Panics
    /// If they lie outside the slice.
    #[inline(always)]
    pub(crate) fn at(&self, start: usize, len: usize) -> *mut T {
        assert!(start <= self.len && len <= self.len - start, "outside of a shared slice");
        self.data.wrapping_add(start)
    }
}
