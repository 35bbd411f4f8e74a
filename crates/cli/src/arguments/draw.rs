//! Arguments of `vico generate`.

use std::path::PathBuf;

use app::{AdapterFile, DEFAULT_BASE, LoraFile, Rng, generate, repeat};
use clap::Args;

/// Every picture carries its settings inside; picture i has seed + i, whatever
/// the count and batch.
#[derive(Args)]
pub(super) struct Generate {
    /// Prompt with the placeholder, such as "a photo of * on the beach"; (word:1.3), (word), [word]
    /// and BREAK mean what they do in AUTOMATIC1111's program, \( is a bracket
    #[arg(required_unless_present_any = ["from", "prompt_file"])]
    prompt: Option<String>,
    /// Prompts to draw one after the other, one a line; empty lines and those with # are left out.
    /// Each has the same seeds as it has alone
    #[arg(long, value_name = "FILE", conflicts_with = "prompt")]
    prompt_file: Option<PathBuf>,
    /// Draw a picture again: all settings are those it carries, but for what is typed beside it
    #[arg(long, value_name = "PNG")]
    from: Option<PathBuf>,
    /// Stable Diffusion 1.x or 2.x: a diffusers folder, one .safetensors or .ckpt file, or an id at the
    /// Hugging Face hub, such as stable-diffusion-v1-5/stable-diffusion-v1-5
    /// [default: the small model inside the program, toybox]
    #[arg(long, value_name = "DIR|FILE|ID")]
    base: Option<PathBuf>,
    /// LoRA of Stable Diffusion 1.x to merge into the base, with a weight, e.g. style.safetensors:0.8;
    /// may be given several times
    #[arg(long, value_name = "FILE[:WEIGHT]")]
    lora: Vec<LoraFile>,
    /// Adapter file that `vico train` wrote; given several times, several subjects in one picture,
    /// each with its word in the prompt (the adapter's placeholder, or another WORD) and its
    /// reference. Those of the first are its placeholder and --reference. Without one the base
    /// model draws as it is
    #[arg(long, value_name = "FILE[:WORD[:N|PHOTO]]")]
    adapter: Vec<AdapterFile>,
    /// Folder for the pictures, or a .png file for one [default with --from: this folder]
    #[arg(long, short, value_name = "DIR|FILE", required_unless_present = "from")]
    output: Option<PathBuf>,
    /// Photo to draw from: a number of one kept in the adapter, or a file (with PHOTO.mask.png, white
    /// on the object, in place of the automatic mask); may be given several times [default: 0]
    #[arg(long, value_name = "N|PHOTO")]
    reference: Vec<String>,
    /// Extra embedding, used where its file name (without extension) stands in a prompt; a folder
    /// of them; may be given several times
    #[arg(long, value_name = "FILE|DIR")]
    embedding: Vec<PathBuf>,
    /// What not to draw
    #[arg(long, value_name = "PROMPT")]
    negative: Option<String>,
    /// Sampling steps [default: 50]
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// Guidance scale; 1 is none [default: 7.5, on toybox 2.5]
    #[arg(long, value_name = "SCALE", allow_negative_numbers = true)]
    guidance: Option<f64>,
    /// Guidance scale of the reference, with adapters of ViCo: 1 is the method's own; above it the
    /// thing is more like its photo, and the prompt counts for less. The same as --guidance takes
    /// no longer than 1, others half as long again [default: 1, on toybox 1.5]
    #[arg(long, value_name = "SCALE", allow_negative_numbers = true)]
    reference_guidance: Option<f64>,
    /// ddim (timesteps as in ViCo's program), ddim-diffusers, pndm, euler, euler-karras,
    /// euler-leading, euler-a, heun, heun-karras, dpmpp-2m, dpmpp-2m-karras, dpmpp-2m-sde,
    /// dpmpp-2m-sde-karras, unipc, unipc-karras or lcm [default: ddim]
    #[arg(long, value_name = "NAME")]
    sampler: Option<String>,
    /// Fresh noise a step of DDIM, 0 to 1 [default: 0]
    #[arg(long, value_name = "ETA", allow_negative_numbers = true)]
    eta: Option<f64>,
    /// Width in pixels, a multiple of 8 [default: the training's]
    #[arg(long, value_name = "PIXELS")]
    width: Option<usize>,
    /// Height in pixels, a multiple of 8 [default: the training's]
    #[arg(long, value_name = "PIXELS")]
    height: Option<usize>,
    /// Width and height in one
    #[arg(long, value_name = "PIXELS", conflicts_with_all = ["width", "height"])]
    size: Option<usize>,
    /// Seed of the first picture [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Noise as PyTorch draws it on a processor (torch) or on a graphics card (cuda, to repeat pictures
    /// of programs that run there) [default: torch]
    #[arg(long, value_name = "torch|cuda")]
    rng: Option<Rng>,
    /// Number of pictures, of each prompt [default: 1]
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    /// Pictures in one pass: faster, more memory, the same pictures [default: 1]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Draw although the prompt lacks the placeholder (the mask then comes from its end)
    #[arg(long)]
    allow_no_placeholder: bool,
    /// Start from a picture, made to fill the size, instead of noise alone
    #[arg(long, value_name = "FILE", conflicts_with = "init_latents")]
    init_image: Option<PathBuf>,
    /// How much of --init-image may change: the share of the steps that are taken, 0 to 1
    /// [default: 0.8]
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    strength: Option<f64>,
    /// Start from the latents in a safetensors file, [pictures, 4, height/8, width/8]
    #[arg(long, value_name = "FILE")]
    init_latents: Option<PathBuf>,
    /// Write the first and the last latents to a safetensors file
    #[arg(long, value_name = "FILE")]
    save_latents: Option<PathBuf>,
}

