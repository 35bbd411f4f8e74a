//! CPU kernels over plain slices: what a frozen diffusion U-Net spends its time in.

mod activation;
mod attention;
mod conv;
mod elementwise;
mod gemm;
mod linear;
mod norm;
mod optim;
mod resample;
mod scratch;
mod shared;
mod simd;

pub use activation::{Activation, add, add_assign, geglu, geglu_backward};
pub use attention::{Attention, AttentionGradients, AttentionSaved, ColumnGradient};
pub use conv::{Algorithm, ConvOptions, ConvShape, PackedConv3x3, Resize, conv3x3_weight_gradient};
pub use gemm::{Precision, has_pairs as multiplies_bf16};
pub use linear::{PackedLinear, linear, linear_backward_input, linear_weight_gradient};
pub use norm::{GroupNorm, LayerNorm};
pub use optim::AdamWStep;
pub use resample::{upsample_nearest, upsample_nearest_backward};
pub use scratch::release_scratch;
pub use simd::{LEVEL_VARIABLE, Level, UnknownLevel, level, level_setting};
