//! Switches of ViCo: what its paper leaves out to see what it is worth.

use app::train::{Injection, Placement, VicoOptions};
use clap::Args;

/// Options under one heading. Regularisation is left out by `--reg-weight 0`.
#[derive(Args)]
#[command(next_help_heading = "ViCo's ablations (recorded in the adapter)")]
pub struct Ablations {
    /// Read the whole reference photo, not the object alone
    #[arg(long)]
    no_mask: bool,
    /// How the reference enters: attention, or patch by patch through a learned MLP over both
    /// streams' features: concat (side by side) or add (their sum) [default: attention]
    #[arg(long, value_name = "HOW")]
    injection: Option<Injection>,
    /// Transformers with image attention: decoder-alternate, decoder, encoder or all
    /// [default: decoder-alternate]
    #[arg(long, value_name = "WHERE")]
    image_attention: Option<Placement>,
    /// No gradients through the reference stream: faster; the token then learns from the noisy
    /// stream alone, and there is no regulariser
    #[arg(long)]
    detach_reference: bool,
    /// Let image attention begin as if it were not there: its outputs start at zero
    #[arg(long)]
    zero_init: bool,
    /// Let each photo be its own reference
    #[arg(long)]
    same_reference: bool,
}

impl Ablations {
    pub fn options(self) -> VicoOptions {
        let switch = |typed: bool| typed.then_some(true);
        VicoOptions {
            mask: self.no_mask.then_some(false),
            injection: self.injection,
            image_attention: self.image_attention,
            detach_reference: switch(self.detach_reference),
            zero_init: switch(self.zero_init),
            same_reference: switch(self.same_reference),
        }
    }
}
