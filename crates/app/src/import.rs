//! `vico import`: ViCo's released checkpoints as an adapter.

use std::path::{Path, PathBuf};

use images::read_folder;
use personalize::{
    Adapter, Recipe,
    adapter::{Info, Photo},
    dataset::Encoded,
    methods::vico::{
        TOKEN, Vico,
        official::{self, Files},
    },
};

use crate::{Compute, Error, Events, Result, VERSION, adapter_file::masked, lora::open_base};

/// What was typed.
#[derive(Clone, Debug)]
pub struct Options {
    /// A folder with the two files, or the files.
    pub files: Vec<PathBuf>,
    /// Base model they were trained on.
    pub base: PathBuf,
    /// Folder of photos to keep in the adapter.
    pub photos: Option<PathBuf>,
    /// Class word the token started from, if it is known.
    pub init_word: Option<String>,
    /// Text that stands for the token; the file's own if not given.
    pub placeholder: Option<String>,
    /// Picture side; the base's own if not given.
    pub size: Option<usize>,
    /// The adapter file to write.
    pub output: PathBuf,
}

/// Makes an adapter of ViCo's two files.
pub fn run(options: &Options, compute: &Compute, events: &mut dyn Events) -> Result<()> {
    let device = compute.device();
    let files = match &options.files[..] {
        [folder] if folder.is_dir() => Files::newest(folder)?,
        [first, second] => Files::of(first, second)?,
        _ => {
            let advice = "name a folder with embeddings_gs-N.pt and cross_attention-N.pt, or the \
                          two files";
            return Err(Error::Usage(advice.into()));
        }
    };
    events.note(format!("{} with {}", files.attention.display(), files.embedding.display()));
    let base = open_base(compute, &options.base, &[], events)?;
    let found = official::read(&files, device)?;
    let recipe = recipe(options, found.word, base.default_size())?;
    base.check_size(recipe.size, recipe.size)?;
    let sites = diffusion::unet::sites(&base.configs().unet);
    let width = base.configs().text.hidden_size;
    let params = found.params;
    let vectors = params.get(TOKEN).map_or(1, |token| token.shape()[0]);
    let recipe = Recipe { vectors, ..recipe };
    Vico::from_params(&sites, width, params.clone(), (recipe.rates(), recipe.vico))?;

    let photos = match &options.photos {
        Some(folder) => photos(folder, &base, recipe.size, compute, events)?,
        None => {
            events.note(
                "no photos are kept in the adapter: `vico generate` needs --reference PHOTO, or \
                 import with --photos FOLDER",
            );
            Vec::new()
        }
    };
    events.note(
        "the files do not say by which recipe they were trained: the adapter notes the paper's",
    );
    let info = Info {
        method: recipe.method.clone(),
        placeholder: recipe.placeholder.clone(),
        init_word: recipe.init_word.clone(),
        base_name: base.name(),
        base_fingerprint: base.fingerprint()?,
        step: found.step.unwrap_or(recipe.steps),
        recipe,
        version: VERSION.into(),
    };
    Adapter { info, params, photos }.save(&options.output)?;
    events.wrote(&options.output);
    Ok(())
}

/// The paper's recipe with what is known.
fn recipe(options: &Options, word: Option<String>, size: usize) -> Result<Recipe> {
    let init_word = options.init_word.as_deref().unwrap_or_default();
    let mut recipe = Recipe::vico(init_word, options.size.unwrap_or(size));
    if let Some(word) = options.placeholder.clone().or(word) {
        recipe.placeholder = word;
    }
    recipe.check()?;
    Ok(recipe)
}

/// The photos of a folder as an adapter keeps them.
fn photos(
    folder: &Path,
    base: &diffusion::Base,
    size: usize,
    compute: &Compute,
    events: &mut dyn Events,
) -> Result<Vec<Photo>> {
    let folder = read_folder(folder)?;
    for (path, reason) in &folder.skipped {
        events.note(format!("skipped {}: {reason}", path.display()));
    }
    events.stage("encoding the photos");
    let (vae, scale) = (base.vae_encoder()?, base.configs().vae.scaling_factor);
    let encode = |(path, photo): &(PathBuf, images::Picture)| {
        let encoded = Encoded::new(path, photo, (size, size), &vae, scale, compute.device());
        Ok(Photo::new(&masked(encoded, photo)?))
    };
    folder.photos.iter().map(encode).collect()
}
