//! Normalisation over channels-last activations, forward and backward.
//!
//! Both norms keep mean and reciprocal deviation for the backward pass:
//!
//! ```text
//! hat = (x - mean) rstd              y = hat weight + bias
//! dx  = rstd (dhat - mean(dhat) - hat mean(dhat hat)),   dhat = dy weight
//! ```
//!
//! The means run over what shares one deviation: a row of a layer norm, the pixels
//! and channels of one group of a group norm.

mod group;
mod layer;
mod sums;

pub use group::GroupNorm;
pub use layer::LayerNorm;
