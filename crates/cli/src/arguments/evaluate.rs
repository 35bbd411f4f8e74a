//! What `vico evaluate` is asked.

use std::path::PathBuf;

use app::{
    DEFAULT_BASE, LoraFile,
    evaluate::{Convention, Drawing, Options, Pictures},
    generate,
};
use clap::{ArgGroup, Args};

/// I_CLIP and I_DINO are the likeness to the photos, T_CLIP that to the prompts. The pictures
/// are those of a folder, or are drawn with an adapter first. A report of them, report.html,
/// with the numbers in scores.json and scores.csv, goes into the folder --output.
#[derive(Args)]
#[command(group = ArgGroup::new("pictures").required(true).args(["images", "adapter"]))]
pub struct Evaluate {
    /// Folder of pictures, or of a folder for each prompt; pictures that vico drew tell their
    /// prompts, others have that of --prompt or the name of their folder
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// Adapter to draw pictures with, which go into the folder --output too; those that are there
    /// are not drawn again
    #[arg(long, value_name = "FILE", requires = "prompts")]
    adapter: Option<PathBuf>,
    /// Folder of the photos that the thing was learned from
    #[arg(long, value_name = "DIR")]
    photos: PathBuf,
    /// CLIP: a folder, a file (Hugging Face's or OpenAI's), an id at the hub, such as
    /// openai/clip-vit-base-patch32, or toybox, the one inside the program [default for pictures of
    /// toybox, without --dino: toybox]
    #[arg(long, value_name = "DIR|FILE|ID")]
    clip: Option<PathBuf>,
    /// DINO or DINOv2: a folder, a file (Hugging Face's or facebookresearch's), an id at the
    /// hub, such as facebook/dino-vits16, or toybox, a vision transformer inside the program
    /// [default for pictures of toybox, without --clip: toybox]
    #[arg(long, value_name = "DIR|FILE|ID")]
    dino: Option<PathBuf>,
    /// What of a prompt T_CLIP compares with: omit leaves the thing out as ViCo does, class puts
    /// its class word there as DreamBench does; the two cannot be compared
    #[arg(long, value_name = "omit|class", default_value = "omit")]
    convention: Convention,
    /// Class word of the thing [default: the one its training started from]
    #[arg(long, value_name = "WORD")]
    class_word: Option<String>,
    /// Name of the thing in the report [default: the name of the photos' folder]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Folder for the report
    #[arg(long, short, value_name = "DIR", default_value = "evaluation")]
    output: PathBuf,
    /// Prompt of all pictures of --images
    #[arg(long, value_name = "PROMPT", conflicts_with = "adapter")]
    prompt: Option<String>,
    /// Text that stands for the thing in prompts [default: as the pictures tell, or *]
    #[arg(long, value_name = "TEXT", conflicts_with = "adapter")]
    placeholder: Option<String>,
    /// Prompts to draw: vico-objects, vico-live, dreambench-objects, dreambench-live, or a file
    /// with one a line, {} where the thing goes
    #[arg(long, value_name = "SET|FILE", requires = "adapter")]
    prompts: Option<PathBuf>,
    /// Pictures of each prompt [default: 4]
    #[arg(long, value_name = "N", requires = "adapter")]
    samples: Option<usize>,
    /// Stable Diffusion 1.x to draw with: a diffusers folder, one .safetensors or .ckpt file, or
    /// an id at the Hugging Face hub [default: the small model inside the program, toybox]
    #[arg(long, value_name = "DIR|FILE|ID", requires = "adapter")]
    base: Option<PathBuf>,
    /// LoRA to merge into the base, with a weight; may be given several times
    #[arg(long, value_name = "FILE[:WEIGHT]", requires = "adapter")]
    lora: Vec<LoraFile>,
    /// Photo to draw from: a number of one kept in the adapter, or a file; may be given several times
    /// [default: 0]
    #[arg(long, value_name = "N|PHOTO", requires = "adapter")]
    reference: Vec<String>,
    /// Sampling steps [default: 50]
    #[arg(long, value_name = "N", requires = "adapter")]
    steps: Option<usize>,
    /// Guidance scale [default: 7.5, on toybox 2.5]
    #[arg(long, value_name = "SCALE", requires = "adapter")]
    guidance: Option<f64>,
    /// Guidance scale of the reference, with adapters of ViCo [default: 1, on toybox 1.5]
    #[arg(long, value_name = "SCALE", requires = "adapter")]
    reference_guidance: Option<f64>,
    /// Sampler, as `vico generate` names them [default: ddim]
    #[arg(long, value_name = "NAME", requires = "adapter")]
    sampler: Option<String>,
    /// Width and height in pixels [default: the training's]
    #[arg(long, value_name = "PIXELS", requires = "adapter")]
    size: Option<usize>,
    /// Seed of the first picture of each prompt [default: 0]
    #[arg(long, value_name = "N", requires = "adapter")]
    seed: Option<u64>,
    /// Pictures in one pass [default: 1]
    #[arg(long, value_name = "N", requires = "adapter")]
    batch: Option<usize>,
}

/// Pictures of each prompt, as DreamBench has it.
const SAMPLES: usize = 4;

impl Evaluate {
    pub fn options(self) -> Options {
        let Self { images, adapter, prompt, placeholder, prompts, .. } = self;
        let pictures = match (images, adapter, prompts) {
            (None, Some(adapter), Some(prompts)) => {
                let default = generate::Options::default();
                let options = generate::Options {
                    base: self.base.unwrap_or_else(|| DEFAULT_BASE.into()),
                    loras: self.lora,
                    adapter: Some(adapter),
                    references: self.reference,
                    steps: self.steps.unwrap_or(default.steps),
                    guidance: self.guidance,
                    reference_guidance: self.reference_guidance,
                    sampler: self.sampler.unwrap_or(default.sampler.clone()),
                    width: self.size,
                    height: self.size,
                    seed: self.seed.unwrap_or(default.seed),
                    batch: self.batch.unwrap_or(default.batch),
                    ..default
                };
                let samples = self.samples.unwrap_or(SAMPLES);
                Pictures::Drawn(Box::new(Drawing { options, prompts, samples }))
            }
            (images, ..) => {
                let folder = images.unwrap_or_default();
                Pictures::Folder { folder, prompt, placeholder }
            }
        };
        Options {
            photos: self.photos,
            pictures,
            clip: self.clip,
            dino: self.dino,
            convention: self.convention,
            class_word: self.class_word,
            name: self.name,
            output: self.output,
        }
    }
}
