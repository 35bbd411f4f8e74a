//! Learning one thing from a few photos, and drawing it again.
//!
//! photos -> [`dataset`] (latents encoded once) -> [`methods`] (the loss of a
//! batch and its gradients) -> [`trainer`] -> [`adapter`] file -> [`generate`].
//!
//! Invariants: trainer, checkpoints, adapter files and generation know methods
//! only by what they learn; every random number comes from a named stream of
//! the seed, so that no setting of previews can change a training; nothing
//! here knows terminals.

pub mod adapter;
pub mod captions;
pub mod checkpoint;
pub mod dataset;
pub mod draw;
pub mod error;
pub mod generate;
mod guidance;
mod job;
pub mod masks;
pub mod methods;
mod noise;
pub mod recipe;
pub mod reference;
pub mod trainer;

pub use adapter::Adapter;
pub use error::{Error, Result};
pub use recipe::{FrozenWeights, PLACEHOLDER, Recipe};
pub use reference::{ObjectMask, Reference};
