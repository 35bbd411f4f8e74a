//! The operations a latent-diffusion model spends its time in.

mod activation;
mod attention;
mod norm;
mod resample;

pub use activation::{geglu, gelu, quick_gelu, silu};
pub use attention::{Attention, KeyMask, attention, attention_columns};
pub use norm::{group_norm, layer_norm};
pub use resample::upsample_nearest;
