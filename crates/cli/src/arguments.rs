//! Arguments of the command line, and what they mean.

mod ablations;
mod benchmark;
mod draw;
mod evaluate;
mod exchange;
mod scores;

use std::path::PathBuf;

use app::{
    Bytes, DEFAULT_BASE, DeviceName, LoraFile, Precision, bench, demo, export, generate,
    hub::Id,
    import, mask,
    train::{self, ConceptPhotos},
};
use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::documents;
use ablations::Ablations;
use benchmark::Benchmark;
use draw::Generate;
use evaluate::Evaluate;
use exchange::{Export, Import, Models};
use scores::Scores;

/// What was typed, ready to run.
pub struct Arguments {
    /// Threads; 0 is all cores.
    pub threads: usize,
    /// Where to compute, if it was typed.
    pub device: Option<DeviceName>,
    /// Compute there whatever the self-test finds.
    pub trust_device: bool,
    /// How frozen weights are kept, if it was typed.
    pub precision: Option<Precision>,
    /// Memory to stay within.
    pub memory: Option<Bytes>,
    /// Frozen weights stay in the machine's memory.
    pub offload: bool,
    /// The command.
    pub command: Command,
}

/// A command with its options.
pub enum Command {
    /// `vico demo`
    Demo(demo::Options),
    /// `vico train`
    Train(Box<train::Options>),
    /// `vico generate`
    Generate(Box<generate::Options>),
    /// `vico evaluate`
    Evaluate(Box<app::evaluate::Options>),
    /// `vico benchmark`
    Benchmark(Box<app::benchmark::Options>),
    /// `vico mask`
    Mask(mask::Options),
    /// `vico import`
    Import(import::Options),
    /// `vico export`
    Export(export::Options),
    /// `vico inspect`
    Inspect(PathBuf),
    /// `vico bench`
    Bench {
        /// What to measure.
        options: bench::Options,
        /// Answer as JSON.
        json: bool,
    },
    /// `vico devices`
    Devices,
    /// `vico models pull`
    Pull(Id),
    /// `vico models list`
    ListModels,
    /// `vico completions`
    Completions(Shell),
    /// `vico man`, into a folder if there is one
    Man(Option<PathBuf>),
}

/// The arguments as a whole, to be described.
pub fn described() -> clap::Command {
    Cli::command()
}

/// Reads the command line; help, version and mistakes end the process.
///
/// # Errors
/// If a picture that is to be drawn again carries no settings.
pub fn parse() -> app::Result<Arguments> {
    let Cli { threads, device, trust_device, precision, memory, offload, command } = Cli::parse();
    let command = match command {
        Typed::Demo(typed) => Command::Demo(typed.options()),
        Typed::Train(typed) => Command::Train(Box::new(typed.options())),
        Typed::Generate(typed) => Command::Generate(Box::new(typed.options()?)),
        Typed::Evaluate(typed) => Command::Evaluate(Box::new(typed.options())),
        Typed::Benchmark(typed) => Command::Benchmark(Box::new(typed.options())),
        Typed::Mask(typed) => Command::Mask(typed.options()),
        Typed::Import(typed) => Command::Import(typed.options()),
        Typed::Export(typed) => Command::Export(typed.options()),
        Typed::Inspect { file } => Command::Inspect(file),
        Typed::Bench(Bench { base, json, size, repeats, case, dry_run }) => {
            let options = bench::Options { base, size, repeats, cases: case, dry_run };
            Command::Bench { options, json }
        }
        Typed::Devices => Command::Devices,
        Typed::Models(Models::Pull { id }) => Command::Pull(id),
        Typed::Models(Models::List) => Command::ListModels,
        Typed::Completions { shell } => Command::Completions(shell),
        Typed::Man { output } => Command::Man(output),
    };
    Ok(Arguments { threads, device, trust_device, precision, memory, offload, command })
}

/// Learns one thing from a few photos, and draws it anywhere.
#[derive(Parser)]
#[command(name = "vico", version, max_term_width = 100, after_help = documents::exit_codes())]
struct Cli {
    /// Threads to compute with; 0 is all cores
    #[arg(long, global = true, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Where to compute: cpu, vulkan, vulkan:1, metal, cuda, .., or auto (the first graphics card that
    /// computes rightly, else the processor); `vico devices` lists them [default: VICO_DEVICE, or cpu]
    #[arg(long, global = true, value_name = "NAME")]
    device: Option<DeviceName>,
    /// Compute on --device although its self-test differs from the processor
    #[arg(long, global = true)]
    trust_device: bool,
    /// How the frozen model is kept and multiplied: f32, bf16 (half the memory, about 1 % off), or on
    /// graphics cards f16 (likewise, nearer) and tf32 (NVIDIA's faster products, as near as f16)
    /// [default: f32, or what fits into --memory, or a resumed run's]
    #[arg(long, global = true, value_name = "f32|bf16|f16|tf32")]
    precision: Option<Precision>,
    /// Keep the frozen model in the fastest way that fits, e.g. 8GB; the choice is said and recorded
    #[arg(long, global = true, value_name = "BYTES")]
    memory: Option<Bytes>,
    /// Keep the frozen model in the machine's memory and bring each layer to --device as it computes:
    /// slower, for graphics cards with little memory
    #[arg(long, global = true)]
    offload: bool,
    #[command(subcommand)]
    command: Typed,
}

