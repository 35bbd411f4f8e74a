//! CPU kernels over plain slices: what a frozen diffusion U-Net spends its time in.

mod simd;

pub use simd::{LEVEL_VARIABLE, Level, level};
