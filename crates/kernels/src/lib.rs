//! CPU kernels over plain slices: what a frozen diffusion U-Net spends its time in.

mod gemm;
mod linear;
mod scratch;
mod simd;

pub use gemm::Precision;
pub use linear::{PackedLinear, linear, linear_backward_input, linear_weight_gradient};
pub use scratch::release_scratch;
pub use simd::{LEVEL_VARIABLE, Level, level};
