use std::{fmt, ops::Deref, sync::Arc};

/// Packed weights, shared between a layer and the tapes that run through it.
pub(crate) struct Packed<T>(Arc<T>);

impl<T> Packed<T> {
    pub fn new(weights: T) -> Self {
        Self(Arc::new(weights))
    }
}

impl<T> Clone for Packed<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Packed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Packed<T> {
    /// Without the weights, which are many.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Packed")
    }
}
