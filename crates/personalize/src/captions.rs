//! Captions for training photos, and texts that are read as captions are.

use diffusion::{Placeholder, Prompt, Tokenizer};

use crate::{Error, Recipe, Result};

/// The "ImageNet small" templates of Textual Inversion (Gal et al. 2022);
/// `{}` is where the placeholder goes.
pub const TEMPLATES: [&str; 27] = [
    "a photo of a {}",
    "a rendering of a {}",
    "a cropped photo of the {}",
    "the photo of a {}",
    "a photo of a clean {}",
    "a photo of a dirty {}",
    "a dark photo of the {}",
    "a photo of my {}",
    "a photo of the cool {}",
    "a close-up photo of a {}",
    "a bright photo of the {}",
    "a cropped photo of a {}",
    "a photo of the {}",
    "a good photo of the {}",
    "a photo of one {}",
    "a close-up photo of the {}",
    "a rendition of the {}",
    "a photo of the clean {}",
    "a rendition of a {}",
    "a photo of a nice {}",
    "a good photo of a {}",
    "a photo of the nice {}",
    "a photo of the small {}",
    "a photo of the weird {}",
    "a photo of the large {}",
    "a photo of a cool {}",
    "a photo of a small {}",
];

/// The caption of a picture of a thing's class: 0 is the recipe's own thing, the others
/// its further concepts.
///
/// # Panics
/// If there is no such concept.
pub fn of_class(recipe: &Recipe, concept: usize) -> String {
    let word = match concept.checked_sub(1) {
        Some(further) => &recipe.concepts[further].init_word,
        None => &recipe.init_word,
    };
    let caption = if recipe.caption.is_empty() { TEMPLATES[0] } else { &recipe.caption };
    filled(caption, word)
}

/// A text with another in place of its `{}`.
pub fn filled(caption: &str, thing: &str) -> String {
    caption.replace("{}", thing)
}

/// The caption of a template.
///
/// # Panics
/// If there is no such template.
pub fn caption(template: usize, placeholder: &str) -> String {
    filled(TEMPLATES[template], placeholder)
}

/// Tokenises a text as it stands, without weights.
///
/// # Errors
/// If the placeholder is not in it, or only beyond what the text encoder takes.
pub fn plain(tokenizer: &Tokenizer, text: &str, placeholder: Placeholder) -> Result<Prompt> {
    let prompt = tokenizer.encode(text, Some(placeholder))?;
    let words = placeholder.vectors == 0 && placeholder.stands_in(text);
    if prompt.placeholders.is_empty() && !words {
        return Err(Error::Prompt(format!(
            "the prompt \"{text}\" does not hold the placeholder \"{}\" (or only beyond what \
             fits): write it where the object goes",
            placeholder.text
        )));
    }
    Ok(prompt)
}
