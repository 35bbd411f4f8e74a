use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use toybox::personal::METHODS;

/// Make the small base model that lies inside vico.
///
/// In this order: judge, vae, encode, base, score, export; clip, vit and encoders when
/// you like. Every training writes its state to the run folder and goes on from it when the same command is run again.
#[derive(Parser)]
#[command(version)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
    /// Folder of everything that is made.
    #[arg(long, global = true, default_value = "toybox-run", value_name = "DIR")]
    pub run: PathBuf,
    /// Folder of the pictures of npm's `@lobehub/fluent-emoji-3d` 1.1.0 (its `assets`).
    #[arg(long, global = true, default_value = "package/assets", value_name = "DIR")]
    pub emoji: PathBuf,
    /// Threads to compute with; 0 is all cores.
    #[arg(long, global = true, default_value_t = 0)]
    pub threads: usize,
    /// Seed of weights and draws.
    #[arg(long, global = true, default_value_t = 1)]
    pub seed: u64,
}

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Train the judge, which tells objects and scenes.
    Judge(Training),
    /// Train the VAE.
    Vae(Training),
    /// Render and encode the base's data set.
    Encode {
        /// Number of pictures.
        #[arg(long, default_value_t = 48_000)]
        count: u64,
    },
    /// Train text encoder and U-Net on it.
    Base(Training),
    /// Measure judge, VAE and base as the model card reports them.
    Score {
        /// Captions to draw.
        #[arg(long, default_value_t = 300)]
        count: usize,
        /// DDIM steps.
        #[arg(long, default_value_t = 30)]
        steps: usize,
        /// Guidance scale.
        #[arg(long, default_value_t = 5.0)]
        guidance: f64,
    },
    /// Learn held-out objects from five photos each, and measure what is drawn of them.
    Personal {
        /// The exported model.
        #[arg(long)]
        base: PathBuf,
        /// An object and a class word that the base knows, such as "teddy bear:koala";
        /// may be given several times [default: the eight of the model card].
        #[arg(long, value_name = "OBJECT:WORD", value_parser = subject)]
        subject: Vec<(String, String)>,
        /// Method; may be given several times.
        #[arg(long, default_values = ["textual-inversion", "vico"], value_parser = METHODS)]
        method: Vec<String>,
        /// Guidance scale, as the model's vico.toml has it.
        #[arg(long, default_value_t = 2.5)]
        guidance: f64,
        /// Guidance scale of the reference, with ViCo; likewise.
        #[arg(long, default_value_t = 1.5)]
        reference_guidance: f64,
    },
    /// Render five photos of an object, as `personal` learns them.
    Photos {
        /// The object, one of those held out or trained on.
        #[arg(long)]
        object: String,
        /// The folder.
        #[arg(long)]
        out: PathBuf,
    },
    /// Write the model as a diffusers folder in f16.
    Export {
        /// The folder.
        #[arg(long)]
        out: PathBuf,
    },
    /// Train the CLIP that judges pictures of this world.
    Clip(Training),
    /// Train the vision transformer that judges them where others have a DINO.
    Vit(Training),
    /// Write both as folders in f16, and measure what was written as the model card
    /// reports it.
    Encoders {
        /// The folder of both.
        #[arg(long)]
        out: PathBuf,
    },
}

fn subject(text: &str) -> Result<(String, String), String> {
    let (object, word) = text.split_once(':').ok_or("expected OBJECT:WORD")?;
    Ok((object.to_owned(), word.to_owned()))
}

/// How to train.
#[derive(Args)]
pub struct Training {
    /// Steps in all; more than before continues a run that has ended.
    #[arg(long)]
    pub steps: u64,
    /// Samples in a step.
    #[arg(long, default_value_t = 16)]
    pub batch: usize,
    /// Learning rate.
    #[arg(long, default_value_t = 8e-4)]
    pub rate: f64,
}

/// Reads the command line.
pub fn parse() -> Arguments {
    Arguments::parse()
}