#[derive(Subcommand)]
enum Typed {
    /// The whole way in one command, in minutes, on the model inside the program
    Demo(Demo),
    /// Learn a thing from a folder of photos
    Train(Box<Train>),
    /// Draw pictures, with an adapter or with the base model alone
    Generate(Box<Generate>),
    /// Score pictures, or those an adapter draws, against photos and prompts
    Evaluate(Box<Evaluate>),
    /// Compare methods on several things, as a plan says, and report
    Benchmark(Box<Benchmark>),
    /// Show what an adapter takes for the object in a photo, layer by layer
    Mask(Mask),
    /// Make an adapter of the files of ViCo's own program
    Import(Import),
    /// Write an adapter or embedding for other programs
    Export(Export),
    /// Say what an adapter, embedding, checkpoint or picture holds
    Inspect {
        /// The file
        file: PathBuf,
    },
    /// Measure how fast this machine trains and draws, and with how much memory
    Bench(Bench),
    /// Say what there is to compute on, and which of it computes rightly
    Devices,
    /// Fetch base models from the Hugging Face hub, or list those that were
    #[command(subcommand)]
    Models(Models),
    /// Print a script that completes these arguments in a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the man page, or write those of all commands
    Man {
        /// Folder for the pages
        #[arg(long, short, value_name = "DIR")]
        output: Option<PathBuf>,
    },
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
    /// Sampling steps of each picture [default: 50]
    #[arg(long, value_name = "N")]
    preview_steps: Option<usize>,
}

impl Demo {
    fn options(self) -> demo::Options {
        let Self { photos, init_word, output, steps, preview_steps } = self;
        demo::Options { photos, init_word, output, steps, preview_steps }
    }
}

