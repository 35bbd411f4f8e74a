//! An adapter with the base model it is used on.

use std::path::Path;

use diffusion::{Base, Placeholder, Tokenizer, base::Configs, text::TextEncoder};
use engine::{Device, Tensor};
use images::{Filter, read_photo, resize};
use personalize::{
    Adapter,
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

    /// Its latents `[1, height, width, channels]`. A photo on disk is resized
    /// to `size`; a kept one has the size of the training.
    pub fn latents(
        &self,
        base: &Base,
        adapter: &Adapter,
        path: &Path,
        size: (usize, usize),
        device: &Device,
    ) -> Result<Tensor<4>> {
        match self {
            Self::Kept(index) => Ok(adapter.photo(*index, path)?.tensor(device)),
            Self::Photo(photo) => {
                let photo = resize(&read_photo(photo)?, size.0, size.1, Filter::Bilinear);
                let shape = [1, size.1, size.0, 3];
                let pixels = engine::tensor(photo.to_unit(), shape, device);
                Ok(base.vae_encoder()?.forward(pixels).mode())
            }
        }
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
