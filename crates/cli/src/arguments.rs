//! Arguments of the command line, and what they mean.

use std::path::PathBuf;

use app::{Bytes, DEFAULT_BASE, Sampler, WeightPrecision, bench, demo, generate, mask, train};
use clap::{Args, Parser, Subcommand};

/// What was typed, ready to run.
pub struct Arguments {
    /// Threads; 0 is all cores.
    pub threads: usize,
    /// How frozen weights are kept.
    pub precision: WeightPrecision,
    /// Memory to stay within.
    pub memory: Option<Bytes>,
    /// The command.
    pub command: Command,
}

/// A command with its options.
pub enum Command {
    /// `vico demo`
    Demo(demo::Options),
    /// `vico train`
    Train(train::Options),
    /// `vico generate`
    Generate(generate::Options),
    /// `vico mask`
    Mask(mask::Options),
    /// `vico inspect`
    Inspect(PathBuf),
    /// `vico bench`
    Bench {
        /// What to measure.
        options: bench::Options,
        /// Answer as JSON.
        json: bool,
    },
}

/// Reads the command line; help, version and mistakes end the process.
pub fn parse() -> Arguments {
    let Cli { threads, precision, memory, command } = Cli::parse();
    let command = match command {
        Typed::Demo(typed) => Command::Demo(typed.options()),
        Typed::Train(typed) => Command::Train(typed.options()),
        Typed::Generate(typed) => Command::Generate(typed.options()),
        Typed::Mask(typed) => Command::Mask(typed.options()),
        Typed::Inspect { file } => Command::Inspect(file),
        Typed::Bench(Bench { base, json, size, repeats, case }) => {
            let options = bench::Options { base, size, repeats, cases: case };
            Command::Bench { options, json }
        }
    };
    Arguments { threads, precision, memory, command }
}

/// Learns one thing from a few photos, and draws it anywhere.
///
/// Exit codes: 0 done, 1 failed, 2 a mistake in what was typed, 130 stopped by
/// Ctrl-C (what was finished is saved).
#[derive(Parser)]
#[command(name = "vico", version, max_term_width = 100)]
struct Cli {
    /// Threads to compute with; 0 is all cores
    #[arg(long, global = true, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// How the frozen model is kept and multiplied: f32, or bf16 (half the memory, about 1 % off)
    #[arg(long, global = true, value_name = "f32|bf16", default_value = "f32")]
    precision: WeightPrecision,
    /// Keep the frozen model in the fastest way that fits, e.g. 8GB; the choice is said
    #[arg(long, global = true, value_name = "BYTES")]
    memory: Option<Bytes>,
    #[command(subcommand)]
    command: Typed,
}

#[derive(Subcommand)]
enum Typed {
    /// The whole way in one command, in minutes, on the model inside the program
    Demo(Demo),
    /// Learn a thing from a folder of photos
    Train(Box<Train>),
    /// Draw pictures with an adapter
    Generate(Box<Generate>),
    /// Show what an adapter takes for the object in a photo, layer by layer
    Mask(Mask),
    /// Say what an adapter, embedding, checkpoint or picture holds
    Inspect {
        /// The file
        file: PathBuf,
    },
    /// Measure how fast this machine trains and draws, and with how much memory
    Bench(Bench),
}

/// Trains on five bundled photos of a thing that the model never saw (or on your own),
/// draws it before, during and after, and says how to do the same by hand.
#[derive(Args)]
struct Demo {
    /// Folder of your own photos
    #[arg(long, value_name = "DIR", requires = "init_word")]
    photos: Option<PathBuf>,
    /// Class word of your own photos: one token, such as toy, dog, teapot
    #[arg(long, value_name = "WORD")]
    init_word: Option<String>,
    /// Folder for everything that is made
    #[arg(long, short, value_name = "DIR", default_value = "vico-demo")]
    output: PathBuf,
    /// Optimizer steps [default: what suits the model]
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
}

impl Demo {
    fn options(self) -> demo::Options {
        let Self { photos, init_word, output, steps } = self;
        demo::Options { photos, init_word, output, steps }
    }
}

