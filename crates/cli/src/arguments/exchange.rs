//! Models, adapters and embeddings from elsewhere, and for others.

use std::path::PathBuf;

use app::{export, hub::Id, import};
use clap::{Args, Subcommand};

/// The cache is the one that other programs share: HF_HOME or HF_HUB_CACHE say
/// where it is, HF_TOKEN opens models with terms, HF_ENDPOINT names another hub,
/// HF_HUB_OFFLINE=1 fetches nothing.
#[derive(Subcommand)]
pub enum Models {
    /// Fetch a model, or what changed of it; only the files that are needed
    Pull {
        /// OWNER/NAME, OWNER/NAME@REVISION, or OWNER/NAME/FILE for one file
        id: Id,
    },
    /// List the models in the cache
    List,
}

/// The files do not say which model, class word and photos they are of: --base
/// is checked to fit, the others may be told.
#[derive(Args)]
pub struct Import {
    /// Folder with embeddings_gs-N.pt and cross_attention-N.pt (the newest are taken), or the two
    #[arg(required = true, num_args = 1..=2, value_name = "DIR|FILE")]
    files: Vec<PathBuf>,
    /// Stable Diffusion 1.x or 2.x: a diffusers folder, one .safetensors or .ckpt file, or an id at the
    /// Hugging Face hub, such as stable-diffusion-v1-5/stable-diffusion-v1-5
    #[arg(long, value_name = "DIR|FILE|ID")]
    base: PathBuf,
    /// The adapter file to write (.safetensors)
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Folder of photos to keep in the adapter; without it generate needs --reference
    #[arg(long, value_name = "DIR")]
    photos: Option<PathBuf>,
    /// Class word the token started from
    #[arg(long, value_name = "WORD")]
    init_word: Option<String>,
    /// Text that stands for the thing in prompts [default: the file's own, else *]
    #[arg(long, value_name = "TEXT")]
    placeholder: Option<String>,
    /// Width and height of the pictures, pixels [default: the base's own]
    #[arg(long, value_name = "PIXELS")]
    size: Option<usize>,
}

impl Import {
    pub fn options(self) -> import::Options {
        import::Options {
            files: self.files,
            base: self.base,
            photos: self.photos,
            init_word: self.init_word,
            placeholder: self.placeholder,
            size: self.size,
            output: self.output,
        }
    }
}

/// vico-official writes token and image attention for the authors' program,
/// custom-diffusion projections and tokens for diffusers, kohya-lora a LoRA; the
/// others the token alone, as a textual-inversion embedding.
#[derive(Args)]
pub struct Export {
    /// Adapter, or an embedding of any program
    input: PathBuf,
    /// vico-official, custom-diffusion, kohya-lora, diffusers, kohya or a1111
    #[arg(long, value_name = "NAME")]
    format: export::Format,
    /// The file to write: .safetensors, .pt or .bin; a folder for vico-official and
    /// custom-diffusion
    #[arg(long, short, value_name = "FILE|DIR")]
    output: PathBuf,
    /// Word under which the other program knows it [default: the placeholder]
    #[arg(long, value_name = "TEXT")]
    word: Option<String>,
}

impl Export {
    pub fn options(self) -> export::Options {
        let Self { input, format, word, output } = self;
        export::Options { input, format, word, output }
    }
}
