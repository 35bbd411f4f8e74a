//! Custom Diffusion's files as diffusers writes and reads them: a LoRA-like set of
//! weights for `load_attn_procs`, and an embedding a concept for `load_textual_inversion`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use diffusion::{Embedding, EmbeddingFormat};
use formats::{Array, write_safetensors};

use super::{TOKEN, UNET};
use crate::{Adapter, Error, Result};

/// diffusers' name of the weights.
pub const WEIGHTS: &str = "pytorch_custom_diffusion_weights.safetensors";

/// Writes a folder; the words are those of the concepts, in order. Answers the files.
///
/// # Errors
/// If the adapter holds no Custom Diffusion, a word cannot be a file name, or a file
/// cannot be written.
pub fn write(adapter: &Adapter, words: &[String], folder: &Path) -> Result<Vec<PathBuf>> {
    let wrong = |what: &str| Error::Adapter { path: folder.to_owned(), what: what.to_owned() };
    if adapter.info.method != "custom-diffusion" {
        return Err(wrong("only what Custom Diffusion learned can be written so"));
    }
    let unfit = |word: &&String| word.contains(['/', '\\', ':', '\0']) || word.starts_with('.');
    if let Some(word) = words.iter().find(unfit) {
        return Err(Error::Setting {
            option: "--word".into(),
            found: word.clone(),
            expected: "a word that can be a file name, such as <new1>".into(),
        });
    }
    fs::create_dir_all(folder).map_err(|e| wrong(&e.to_string()))?;
    let mut files = vec![folder.join(WEIGHTS)];
    weights(adapter, &files[0])?;
    let token = adapter.params.get(TOKEN).ok_or_else(|| wrong("the adapter holds no token"))?;
    let (&[rows, width], values) = (token.shape(), token.values()) else {
        return Err(wrong("the adapter's token is no table of vectors"));
    };
    let vectors = rows / words.len();
    for (word, values) in words.iter().zip(values.chunks(vectors * width)) {
        let embedding = Embedding { word: None, vectors, width, values: values.to_vec() };
        let path = folder.join(format!("{word}.bin"));
        embedding.save(&path, word, EmbeddingFormat::Diffusers)?;
        files.push(path);
    }
    Ok(files)
}

fn weights(adapter: &Adapter, path: &Path) -> Result<()> {
    let values: Vec<(String, Vec<usize>, Vec<f32>)> = adapter
        .params
        .iter()
        .filter_map(|(name, param)| {
            let name = name.strip_prefix(UNET)?.replace(".attn2.", ".attn2.processor.");
            let name = name.replace(".weight", "_custom_diffusion.weight");
            Some((name, param.shape().to_vec(), param.values()))
        })
        .collect();
    let mut arrays: BTreeMap<String, Array> = values
        .iter()
        .map(|(name, shape, values)| (name.clone(), Array::f32(shape, values)))
        .collect();
    // diffusers wants a processor for every attention; one without values leaves it alone.
    let blocks = values.iter().filter_map(|(name, ..)| name.split_once(".attn2.processor."));
    for (block, _) in blocks {
        arrays.insert(format!("{block}.attn1.processor"), Array::f32(&[0], &[]));
    }
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    Ok(write_safetensors(path, &arrays, &metadata)?)
}