/// The defaults are ViCo's recipe (arXiv 2306.00971) at the base model's own
/// size. A run folder beside the adapter keeps the recipe, metrics.jsonl,
/// checkpoints, previews, masks and a log.
#[derive(Args)]
struct Train {
    /// Folder of photos (JPEG, PNG, WebP) of one thing; four to seven are good
    photos: Option<PathBuf>,
    /// Stable Diffusion 1.x: a diffusers folder, or one .safetensors or .ckpt file
    /// [default: the small model inside the program, toybox]
    #[arg(long, value_name = "DIR|FILE")]
    base: Option<PathBuf>,
    /// Class word the token starts from: one token, such as toy, dog, teapot
    #[arg(long, value_name = "WORD")]
    init_word: Option<String>,
    /// The adapter file to write (.safetensors)
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How to learn: vico, or textual-inversion (the token alone) [default: vico]
    #[arg(long, value_name = "NAME")]
    method: Option<String>,
    /// Optimizer steps [default: 400; 3000 for textual-inversion]
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Samples in one pass [default: 4]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Passes before each optimizer step [default: 1]
    #[arg(long, value_name = "N")]
    accumulate: Option<usize>,
    /// Width and height of the training pictures, pixels [default: the base's own]
    #[arg(long, value_name = "PIXELS")]
    size: Option<usize>,
    /// Learning rate of the token [default: 0.005]
    #[arg(long, value_name = "RATE")]
    lr_token: Option<f64>,
    /// Learning rate of image attention [default: 0.00001]
    #[arg(long, value_name = "RATE")]
    lr_attention: Option<f64>,
    /// Weight of the regulariser [default: 0.0005]
    #[arg(long, value_name = "WEIGHT")]
    reg_weight: Option<f64>,
    /// Text that stands for the thing in prompts [default: *]
    #[arg(long, value_name = "TEXT")]
    placeholder: Option<String>,
    /// Seed of all random numbers [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Steps between checkpoints, 0 for the end only [default: 100]
    #[arg(long, value_name = "N")]
    checkpoint_every: Option<u64>,
    /// Steps between preview pictures, 0 for none [default: 0]
    #[arg(long, value_name = "N")]
    preview_every: Option<u64>,
    /// Prompt of a preview picture; may be given several times [default: a photo of * on the beach]
    #[arg(long, value_name = "PROMPT")]
    preview_prompt: Vec<String>,
    /// Go on from the newest checkpoint of a run folder, to the same bits
    #[arg(long, value_name = "RUN_DIR", num_args = 0..=1)]
    resume: Option<Option<PathBuf>>,
    /// Run folder [default: the adapter's name with .run]
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// Leave the photos' latents out of the adapter; generate then needs --reference
    #[arg(long)]
    without_photos: bool,
    /// Say what would be done, what it takes, and the resolved recipe; then stop
    #[arg(long)]
    dry_run: bool,
}

impl Train {
    fn options(self) -> train::Options {
        let resume = self.resume.is_some();
        // `--resume PHOTOS`: the folder behind it is the photos' where it is
        // no run folder and they were not named otherwise.
        let named = self.resume.flatten();
        let is_run = named.as_ref().is_some_and(|dir| dir.join("recipe.toml").is_file());
        let (resumed, photos) = match (named, self.photos) {
            (Some(dir), None) if !is_run => (None, Some(dir)),
            (named, photos) => (named, photos),
        };
        train::Options {
            photos,
            base: self.base,
            init_word: self.init_word,
            output: self.output,
            run_dir: self.run_dir.or(resumed),
            resume,
            recipe: train::RecipeOptions {
                method: self.method,
                steps: self.steps,
                batch: self.batch,
                accumulate: self.accumulate,
                size: self.size,
                lr_token: self.lr_token,
                lr_attention: self.lr_attention,
                reg_weight: self.reg_weight,
                placeholder: self.placeholder,
                seed: self.seed,
            },
            checkpoint_every: self.checkpoint_every,
            preview_every: self.preview_every,
            preview_at_halves: false,
            preview_prompts: self.preview_prompt,
            without_photos: self.without_photos,
            dry_run: self.dry_run,
        }
    }
}

