//! Weights of a model by diffusers' names, wherever they lie.

pub(crate) mod compvis;
mod params;
mod shapes;
mod source;

pub(crate) use params::Collecting;
pub use shapes::{Shapes, shapes};
pub use source::{Count, Weights};
