//! CLIP's text tower.

use std::{fs, io::Read, path::Path};

use diffusion::{Tokenizer, config::TextConfig, text::TextEncoder, tokenizer::CLIP_MERGES};
use engine::{
    Tensor,
    nn::{Linear, WeightSource},
};

use super::{unit_rows, weights::Weights};
use crate::{Error, Result};

/// Texts in, features in the space of the pictures' out.
pub(super) struct TextTower {
    tokenizer: Tokenizer,
    encoder: TextEncoder,
    projection: Linear,
}

/// Ids that are no merges: single bytes, bytes at the end of a word, start and end.
const NO_MERGES: usize = 514;

/// The most a merge list may hold; CLIP's has half a megabyte.
const MERGES_LIMIT: u64 = 1 << 23;

impl TextTower {
    /// Builds the tower; `folder` may hold the tokenizer's `merges.txt`.
    pub fn build(config: &TextConfig, weights: &Weights, folder: Option<&Path>) -> Result<Self> {
        let [features, _] = weights.shape("text_projection.weight")?;
        let merges = match folder.map(|folder| folder.join("merges.txt")).filter(|p| p.is_file()) {
            Some(path) => merges(&path)?,
            None => first_merges(config.vocab_size),
        };
        let tokenizer = Tokenizer::new(&merges, config.max_position_embeddings)?;
        if tokenizer.vocabulary_size() != config.vocab_size {
            let what = format!(
                "its text tower has {} words, the tokenizer's merges make {}: add the merges.txt \
                 that belongs to it",
                config.vocab_size,
                tokenizer.vocabulary_size()
            );
            return Err(Error::encoder(weights.file().path(), what));
        }
        Ok(Self {
            tokenizer,
            encoder: TextEncoder::build(config, weights)?,
            projection: weights.linear("text_projection", config.hidden_size, features, false)?,
        })
    }

    /// Features of texts, of length 1. What a text has beyond the tower's positions is
    /// not read.
    pub fn features(&self, texts: &[String]) -> Result<Vec<Vec<f32>>> {
        let feature = |text: &String| {
            let prompt = self.tokenizer.encode(text, None)?;
            let end = prompt.end_of_text;
            let tokens = self.encoder.forward(&[prompt], None);
            let last: Tensor<2> = tokens.narrow(1, end, 1).squeeze_dim(1);
            Ok(unit_rows(self.projection.forward(last)).remove(0))
        };
        texts.iter().map(feature).collect()
    }
}

fn merges(path: &Path) -> Result<String> {
    let mut text = String::new();
    let read = fs::File::open(path).and_then(|f| f.take(MERGES_LIMIT).read_to_string(&mut text));
    read.map_err(|e| Error::encoder(path, format!("cannot be read: {e}")))?;
    Ok(text)
}

/// CLIP's merges, as many as a vocabulary has room for: its ids count them in the order
/// of the list.
fn first_merges(vocabulary: usize) -> String {
    let lines: Vec<&str> =
        CLIP_MERGES.lines().take(1 + vocabulary.saturating_sub(NO_MERGES)).collect();
    lines.join("\n")
}