/// The defaults are ViCo's recipe (arXiv 2306.00971) at the base model's own
/// size. A run folder beside the adapter keeps the recipe, metrics.jsonl,
/// checkpoints, previews, masks and a log.
#[derive(Args)]
struct Train {
    /// Recipe in TOML: any part of a run folder's recipe.toml; what is typed beside it wins
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Folder of photos (JPEG, PNG, WebP) of one thing; four to seven are good
    photos: Option<PathBuf>,
    /// Stable Diffusion 1.x or 2.x: a diffusers folder, one .safetensors or .ckpt file, or an id at the
    /// Hugging Face hub, such as stable-diffusion-v1-5/stable-diffusion-v1-5
    /// [default: the small model inside the program, toybox]
    #[arg(long, value_name = "DIR|FILE|ID")]
    base: Option<PathBuf>,
    /// LoRA of Stable Diffusion 1.x to merge into the base, with a weight, e.g. style.safetensors:0.8;
    /// may be given several times
    #[arg(long, value_name = "FILE[:WEIGHT]")]
    lora: Vec<LoraFile>,
    /// Class word the token starts from: one token, such as toy, dog, teapot
    #[arg(long, value_name = "WORD")]
    init_word: Option<String>,
    /// The adapter file to write (.safetensors)
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How to learn: vico, textual-inversion (the token alone), custom-diffusion (the text
    /// attentions' keys and values and a token) or dreambooth (the whole U-Net, or a LoRA with
    /// --lora-rank) [default: vico]
    #[arg(long, value_name = "NAME")]
    method: Option<String>,
    /// Optimizer steps [default: 400 for vico, 3000 for textual-inversion, 250 for
    /// custom-diffusion, 800 for dreambooth, 500 in a LoRA]
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Samples in one pass [default: 4; 1 for dreambooth]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Passes before each optimizer step [default: 1]
    #[arg(long, value_name = "N")]
    accumulate: Option<usize>,
    /// Width and height of the training pictures, pixels [default: the base's own]
    #[arg(long, value_name = "PIXELS")]
    size: Option<usize>,
    /// Learning rate of the token [default: 0.005; 0.00001 a sample for custom-diffusion]
    #[arg(long, value_name = "RATE")]
    lr_token: Option<f64>,
    /// Learning rate of image attention [default: 0.00001]
    #[arg(long, value_name = "RATE")]
    lr_attention: Option<f64>,
    /// Weight of the regulariser [default: 0.0005]
    #[arg(long, value_name = "WEIGHT")]
    reg_weight: Option<f64>,
    /// Learning rate of the base's weights, or of a LoRA on them [default: 0.00001 a sample for
    /// custom-diffusion, 0.000005 for dreambooth, 0.0001 in a LoRA]
    #[arg(long, value_name = "RATE")]
    lr_weights: Option<f64>,
    /// Learn a LoRA of this rank instead of the whole U-Net (dreambooth) [default without a
    /// number: 4]
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "4")]
    lora_rank: Option<usize>,
    /// The text encoder's weights learn too (dreambooth)
    #[arg(long)]
    train_text_encoder: bool,
    /// A word without much meaning: dreambooth's name for the thing, or what custom-diffusion's
    /// token starts from [default: sks, ktn]
    #[arg(long, value_name = "WORD")]
    rare_word: Option<String>,
    /// Weight of the loss on pictures of the class, which keep the base from forgetting it; 0 for
    /// none [default: 1 for custom-diffusion and dreambooth]
    #[arg(long, value_name = "WEIGHT")]
    prior_weight: Option<f64>,
    /// Pictures of the class that the base draws itself, into the run folder [default: 100]
    #[arg(long, value_name = "N")]
    prior_images: Option<usize>,
    /// Folder of pictures of the class to use instead; with --concept one for each, in order
    #[arg(long, value_name = "DIR")]
    regularization_images: Vec<PathBuf>,
    /// See half of the photos mirrored [default: true for custom-diffusion]
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    flips: Option<bool>,
    /// A further thing to learn at once (custom-diffusion): its photos, placeholder and class
    /// word, e.g. dog-photos:<dog>:dog; may be given several times
    #[arg(long, value_name = "PHOTOS:PLACEHOLDER:WORD")]
    concept: Vec<ConceptPhotos>,
    /// Text that stands for the thing in prompts [default: *]
    #[arg(long, value_name = "TEXT")]
    placeholder: Option<String>,
    /// Vectors of the token: more say more, and take as many places in a prompt [default: 1]
    #[arg(long, value_name = "N")]
    vectors: Option<usize>,
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
    /// Sampling steps of a preview picture [default: 50]
    #[arg(long, value_name = "N")]
    preview_steps: Option<usize>,
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
    #[command(flatten)]
    scores: Scores,
    #[command(flatten)]
    ablations: Ablations,
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
            recipe_file: self.recipe,
            photos,
            base: self.base,
            loras: self.lora,
            init_word: self.init_word,
            concepts: self.concept,
            class_photos: self.regularization_images,
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
                lr_weights: self.lr_weights,
                lora_rank: self.lora_rank,
                train_text_encoder: self.train_text_encoder.then_some(true),
                rare_word: self.rare_word,
                caption: None,
                flips: self.flips,
                prior_weight: self.prior_weight,
                prior_images: self.prior_images,
                placeholder: self.placeholder,
                vectors: self.vectors,
                seed: self.seed,
                vico: self.ablations.options(),
            },
            checkpoint_every: self.checkpoint_every,
            preview_every: self.preview_every,
            preview_at_halves: false,
            preview_prompts: self.preview_prompt,
            preview_steps: self.preview_steps,
            evaluation: self.scores.options(),
            without_photos: self.without_photos,
            untrained: false,
            dry_run: self.dry_run,
        }
    }
}

#[derive(Args)]
struct Mask {
    /// The photo
    photo: PathBuf,
    /// Stable Diffusion 1.x or 2.x: a diffusers folder, one .safetensors or .ckpt file, or an id at the
    /// Hugging Face hub, such as stable-diffusion-v1-5/stable-diffusion-v1-5
    #[arg(long, value_name = "DIR|FILE|ID", default_value = DEFAULT_BASE)]
    base: PathBuf,
    /// LoRA of Stable Diffusion 1.x to merge into the base, with a weight, e.g. style.safetensors:0.8;
    /// may be given several times
    #[arg(long, value_name = "FILE[:WEIGHT]")]
    lora: Vec<LoraFile>,
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
            loras: self.lora,
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
    /// Stable Diffusion 1.x or 2.x: a diffusers folder, one .safetensors or .ckpt file, or an id at the
    /// Hugging Face hub, such as stable-diffusion-v1-5/stable-diffusion-v1-5
    #[arg(long, value_name = "DIR|FILE|ID", default_value = DEFAULT_BASE)]
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
    /// On a graphics card: reserve the memory and compute nothing, to see how much it takes
    #[arg(long)]
    dry_run: bool,
}
