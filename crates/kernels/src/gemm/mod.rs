//! Matrix products: `out = base + left right`.
//!
//! The *right* factor is read in **panels** of `2 LANES` columns; frozen weights
//! are packed so once, anything else is packed while the product runs:
//!
//! ```text
//!      columns                        panel 0      panel 1
//!    +---------+---------+           +---------+  +---------+
//!  d |         |         |  packed   | row 0   |  | row 0   |    [panel][depth][2 LANES],
//!  e |         |         |  ------>  | row 1   |  | row 1   |    the last one filled up
//!  p |         |         |           |   ...   |  |   ...   |    with zeros
//!  t |         |         |           |         |  |         |
//!  h +---------+---------+           +---------+  +---------+
//! ```
//!
//! The *left* factor is not packed: the micro-kernel ([`tile()`]) broadcasts single
//! values of it from `TILE_ROWS` strided rows, and keeps a tile of `TILE_ROWS` rows
//! by one panel of sums in registers. [`block()`] moves the tile over a range of rows
//! and panels in blocks of the depth, [`parallel`] hands such ranges to threads.
//!
//! Every value of the result is summed in the same order whatever the number of
//! threads: the depth is cut into blocks of [`DEPTH_BLOCK`], each summed from zero,
//! then added up in order. That also keeps the rounding error of long sums low.

mod arithmetic;
mod block;
mod copy;
mod left;
mod pairs;
mod panels;
mod parallel;
mod right;
mod rows;
mod tile;

pub use arithmetic::has_pairs;
pub(crate) use arithmetic::{Fused, MulAdd, ProductKernel, dispatch_product};
pub(crate) use block::{Base, Out, Product, block};
pub(crate) use copy::transposed as copy_transposed;
pub(crate) use left::Left;
pub use panels::Precision;
pub(crate) use panels::{Panels, panel_width};
pub(crate) use parallel::{gemm, share};
pub(crate) use right::Right;
pub(crate) use rows::Rows;
pub(crate) use tile::{Factors, in_tiles, tile};

/// Terms of a sum that stay in registers: a block of a panel (80 KiB with AVX-512)
/// and the rows that meet it fit the second-level cache. A multiple of every
/// panel's width.
const DEPTH_BLOCK: usize = 640;