impl Generate {
    pub fn options(self) -> app::Result<generate::Options> {
        fn put<T>(typed: Option<T>, into: &mut T) {
            if let Some(value) = typed {
                *into = value;
            }
        }
        let mut options = match &self.from {
            Some(picture) => repeat::options(picture)?,
            None => generate::Options { base: DEFAULT_BASE.into(), ..Default::default() },
        };
        if let Some(recorded) = &mut options.recorded {
            self.name_anew(recorded);
        }
        put(self.prompt, &mut options.prompt);
        options.prompt_file = self.prompt_file;
        put(self.base, &mut options.base);
        put((!self.lora.is_empty()).then_some(self.lora), &mut options.loras);
        if let Some((first, others)) = self.adapter.split_first() {
            if first.word.is_some() || first.reference.is_some() {
                let advice = "the first --adapter is a FILE alone: its word is its placeholder, its \
                              photos are named with --reference";
                return Err(app::Error::Usage(advice.into()));
            }
            options.adapter = Some(first.path.clone());
            options.others = others.to_vec();
        }
        options.output = self.output.unwrap_or_else(|| ".".into());
        put((!self.reference.is_empty()).then_some(self.reference), &mut options.references);
        put((!self.embedding.is_empty()).then_some(self.embedding), &mut options.embeddings);
        put(self.negative, &mut options.negative);
        put(self.steps, &mut options.steps);
        put(self.guidance.map(Some), &mut options.guidance);
        put(self.reference_guidance.map(Some), &mut options.reference_guidance);
        put(self.sampler, &mut options.sampler);
        put(self.eta, &mut options.eta);
        put(self.rng, &mut options.rng);
        put(self.width.or(self.size).map(Some), &mut options.width);
        put(self.height.or(self.size).map(Some), &mut options.height);
        put(self.seed, &mut options.seed);
        put(self.count.map(Some), &mut options.count);
        put(self.batch, &mut options.batch);
        options.allow_no_placeholder |= self.allow_no_placeholder;
        if self.init_latents.is_some() {
            (options.init_latents, options.init_row) = (self.init_latents, 0);
            options.init_image = None;
        }
        if self.init_image.is_some() {
            (options.init_image, options.init_latents) = (self.init_image, None);
        }
        if self.strength.is_some() && options.init_image.is_none() {
            let advice = "--strength says how much of a picture may change: add --init-image FILE";
            return Err(app::Error::Usage(advice.into()));
        }
        put(self.strength, &mut options.strength);
        options.save_latents = self.save_latents;
        Ok(options)
    }

    /// What is typed need not be what a picture was drawn with.
    fn name_anew(&self, recorded: &mut repeat::Recorded) {
        if self.base.is_some() || !self.lora.is_empty() {
            recorded.base = None;
        }
        let photos: Vec<PathBuf> = self.reference.iter().map(PathBuf::from).collect();
        let adapters = self.adapter.iter().map(|adapter| &adapter.path);
        let typed = [&self.init_image, &self.init_latents].into_iter().flatten();
        let typed = typed.chain(&self.embedding).chain(&photos).chain(adapters);
        typed.for_each(|path| recorded.forgive(path));
    }
}
