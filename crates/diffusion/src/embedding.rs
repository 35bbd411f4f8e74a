//! Textual-inversion embeddings: learned vectors that stand for a word.
//!
//! | program | file | tensors |
//! |---|---|---|
//! | diffusers | `learned_embeds.safetensors`, `.bin` | one, named by its word: `[vectors, width]` or `[width]` |
//! | kohya's sd-scripts | `.safetensors`, `.pt` | `emb_params [vectors, width]` |
//! | AUTOMATIC1111 | `.pt` | `string_to_param`, a dictionary with one tensor; all before too |
//! | Textual Inversion, ViCo | `embeddings_gs-N.pt` | `string_to_param`, a `ParameterDict` of the words |

use std::{collections::BTreeMap, path::Path, str::FromStr};

use formats::{Array, TensorFile, Value, write_safetensors, write_torch};

use crate::{Error, Result};

/// Where AUTOMATIC1111 and Textual Inversion keep the vectors, by word.
pub const STRING_TO_PARAM: &str = "string_to_param";
/// Where they keep the words' token ids.
pub const STRING_TO_TOKEN: &str = "string_to_token";
const EMB_PARAMS: &str = "emb_params";

/// The most vectors of an embedding: as many as a prompt of CLIP has room for.
const MOST_VECTORS: usize = 75;

/// The most values of one vector.
const MOST_WIDTH: usize = 1 << 16;

/// An embedding in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// The word that the file itself gives it, if it does.
    pub word: Option<String>,
    /// Number of vectors.
    pub vectors: usize,
    /// Values of a vector: the text encoder's width.
    pub width: usize,
    /// `[vectors, width]`, row-major.
    pub values: Vec<f32>,
}

/// A kind of file that an embedding is written as. The extension of the path
/// decides between safetensors (`.safetensors`) and a pickle (`.bin`, `.pt`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmbeddingFormat {
    /// diffusers' `learned_embeds`.
    Diffusers,
    /// kohya's `emb_params`, which AUTOMATIC1111 and ComfyUI read too.
    Kohya,
    /// AUTOMATIC1111's own, which is kohya's as safetensors.
    Automatic1111,
}

impl FromStr for EmbeddingFormat {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "diffusers" => Ok(Self::Diffusers),
            "kohya" => Ok(Self::Kohya),
            "a1111" => Ok(Self::Automatic1111),
            _ => Err(Error::Format(name.to_owned())),
        }
    }
}

impl Embedding {
    /// Reads an embedding of any of the programs above.
    ///
    /// # Errors
    /// If the file is none, holds several words or the embedding of another
    /// model (SDXL), or its values are not finite.
    pub fn load(path: &Path) -> Result<Self> {
        let file = TensorFile::open(path)?;
        let wrong = |what: String| Error::Unsupported { path: path.to_owned(), what };
        let (name, word) = locate(&file).map_err(wrong)?;
        let info = file.info(&name)?;
        let (vectors, width) = match info.shape[..] {
            [width] => (1, width),
            [vectors, width] => (vectors, width),
            _ => (0, 0),
        };
        let fits = (1..=MOST_VECTORS).contains(&vectors) && (1..=MOST_WIDTH).contains(&width);
        if info.dtype.is_integer() || !fits {
            return Err(wrong(format!(
                "`{name}` is {} of shape {:?}, an embedding has 1 to {MOST_VECTORS} vectors of \
                 the text encoder's width",
                info.dtype, info.shape
            )));
        }
        let values = file.f32(&name)?;
        if !values.iter().all(|v| v.is_finite()) {
            return Err(Error::NotFinite {
                tensor: name,
                place: path.display().to_string(),
                advice: "the file is damaged or its training diverged: get it anew".into(),
            });
        }
        Ok(Self { word, vectors, width, values })
    }

    /// Writes the embedding for another program, whole or not at all.
    ///
    /// # Errors
    /// If the extension is none that the program reads, or the file cannot be
    /// written.
    pub fn save(&self, path: &Path, word: &str, format: EmbeddingFormat) -> Result<()> {
        let array = Array::f32(&[self.vectors, self.width], &self.values);
        let name = match format {
            EmbeddingFormat::Diffusers => word,
            _ => EMB_PARAMS,
        };
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        match (extension.as_deref(), format) {
            (Some("safetensors"), _) => {
                let arrays = BTreeMap::from([(name.to_owned(), array)]);
                // Programs that read such a file ask for the framework it came from.
                let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
                write_safetensors(path, &arrays, &metadata)?;
            }
            (Some("pt" | "bin"), EmbeddingFormat::Automatic1111) => {
                write_torch(path, &automatic1111(word, array))?;
            }
            (Some("pt" | "bin"), _) => {
                write_torch(path, &Value::Dict(vec![(name.to_owned(), Value::Tensor(array))]))?;
            }
            _ => return Err(Error::Extension { path: path.to_owned() }),
        }
        Ok(())
    }
}

/// What AUTOMATIC1111 saves: the word is always `*` and its id 265, whatever
/// the embedding is called.
fn automatic1111<'a>(word: &str, array: Array<'a>) -> Value<'a> {
    let entry = |key: &str, value| (key.to_owned(), value);
    Value::Dict(vec![
        entry(STRING_TO_TOKEN, Value::Dict(vec![entry("*", Value::Int(265))])),
        entry(STRING_TO_PARAM, Value::Dict(vec![entry("*", Value::Tensor(array))])),
        entry("name", Value::Text(word.to_owned())),
        entry("step", Value::Int(0)),
        entry("sd_checkpoint", Value::None),
        entry("sd_checkpoint_name", Value::None),
    ])
}

/// The name of the tensor and its word, or what the file is instead.
fn locate(file: &TensorFile) -> std::result::Result<(String, Option<String>), String> {
    let some = |part: &str| file.names().any(|name| name.contains(part));
    let names: Vec<&str> = file.names().collect();
    let inside = format!("{STRING_TO_PARAM}.");
    let words: Vec<&str> = names.iter().filter_map(|name| name.strip_prefix(&inside)).collect();
    match (&words[..], &names[..]) {
        ([word], _) => return Ok((format!("{inside}{word}"), Some((*word).to_owned()))),
        ([], _) => {}
        (many, _) => {
            let many = many.join("\", \"");
            return Err(format!("it holds the embeddings of several words (\"{many}\")"));
        }
    }
    if file.metadata().contains_key("vico.format") {
        return Err("it is a vico adapter, not an embedding: give it to --adapter, or make an \
                    embedding of it with `vico export`"
            .into());
    }
    if file.contains(EMB_PARAMS) {
        return Ok((EMB_PARAMS.into(), None));
    }
    if file.contains("clip_g") || file.contains("clip_l") {
        return Err("it is an embedding for Stable Diffusion XL".into());
    }
    if some("lora_") || some(".lora") {
        return Err("it is a LoRA, not an embedding: give it to --lora".into());
    }
    match names[..] {
        [only] => Ok((only.to_owned(), Some(only.to_owned()))),
        _ => Err(format!(
            "it is no textual-inversion embedding: it holds {} tensors, expected one",
            names.len()
        )),
    }
}
