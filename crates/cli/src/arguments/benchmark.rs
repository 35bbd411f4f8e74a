//! What `vico benchmark` is asked.

use std::path::PathBuf;

use app::benchmark::{Extent, Options, Shard};
use clap::Args;

/// Each concept is learned by each method, drawn and judged, by the code of train, generate and
/// evaluate. What is there is never made again: after Ctrl-C, or worse, the same command goes on.
/// The report of what is done, report.html, with the numbers in scores.json and scores.csv, goes
/// into the folder --output.
#[derive(Args)]
pub struct Benchmark {
    /// The plan in TOML: concepts, methods, prompts, and how to draw and judge; docs/benchmark.md
    /// says what it may hold
    plan: PathBuf,
    /// Folder for everything that is made [default: the plan's name with -benchmark]
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Folder in which each concept has a folder of photos [default: the plan's]
    #[arg(long, value_name = "DIR")]
    dataset: Option<PathBuf>,
    /// Stable Diffusion 1.x or 2.x: a diffusers folder, one .safetensors or .ckpt file, or an id at
    /// the Hugging Face hub [default: the plan's, or the small model inside the program, toybox]
    #[arg(long, value_name = "DIR|FILE|ID")]
    base: Option<PathBuf>,
    /// CLIP to judge with, as for evaluate; what is drawn can be judged again with another
    /// [default: the plan's]
    #[arg(long, value_name = "DIR|FILE|ID")]
    clip: Option<PathBuf>,
    /// DINO or DINOv2, the same
    #[arg(long, value_name = "DIR|FILE|ID")]
    dino: Option<PathBuf>,
    /// Do only every n-th cell, beginning with the i-th; n such runs, on one machine or on several
    /// that share the folder, are the whole
    #[arg(long, value_name = "i/n", default_value_t = Shard::WHOLE)]
    shard: Shard,
    /// Train and draw; judge nothing
    #[arg(long)]
    no_report: bool,
    /// Judge what is drawn and write the report; train and draw nothing
    #[arg(long, conflicts_with = "no_report")]
    report: bool,
    /// Print the cells and what is left of each, and how long it takes; then stop
    #[arg(long)]
    dry_run: bool,
}

impl Benchmark {
    pub fn options(self) -> Options {
        let Self { plan, output, dataset, base, clip, dino, shard, no_report, report, dry_run } =
            self;
        let extent = match (no_report, report) {
            (true, _) => Extent::Draw,
            (_, true) => Extent::Report,
            _ => Extent::Whole,
        };
        Options { plan, output, dataset, base, clip, dino, shard, extent, dry_run }
    }
}
