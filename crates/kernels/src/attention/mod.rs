//! Scaled-dot-product attention that never stores its scores.
//!
//! Scores, probabilities and outputs are held transposed: keys (or channels) are
//! rows, **queries lie in the lanes**. So the softmax of a query runs down a lane,
//! without a sum across lanes; a tile of probabilities is at once the packed right
//! factor of the next product; and the channels of a head need no padding.
//!
//! ```text
//!                 2 LANES queries                          2 LANES queries
//!               +-----------------+                      +-----------------+
//!  key tile     |  S^T = K Q^T    |   width of a head    |  O^T += V^T P^T |
//!  (rows of K)  |  P^T = 2^(S-top)|   (columns of V)     |                 |
//!               +-----------------+                      +-----------------+
//! ```
//!
//! A running maximum and sum for each query, as in FlashAttention (Dao et al. 2022,
//! arXiv 2205.14135), make one pass over the keys enough. The backward pass computes
//! the probabilities again from the saved logarithm of the sum. All exponents are
//! base 2: the queries are scaled by `log2 e / sqrt(width)` when they are packed.
//!
//! Keys that a mask drops are left out when keys and values are packed, so they cost
//! nothing. Queries without any usable key are handled apart ([`keys`]).

mod backward;
mod block;
mod columns;
mod forward;
mod keys;
mod pack;
mod product;
mod shape;
mod sinks;

pub use backward::{AttentionGradients, AttentionSaved, ColumnGradient};
pub use shape::Attention;
