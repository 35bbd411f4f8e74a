//! The operations a latent-diffusion model spends its time in.
//!
//! On the processor each runs on our own kernels, with a gradient written by hand.
//! Beside it stands its *twin* of plain tensor operations, which says the same thing
//! readably: it serves other devices, the tests, and whoever sets
//! [`TWINS_VARIABLE`](crate::TWINS_VARIABLE). Products, convolutions and norms have kernels for
//! graphics cards too. An input that is a constant costs no
//! work on the way back.

mod activation;
mod add;
mod attention;
mod conv;
mod geglu;
mod join;
mod linear;
mod norm;
mod product;
mod resample;

pub use activation::{gelu, quick_gelu, silu};
pub use add::{add, add_to_pixels};
pub use attention::{Attention, KeyMask, MOST_SCORES, attention, attention_columns};
pub use conv::conv3x3;
pub(crate) use conv::{conv3x3_rounded, packed_conv3x3};
pub use geglu::geglu;
pub use join::join;
pub use kernels::Resize;
pub use linear::linear;
pub(crate) use linear::{linear_rounded, packed_linear};
pub use norm::{group_norm, layer_norm};
pub use product::product;
pub use resample::upsample_nearest;

use resample::upsample_nearest_twin;

/// The twins under the names of the operations.
pub mod twins {
    pub use super::{
        activation::{gelu_twin as gelu, quick_gelu_twin as quick_gelu, silu_twin as silu},
        add::{add_to_pixels_twin as add_to_pixels, add_twin as add},
        attention::{attention_columns_twin as attention_columns, attention_twin as attention},
        conv::conv3x3_twin as conv3x3,
        geglu::geglu_twin as geglu,
        join::join_twin as join,
        linear::linear_twin as linear,
        norm::{group_norm_twin as group_norm, layer_norm_twin as layer_norm},
        resample::upsample_nearest_twin as upsample_nearest,
    };
}
