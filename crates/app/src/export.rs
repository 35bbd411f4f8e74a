//! `vico export`: adapters and embeddings for other programs.

use std::{path::PathBuf, str::FromStr};

use diffusion::{Embedding, EmbeddingFormat, Tokenizer, lora::write_kohya};
use formats::TensorFile;
use personalize::{
    Adapter,
    methods::{
        custom_diffusion, dreambooth,
        vico::{TOKEN, official},
    },
};

use crate::{Compute, Error, Events, Result};

/// What was typed.
#[derive(Clone, Debug)]
pub struct Options {
    /// An adapter, or an embedding of any program.
    pub input: PathBuf,
    /// For which program.
    pub format: Format,
    /// The word that the other program shall know; the placeholder if not given.
    pub word: Option<String>,
    /// The file to write; a folder for ViCo's own program.
    pub output: PathBuf,
}

/// A program that reads what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// ViCo's own: token and image attention.
    VicoOfficial,
    /// diffusers' files of Custom Diffusion: projections and tokens.
    CustomDiffusion,
    /// A LoRA as kohya's program writes it.
    KohyaLora,
    /// The token alone, as an embedding.
    Embedding(EmbeddingFormat),
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "vico-official" => Ok(Self::VicoOfficial),
            "custom-diffusion" => Ok(Self::CustomDiffusion),
            "kohya-lora" => Ok(Self::KohyaLora),
            _ => name.parse().map(Self::Embedding).map_err(|_| {
                Error::Usage(format!(
                    "--format is {name}, expected vico-official, custom-diffusion, kohya-lora, \
                     diffusers, kohya or a1111"
                ))
            }),
        }
    }
}

/// Words of CLIP's vocabulary are looked up in a prompt of the usual length.
const POSITIONS: usize = 77;

/// Writes an adapter or embedding in another program's format.
pub fn run(options: &Options, compute: &Compute, events: &mut dyn Events) -> Result<()> {
    let is_adapter = TensorFile::open(&options.input)?.metadata().contains_key("vico.format");
    let load = || Adapter::load(&options.input, compute.device());
    match options.format {
        Format::VicoOfficial => official_files(&load()?, options, events),
        Format::CustomDiffusion => custom_diffusion_files(&load()?, options, events),
        Format::KohyaLora => lora(&load()?, options, events),
        Format::Embedding(format) if is_adapter => {
            let adapter = load()?;
            let word = options.word.as_deref().unwrap_or(&adapter.info.placeholder);
            events.note(
                "only the learned token is exported; image attention stays in the adapter, so \
                 that other programs draw the thing less faithfully",
            );
            save(&token(&adapter, options)?, word, format, options, events)
        }
        Format::Embedding(format) => {
            let embedding = Embedding::load(&options.input)?;
            let stem = options.input.file_stem().unwrap_or_default().to_string_lossy();
            let word = options.word.as_deref().or(embedding.word.as_deref()).unwrap_or(&stem);
            save(&embedding, word, format, options, events)
        }
    }
}

fn official_files(adapter: &Adapter, options: &Options, events: &mut dyn Events) -> Result<()> {
    let word = options.word.as_deref().unwrap_or(&adapter.info.placeholder);
    let id = Tokenizer::clip(POSITIONS)?.single(word).map_err(|_| {
        Error::Usage(format!(
            "\"{word}\" is not one token of CLIP's vocabulary, which ViCo's own program needs: \
             name another with --word, such as *"
        ))
    })?;
    let files = official::write(adapter, word, id, &options.output)?;
    events.wrote(&files.embedding);
    events.wrote(&files.attention);
    Ok(())
}

fn custom_diffusion_files(
    adapter: &Adapter,
    options: &Options,
    events: &mut dyn Events,
) -> Result<()> {
    let own = options.word.as_ref().unwrap_or(&adapter.info.placeholder);
    let further = adapter.info.recipe.concepts.iter().map(|concept| &concept.placeholder);
    let words: Vec<String> = [own].into_iter().chain(further).cloned().collect();
    let files = custom_diffusion::export::write(adapter, &words, &options.output)?;
    files.iter().for_each(|file| events.wrote(file));
    Ok(())
}

fn lora(adapter: &Adapter, options: &Options, events: &mut dyn Events) -> Result<()> {
    let factors = dreambooth::factors(&adapter.params).ok_or_else(|| {
        Error::path(&options.input, "holds no LoRA: train with --method dreambooth --lora-rank 4")
    })?;
    write_kohya(&options.output, &factors)?;
    events.wrote(&options.output);
    let name = dreambooth::words(&adapter.info.recipe);
    events.note(format!("in prompts the thing is called \"{name}\""));
    Ok(())
}

/// The learned token of an adapter.
fn token(adapter: &Adapter, options: &Options) -> Result<Embedding> {
    let param = adapter.params.get(TOKEN);
    let Some((param, &[vectors, width])) = param.and_then(|p| Some((p, p.shape().first_chunk()?)))
    else {
        return Err(Error::path(&options.input, "holds no learned token to export"));
    };
    Ok(Embedding { word: None, vectors, width, values: param.values() })
}

fn save(
    embedding: &Embedding,
    word: &str,
    format: EmbeddingFormat,
    options: &Options,
    events: &mut dyn Events,
) -> Result<()> {
    let known = Tokenizer::clip(POSITIONS)?.single(word).is_ok();
    if format == EmbeddingFormat::Diffusers && known {
        events.warning(format!(
            "diffusers refuses to learn a word that CLIP's vocabulary has (\"{word}\"): pass \
             token=\"<thing>\" to its load_textual_inversion, or export with --word \"<thing>\""
        ));
    }
    embedding.save(&options.output, word, format)?;
    events.wrote(&options.output);
    Ok(())
}
