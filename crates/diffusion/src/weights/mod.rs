//! Weights of a model by diffusers' names, wherever they lie.

pub(crate) mod compvis;
mod source;

pub use source::{Count, Weights};
