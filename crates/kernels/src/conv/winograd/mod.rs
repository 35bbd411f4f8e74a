//! Winograd's minimal filtering, for stride 1.
//!
//! ```text
//!   image            tiles of T x T, M apart        T*T matrices      T*T products
//!   +-------------+  +-----+                        tiles             tiles
//!   |             |  |  +-----+     input transform +----------+      +-------+
//!   |    [h,w,c]  |  |  |  |  |    ---------------> | channels |  x   | out   |  ->  back
//!   |             |  +--|--+  |     (lanes are      +----------+      | puts  |
//!   +-------------+     +-----+      channels)      one a frequency   +-------+
//! ```
//!
//! Each output tile needs `T * T` multiplications a pair of channels instead of
//! `9 M M`. Tiles go through in chunks whose transforms stay in the last-level cache,
//! in three parallel steps: tiles in, products by frequency, tiles out.
//!
//! The gradient of the input is the same computation with the kernels turned by half a
//! circle and the channels exchanged, and reads the same weights: see
//! [`transform`].

mod chunk;
mod tiles;
mod transform;
mod weights;

use self::chunk::Run;
use self::transform::{F2, F4};
use self::weights::transform_weights;
use super::shape::Images;
use crate::gemm::{Panels, Precision};
use crate::shared::Shared;
use crate::simd::Level;

/// The tile of an algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tile {
    /// F(2x2, 3x3)
    Two,
    /// F(4x4, 3x3)
    Four,
}

/// Transformed and packed kernels.
#[derive(Clone)]
pub(super) struct Winograd {
    tile: Tile,
    weights: Panels,
}

impl Winograd {
    /// Transforms `[outputs, inputs, 3, 3]`.
    pub(super) fn new(
        tile: Tile,
        weight: &[f32],
        [inputs, outputs]: [usize; 2],
        level: Level,
        precision: Precision,
    ) -> Self {
        let weights = match tile {
            Tile::Two => transform_weights(level, precision, weight, [inputs, outputs], F2),
            Tile::Four => transform_weights(level, precision, weight, [inputs, outputs], F4),
        };
        Self { tile, weights }
    }

    pub(super) fn bytes(&self) -> usize {
        self.weights.bytes()
    }

    /// Convolves `x`, enlarged twofold beforehand if `resized`.
    pub(super) fn forward(
        &self,
        x: Images<'_>,
        bias: Option<&[f32]>,
        resized: bool,
        y: &mut [f32],
    ) {
        self.run(Run { backward: false, from: x, bias, resized, to: Shared::new(y) });
    }

    /// The gradient of the input from that of the output; the sum of each two by two
    /// pixels of it if `resized`.
    pub(super) fn backward(&self, dy: Images<'_>, resized: bool, dx: &mut [f32]) {
        self.run(Run { backward: true, from: dy, bias: None, resized, to: Shared::new(dx) });
    }

    fn run(&self, run: Run<'_>) {
        match self.tile {
            Tile::Two => run.all(&self.weights, F2),
            Tile::Four => run.all(&self.weights, F4),
        }
    }
}
