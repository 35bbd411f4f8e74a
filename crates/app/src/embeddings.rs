//! Extra embeddings in prompts, known by the names of their files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use diffusion::{Base, Embedding, Tokenizer, text::TextEncoder, tokenizer::mentions};

use crate::{Error, Events, Result};

/// Extensions that embeddings have in a folder.
const EXTENSIONS: [&str; 3] = ["safetensors", "pt", "bin"];

/// An embedding and the word it is known by.
pub(crate) struct Extra {
    pub word: String,
    pub path: PathBuf,
    pub embedding: Embedding,
}

/// The extra embeddings of a job.
pub(crate) struct Extras(pub Vec<Extra>);

impl Extras {
    /// Reads the files that were named, and those of a folder whose names stand
    /// in one of the `texts` of the prompts: a folder may hold embeddings of other models.
    ///
    /// # Errors
    /// If a file is no embedding or for another text encoder, or two have one
    /// name, or a name holds the placeholder.
    pub fn load(
        named: &[PathBuf],
        texts: &[String],
        placeholder: Option<&str>,
        base: &Base,
        events: &mut dyn Events,
    ) -> Result<Self> {
        let mentioned = |path: &PathBuf| {
            let word = word(path);
            texts.iter().any(|text| mentions(text, &word))
        };
        let mut all: Vec<Extra> = Vec::new();
        for named in named {
            let paths = match named.is_dir() {
                true => files(named)?.into_iter().filter(mentioned).collect(),
                false => vec![named.clone()],
            };
            for path in paths {
                if !mentioned(&path) {
                    let word = word(&path);
                    events.warning(format!("the embedding \"{word}\" stands in no prompt"));
                }
                all.push(Extra::load(path, placeholder, base)?);
            }
        }
        all.iter().enumerate().try_for_each(|(i, extra)| extra.unlike(&all[..i]))?;
        Ok(Self(all))
    }

    /// Their files.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.0.iter().map(|extra| extra.path.clone()).collect()
    }

    /// Makes their words known.
    pub fn teach(&self, tokenizer: &mut Tokenizer, text: &mut TextEncoder) {
        for Extra { word, embedding, .. } in &self.0 {
            tokenizer.add_word(word, text.add_tokens(embedding.values.clone()));
        }
    }
}

impl Extra {
    fn load(path: PathBuf, placeholder: Option<&str>, base: &Base) -> Result<Self> {
        let word = word(&path);
        if let Some(placeholder) = placeholder.filter(|text| word.contains(text)) {
            return Err(Error::Usage(format!(
                "the name of {} holds the placeholder \"{placeholder}\": rename it",
                path.display()
            )));
        }
        let embedding = Embedding::load(&path)?;
        let width = base.configs().text.hidden_size;
        if embedding.width != width {
            return Err(Error::path(
                path,
                format!(
                    "its vectors are {} wide, the text encoder's {width}: it was made for \
                     another kind of model",
                    embedding.width
                ),
            ));
        }
        Ok(Self { word, path, embedding })
    }

    /// Refuses a word that another embedding has.
    fn unlike(&self, others: &[Self]) -> Result<()> {
        let same = |other: &&Self| other.word.eq_ignore_ascii_case(&self.word);
        let Some(other) = others.iter().find(same) else { return Ok(()) };
        let (first, second) = (other.path.display(), self.path.display());
        Err(Error::Usage(format!(
            "two embeddings have the same name, {first} and {second}: rename one"
        )))
    }
}

/// The word by which an embedding is known.
fn word(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Files in a folder that may be embeddings, by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|e| Error::path(folder, e))?;
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
            path.is_file() && extension.is_some_and(|e| EXTENSIONS.contains(&e.as_str()))
        })
        .collect();
    paths.sort();
    Ok(paths)
}
