//! Further subjects of a picture, each with an adapter of its own.

use std::{path::PathBuf, str::FromStr};

use diffusion::{Base, Tokenizer, WeightedPrompt, text::TextEncoder, unet::Site};
use engine::Device;
use personalize::{
    Adapter, Reference as Photo,
    methods::vico::{Vico, several::Other},
};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Events, Result,
    adapter_file::{self, Reference},
};

/// What stands between the parts of what is typed.
const SEPARATOR: char = ':';

/// An adapter as it is typed: `FILE`, `FILE:WORD` or `FILE:WORD:REFERENCE`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct AdapterFile {
    /// The file.
    pub path: PathBuf,
    /// The word that stands for its subject; the adapter's own placeholder if not given.
    pub word: Option<String>,
    /// Its reference photo; the first one kept in it if not given.
    pub reference: Option<String>,
}

impl FromStr for AdapterFile {
    /// There is no text that is none.
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        // A path may hold the separator itself, as those of Windows do.
        if PathBuf::from(text).exists() {
            return Ok(Self { path: text.into(), ..Self::default() });
        }
        let start = text.find(".safetensors").unwrap_or(0);
        let mut parts = text[start..].splitn(3, SEPARATOR);
        let end = start + parts.next().map_or(0, str::len);
        let mut part = || parts.next().filter(|part| !part.is_empty()).map(str::to_owned);
        Ok(Self { path: text[..end].into(), word: part(), reference: part() })
    }
}

impl AdapterFile {
    /// Its reference, if that is a photo on disk.
    pub fn photo(&self) -> Option<PathBuf> {
        match Reference::parse(self.reference.as_deref()?) {
            Reference::Photo(path) => Some(path),
            Reference::Kept(_) => None,
        }
    }

    /// Its word, which must be told from those that are known already.
    fn word_beside<'a>(
        &self,
        adapter: &Adapter,
        mut known: impl Iterator<Item = &'a str>,
    ) -> Result<String> {
        let word = self.word.as_ref().unwrap_or(&adapter.info.placeholder);
        match known.find(|other| alike(word, other)) {
            None => Ok(word.clone()),
            Some(other) => Err(Error::Usage(format!(
                "\"{word}\" of {} cannot be told from \"{other}\" of another adapter: name another \
                 word with --adapter FILE:WORD",
                self.path.display()
            ))),
        }
    }
}

/// A further subject that was read.
pub(crate) struct Subject {
    word: String,
    vico: Vico,
    references: Vec<Photo>,
    /// First of the ids that its word has.
    id: u32,
}

/// The further subjects of a job.
pub(crate) struct Subjects(Vec<Subject>);

impl Subjects {
    /// Reads the adapters, and teaches their words to tokenizer and text encoder.
    /// `first` is the adapter of the first subject, without which there are no others.
    ///
    /// # Errors
    /// If one is not of ViCo, or its word cannot be told from another's.
    pub fn load(
        files: &[AdapterFile],
        first: Option<&Adapter>,
        parts: &mut Parts,
        events: &mut dyn Events,
    ) -> Result<Self> {
        let mut all: Vec<Subject> = Vec::new();
        let Some(Adapter { info: first, .. }) = first else { return Ok(Self(all)) };
        for file in files {
            let adapter = Adapter::load(&file.path, parts.device)?;
            let methods = [&first.method, &adapter.info.method];
            if let Some(method) = methods.into_iter().find(|method| *method != "vico") {
                let what = format!("only adapters of ViCo draw several subjects, not of {method}");
                return Err(Error::path(&file.path, what));
            }
            adapter_file::compare(&adapter, parts.base, events)?;
            let known = all.iter().map(|subject| subject.word.as_str());
            let word = file.word_beside(&adapter, known.chain([first.placeholder.as_str()]))?;
            all.push(Subject::new(file, word, &adapter, parts)?);
        }
        Ok(Self(all))
    }

    /// The subjects with the places of their words in a prompt.
    ///
    /// # Errors
    /// If a word is not in it.
    pub fn placed(&self, prompt: &WeightedPrompt) -> Result<Vec<Other<'_>>> {
        self.0.iter().map(|subject| subject.placed(prompt)).collect()
    }
}

/// Whether two words cannot stand beside each other in a prompt.
fn alike(a: &str, b: &str) -> bool {
    let (a, b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
    a.contains(&b) || b.contains(&a)
}

/// Parts of the base model that a subject is read for.
pub(crate) struct Parts<'a> {
    pub base: &'a Base,
    pub sites: &'a [Site],
    pub size: (usize, usize),
    pub device: &'a Device,
    pub tokenizer: &'a mut Tokenizer,
    pub text: &'a mut TextEncoder,
}

impl Subject {
    fn new(file: &AdapterFile, word: String, adapter: &Adapter, parts: &mut Parts) -> Result<Self> {
        let Parts { base, sites, size, device, tokenizer, text } = parts;
        let recipe = &adapter.info.recipe;
        let how = (recipe.rates(), recipe.vico);
        let vico = Vico::from_params(sites, text.width(), adapter.params.clone(), how)?;
        let reference = file.reference.as_deref().map_or(Reference::Kept(0), Reference::parse);
        let references = vec![reference.read(base, adapter, &file.path, *size, device)?];
        let ids = text.add_tokens(engine::values(vico.token()));
        tokenizer.add_word(&word, ids.clone());
        Ok(Self { word, vico, references, id: ids.start })
    }

    fn placed(&self, prompt: &WeightedPrompt) -> Result<Other<'_>> {
        let Self { word, vico, references, id } = self;
        let position = prompt.position(*id).ok_or_else(|| {
            Error::Usage(format!(
                "the prompt does not hold \"{word}\": write it where that adapter's subject goes"
            ))
        })?;
        Ok(Other { vico, references, position })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapter_is_typed_with_its_word_and_reference() {
        for (text, path, word, reference) in [
            ("a.safetensors", "a.safetensors", None, None),
            ("a.safetensors:+", "a.safetensors", Some("+"), None),
            ("a.safetensors:<dog>:2", "a.safetensors", Some("<dog>"), Some("2")),
            ("a.safetensors::b/1.png", "a.safetensors", None, Some("b/1.png")),
            (r"C:\a.safetensors:+", r"C:\a.safetensors", Some("+"), None),
        ] {
            let file: AdapterFile = text.parse().unwrap();
            let [word, reference] = [word, reference].map(|part| part.map(str::to_owned));
            assert_eq!(file, AdapterFile { path: path.into(), word, reference }, "{text}");
        }
    }

    #[test]
    fn words_that_hold_each_other_are_alike() {
        assert!(alike("*", "**") && alike("<Dog>", "<dog>") && !alike("*", "+"));
    }
}