/// Every picture carries its settings inside; picture i has seed + i, whatever
/// the count and batch.
#[derive(Args)]
struct Generate {
    /// Prompt with the placeholder, such as "a photo of * on the beach"
    prompt: String,
    /// The small model inside the program (toybox), or Stable Diffusion 1.x: a diffusers folder,
    /// or one .safetensors or .ckpt file
    #[arg(long, value_name = "DIR|FILE", default_value = DEFAULT_BASE)]
    base: PathBuf,
    /// Adapter file that `vico train` wrote
    #[arg(long, value_name = "FILE")]
    adapter: PathBuf,
    /// Folder for the pictures, or a .png file for one
    #[arg(long, short, value_name = "DIR|FILE")]
    output: PathBuf,
    /// Photo to draw from: a number of one kept in the adapter, or a file [default: 0]
    #[arg(long, value_name = "N|PHOTO")]
    reference: Option<String>,
    /// What not to draw
    #[arg(long, value_name = "PROMPT", default_value = "", hide_default_value = true)]
    negative: String,
    /// Sampling steps
    #[arg(long, value_name = "N", default_value_t = 50)]
    steps: usize,
    /// Guidance scale; 1 is none
    #[arg(long, value_name = "SCALE", default_value_t = 7.5, allow_negative_numbers = true)]
    guidance: f64,
    /// ddim (timesteps as in ViCo's program) or ddim-diffusers
    #[arg(long, value_name = "NAME", default_value_t = Sampler::default().name().to_owned())]
    sampler: String,
    /// Fresh noise a step, 0 to 1
    #[arg(long, value_name = "ETA", default_value_t = 0.0, allow_negative_numbers = true)]
    eta: f64,
    /// Width in pixels, a multiple of 8 [default: the training's]
    #[arg(long, value_name = "PIXELS")]
    width: Option<usize>,
    /// Height in pixels, a multiple of 8 [default: the training's]
    #[arg(long, value_name = "PIXELS")]
    height: Option<usize>,
    /// Width and height in one
    #[arg(long, value_name = "PIXELS", conflicts_with_all = ["width", "height"])]
    size: Option<usize>,
    /// Seed of the first picture
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Number of pictures [default: 1]
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    /// Pictures in one pass: faster, more memory, the same pictures
    #[arg(long, value_name = "N", default_value_t = 1)]
    batch: usize,
    /// Draw although the prompt lacks the placeholder (the mask then comes from its end)
    #[arg(long)]
    allow_no_placeholder: bool,
    /// Start from the latents in a safetensors file, [pictures, 4, height/8, width/8]
    #[arg(long, value_name = "FILE")]
    init_latents: Option<PathBuf>,
    /// Write the first and the last latents to a safetensors file
    #[arg(long, value_name = "FILE")]
    save_latents: Option<PathBuf>,
}

impl Generate {
    fn options(self) -> generate::Options {
        generate::Options {
            base: self.base,
            adapter: self.adapter,
            prompt: self.prompt,
            negative: self.negative,
            reference: self.reference,
            steps: self.steps,
            guidance: self.guidance,
            sampler: self.sampler,
            eta: self.eta,
            width: self.width.or(self.size),
            height: self.height.or(self.size),
            seed: self.seed,
            count: self.count,
            batch: self.batch,
            output: self.output,
            allow_no_placeholder: self.allow_no_placeholder,
            init_latents: self.init_latents,
            save_latents: self.save_latents,
        }
    }
}

#[derive(Args)]
struct Mask {
    /// The photo
    photo: PathBuf,
    /// The small model inside the program (toybox), or Stable Diffusion 1.x: a diffusers folder,
    /// or one .safetensors or .ckpt file
    #[arg(long, value_name = "DIR|FILE", default_value = DEFAULT_BASE)]
    base: PathBuf,
    /// Adapter file that `vico train` wrote
    #[arg(long, value_name = "FILE")]
    adapter: PathBuf,
    /// The picture to write
    #[arg(long, short, value_name = "FILE", default_value = "mask.png")]
    output: PathBuf,
    /// Prompt with the placeholder [default: a photo of *]
    #[arg(long, value_name = "PROMPT")]
    prompt: Option<String>,
    /// Timestep at which the photo goes through the U-Net
    #[arg(long, value_name = "T", default_value_t = 200)]
    timestep: usize,
}

impl Mask {
    fn options(self) -> mask::Options {
        mask::Options {
            base: self.base,
            adapter: self.adapter,
            photo: self.photo,
            prompt: self.prompt,
            timestep: self.timestep,
            output: self.output,
        }
    }
}

#[derive(Args)]
struct Bench {
    /// The small model inside the program (toybox), or Stable Diffusion 1.x: a diffusers folder,
    /// or one .safetensors or .ckpt file
    #[arg(long, value_name = "DIR|FILE", default_value = DEFAULT_BASE)]
    base: PathBuf,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
    /// Width and height, pixels [default: the base's own]
    #[arg(long, value_name = "PIXELS")]
    size: Option<usize>,
    /// Runs of each case; the median counts
    #[arg(long, value_name = "N", default_value_t = 3)]
    repeats: usize,
    /// Measure this case only; may be given several times
    #[arg(long, value_name = "NAME")]
    case: Vec<String>,
}
