//! Scores on the way of a training.

use std::path::PathBuf;

use app::{
    evaluate::{Convention, Prompts},
    train::EvaluationOptions,
};
use clap::Args;

/// Options under one heading, named as those of `vico evaluate` are.
#[derive(Args)]
#[command(next_help_heading = "Scores on the way (with --evaluate-every)")]
pub struct Scores {
    /// Steps between evaluations, 0 for none: a few pictures are drawn and scored as `vico
    /// evaluate` does it, also after the last step; the best adapter is kept in the run folder.
    /// The training stays the same to the bit [default: 0]
    #[arg(long, value_name = "N")]
    evaluate_every: Option<u64>,
    /// End the training after so many evaluations in a row without a better one, 0 for never
    /// [default: 0]
    #[arg(long, value_name = "K")]
    stop_when_no_better: Option<u64>,
    /// CLIP to score with: a folder, a file, an id at the hub, such as openai/clip-vit-base-patch32,
    /// or toybox [default with the base toybox, without --dino: toybox]
    #[arg(long, value_name = "DIR|FILE|ID")]
    clip: Option<PathBuf>,
    /// DINO or DINOv2 beside it, such as facebook/dino-vits16, or toybox [default with the base
    /// toybox, without --clip: toybox]
    #[arg(long, value_name = "DIR|FILE|ID")]
    dino: Option<PathBuf>,
    /// What of a prompt T_CLIP compares with: omit leaves the thing out, class puts its class word
    /// there [default: omit]
    #[arg(long, value_name = "omit|class")]
    convention: Option<Convention>,
    /// Prompts to draw: a set that `vico evaluate` knows, or a file with one a line, {} where the
    /// thing goes [default: in the jungle, in the snow, on the beach, with a city behind it]
    #[arg(long, value_name = "SET|FILE")]
    prompts: Option<PathBuf>,
    /// Pictures of each prompt [default: 2]
    #[arg(long, value_name = "N")]
    samples: Option<usize>,
    /// Sampling steps [default: 20]
    #[arg(long, value_name = "N")]
    sampling_steps: Option<usize>,
    /// Guidance scale [default: 7.5, on toybox 2.5]
    #[arg(long, value_name = "SCALE")]
    guidance: Option<f64>,
    /// Guidance scale of the reference, with ViCo, as `vico generate` has it [default: 1, on
    /// toybox 1.5]
    #[arg(long, value_name = "SCALE")]
    reference_guidance: Option<f64>,
    /// Sampler, as `vico generate` names them [default: dpmpp-2m-karras]
    #[arg(long, value_name = "NAME")]
    sampler: Option<String>,
}

impl Scores {
    pub fn options(self) -> EvaluationOptions {
        EvaluationOptions {
            evaluate_every: self.evaluate_every,
            stop_when_no_better: self.stop_when_no_better,
            prompts: self.prompts.map(Prompts::Set),
            samples: self.samples,
            sampling_steps: self.sampling_steps,
            guidance: self.guidance,
            reference_guidance: self.reference_guidance,
            sampler: self.sampler,
            seed: None,
            clip: self.clip,
            dino: self.dino,
            convention: self.convention,
        }
    }
}
