//! An adapter with the base model it is used on.

use std::path::Path;

use diffusion::{Base, Placeholder, Tokenizer, base::Configs, text::TextEncoder};
use engine::Device;
use images::{Picture, read_mask, read_photo};
use personalize::{
    Adapter,
    dataset::Encoded,
    methods::{self, Method, token::TOKEN},
};

use crate::{Error, Events, Result};

/// Which reference to draw from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// A photo kept in the adapter, counted from 0.
    Kept(usize),
    /// A photo on disk.
    Photo(std::path::PathBuf),
}

impl Reference {
    /// What was typed: a number is a kept photo, anything else a path.
    pub fn parse(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Photo(text.into()), Self::Kept)
    }

    /// Its latents, and the mask that was drawn for it. A photo on disk is resized to
    /// `size`; a kept one has the size of the training.
    pub fn read(
        &self,
        base: &Base,
        adapter: &Adapter,
        path: &Path,
        size: (usize, usize),
        device: &Device,
    ) -> Result<personalize::Reference> {
        match self {
            Self::Kept(index) => Ok(adapter.photo(*index, path)?.reference(device)),
            Self::Photo(path) => {
                let (vae, scale) = (base.vae_encoder()?, base.configs().vae.scaling_factor);
                let photo = read_photo(path)?;
                let encoded = Encoded::new(path, &photo, size, &vae, scale, device);
                Ok(masked(encoded, &photo)?.reference())
            }
        }
    }
}

/// A photo with the mask that was drawn for it, if there is one.
pub fn masked(encoded: Encoded, photo: &Picture) -> Result<Encoded> {
    match read_mask(&encoded.path, (photo.width(), photo.height()))? {
        Some(drawing) => Ok(encoded.with_mask(&drawing)?),
        None => Ok(encoded),
    }
}

/// Warns if the adapter was trained on another base model.
pub fn compare(adapter: &Adapter, base: &Base, events: &mut dyn Events) -> Result<()> {
    let fingerprint = base.fingerprint()?;
    let info = &adapter.info;
    // LoRAs change the style of a base model; the adapter fits it as before.
    let fits = [&fingerprint, &base.bare_fingerprint()?].contains(&&info.base_fingerprint);
    if !fits {
        events.warning(format!(
            "the adapter was trained on {} ({}), this is {} ({fingerprint}): the pictures may suffer",
            info.base_name,
            info.base_fingerprint,
            base.name()
        ));
    }
    Ok(())
}

/// The method of an adapter on a base model.
pub fn method(adapter: &Adapter, configs: &Configs) -> Result<Box<dyn Method>> {
    let known = methods::NAMES.contains(&adapter.info.method.as_str());
    if !known {
        return Err(Error::Usage(format!(
            "the adapter's method is \"{}\", which this version does not know: update vico",
            adapter.info.method
        )));
    }
    Ok(methods::learned(&adapter.info.recipe, configs, adapter.params.clone())?)
}

/// The placeholder as the tokenizer wants it.
pub fn placeholder<'a>(adapter: &'a Adapter, method: &'a dyn Method) -> Placeholder<'a> {
    Placeholder {
        text: &adapter.info.placeholder,
        ..methods::placeholder(method, &adapter.info.recipe, 0)
    }
}

/// Teaches the words of an adapter's further concepts: each becomes its learned vectors
/// and its class word behind them.
pub fn teach(
    adapter: &Adapter,
    method: &dyn Method,
    tokenizer: &mut Tokenizer,
    text: &mut TextEncoder,
) -> Result<()> {
    for concept in 1..=adapter.info.recipe.concepts.len() {
        let Placeholder { text: word, vectors, words } =
            methods::placeholder(method, &adapter.info.recipe, concept);
        let width = text.width();
        let learned = adapter.params.get(TOKEN).map(|param| param.values()).unwrap_or_default();
        let mut rows: Vec<f32> =
            learned.chunks(vectors * width).nth(concept).unwrap_or_default().to_vec();
        for id in tokenizer.ids(words)? {
            rows.extend(text.token_embedding(id));
        }
        let ids = text.add_tokens(rows);
        tokenizer.add_word(word, ids);
    }
    Ok(())
}
