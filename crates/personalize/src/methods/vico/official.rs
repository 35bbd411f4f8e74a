//! The files of ViCo's own program: `embeddings_gs-N.pt` with the token and
//! `cross_attention-N.pt` with image attention, N being the step, side by side
//! in a folder `checkpoints` (arXiv 2306.00971, the authors' repository).

use std::{
    fs,
    path::{Path, PathBuf},
};

use diffusion::{
    Embedding,
    embedding::{STRING_TO_PARAM, STRING_TO_TOKEN},
};
use engine::{
    Device,
    params::{Param, Params},
};
use formats::{Array, TensorFile, Value, write_torch};

use super::TOKEN;
use crate::{Adapter, Error, Result};

const EMBEDDING: &str = "embeddings_gs-";
const ATTENTION: &str = "cross_attention-";
const EXTENSION: &str = ".pt";
const CHECKPOINTS: &str = "checkpoints";
/// What every name in the attention file has in it.
const IMAGE_ATTENTION: &str = ".image_cross_attention.";

/// The two files of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The token; an embedding file of any program will do.
    pub embedding: PathBuf,
    /// Image attention.
    pub attention: PathBuf,
}

/// What the two files hold.
pub struct Official {
    /// The word that stands for the token, if the embedding says so.
    pub word: Option<String>,
    /// Token and image attention under the names of an adapter.
    pub params: Params,
    /// The step in the name of the attention file, if there is one.
    pub step: Option<u64>,
}

impl Files {
    /// The newest pair in a folder or its `checkpoints`.
    ///
    /// # Errors
    /// If there is no pair.
    pub fn newest(folder: &Path) -> Result<Self> {
        let inside = folder.join(CHECKPOINTS);
        let pairs = [folder, &inside].into_iter().flat_map(pairs);
        let newest = pairs.max_by_key(|(step, _)| *step);
        newest.map(|(_, files)| files).ok_or_else(|| Error::Adapter {
            path: folder.to_owned(),
            what: format!(
                "it holds no {EMBEDDING}N{EXTENSION} with {ATTENTION}N{EXTENSION} beside it"
            ),
        })
    }

    /// Two files in any order, told apart by what they hold.
    ///
    /// # Errors
    /// If not exactly one of them holds image attention.
    pub fn of(first: &Path, second: &Path) -> Result<Self> {
        let is_attention = |path: &Path| -> Result<bool> {
            Ok(TensorFile::open(path)?.names().any(|name| name.contains(IMAGE_ATTENTION)))
        };
        let (embedding, attention) = match (is_attention(first)?, is_attention(second)?) {
            (false, true) => (first, second),
            (true, false) => (second, first),
            (both, _) => {
                let which = if both { "both files hold" } else { "none of the files holds" };
                return Err(Error::Adapter {
                    path: first.to_owned(),
                    what: format!(
                        "{which} image attention: name one {EMBEDDING}N{EXTENSION} and one \
                         {ATTENTION}N{EXTENSION}"
                    ),
                });
            }
        };
        Ok(Self { embedding: embedding.to_owned(), attention: attention.to_owned() })
    }
}

/// The pairs of files in a folder, with their steps.
fn pairs(folder: &Path) -> Vec<(u64, Files)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let attentions = entries.map(|entry| entry.path()).filter_map(|p| Some((step(&p)?, p)));
    attentions
        .filter_map(|(step, attention)| {
            let embedding = folder.join(format!("{EMBEDDING}{step}{EXTENSION}"));
            embedding.is_file().then_some((step, Files { embedding, attention }))
        })
        .collect()
}

/// The step in the name of an attention file.
fn step(attention: &Path) -> Option<u64> {
    let name = attention.file_name()?.to_str()?;
    name.strip_prefix(ATTENTION)?.strip_suffix(EXTENSION)?.parse().ok()
}

/// Reads the two files. Whether the weights fit a base model is found out by
/// [`Vico::from_params`](super::Vico::from_params).
///
/// # Errors
/// If a file is none of the two, or holds values that are not finite.
pub fn read(files: &Files, device: &Device) -> Result<Official> {
    let Embedding { word, vectors, width, values } = Embedding::load(&files.embedding)?;
    let file = TensorFile::open(&files.attention)?;
    let mut params = Params::default();
    for name in file.names() {
        let shape = file.info(name)?.shape.clone();
        let values = file.f32(name)?;
        if !values.iter().all(|v| v.is_finite()) {
            return Err(Error::NotFinite {
                tensor: name.to_owned(),
                place: files.attention.display().to_string(),
                advice: "the file is damaged or its training diverged: use an earlier step".into(),
            });
        }
        params.insert(name, Param::new(values, &shape, device));
    }
    params.insert(TOKEN, Param::new(values, &[vectors, width], device));
    Ok(Official { word, params, step: step(&files.attention) })
}

/// Writes an adapter as the two files into `folder/checkpoints`, where the
/// authors' `vico_txt2img.py --ft_path FOLDER --load_step N` looks for them.
/// `word` has the id `token` in CLIP's vocabulary.
///
/// # Errors
/// If the adapter is of another method, or a file cannot be written.
pub fn write(adapter: &Adapter, word: &str, token: u32, folder: &Path) -> Result<Files> {
    let folder = folder.join(CHECKPOINTS);
    let wrong = |what: String| Error::Adapter { path: folder.clone(), what };
    if adapter.info.method != "vico" {
        let method = &adapter.info.method;
        return Err(wrong(format!("ViCo's program has no files for the method \"{method}\"")));
    }
    let variant = adapter.info.recipe.vico;
    if !variant.draws_as_the_paper() {
        let differences = variant.differences().join(", ");
        return Err(wrong(format!("ViCo's program cannot draw with this adapter ({differences})")));
    }
    fs::create_dir_all(&folder).map_err(|e| wrong(format!("cannot be made: {e}")))?;
    let named = |kind: &str| folder.join(format!("{kind}{}{EXTENSION}", adapter.info.step));
    let files = Files { embedding: named(EMBEDDING), attention: named(ATTENTION) };

    let weights: Vec<(&str, &[usize], Vec<f32>)> =
        adapter.params.iter().map(|(name, param)| (name, param.shape(), param.values())).collect();
    let arrays = weights.iter().map(|(name, shape, values)| (*name, Array::f32(shape, values)));
    let (vectors, attention): (Vec<_>, Vec<_>) = arrays.partition(|(name, _)| *name == TOKEN);
    let attention = attention.into_iter();
    let entries = attention.map(|(name, array)| (name.to_owned(), Value::Tensor(array)));
    write_torch(&files.attention, &Value::Dict(entries.collect()))?;

    let id = [i64::from(token)];
    let id = Value::Dict(vec![(word.to_owned(), Value::Tensor(Array::i64(&[], &id)))]);
    let vectors = vectors.into_iter().map(|(_, array)| (word.to_owned(), array)).collect();
    let embedding = Value::Dict(vec![
        (STRING_TO_TOKEN.to_owned(), id),
        (STRING_TO_PARAM.to_owned(), Value::ParameterDict(vectors)),
    ]);
    write_torch(&files.embedding, &embedding)?;
    Ok(files)
}
