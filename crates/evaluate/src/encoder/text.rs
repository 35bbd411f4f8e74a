//! CLIP's text tower.

use diffusion::{
    Prompt, Tokenizer, base::Folder, config::TextConfig, text::TextEncoder, tokenizer::CLIP_MERGES,
};
use engine::{
    Int, Tensor,
    nn::{Linear, WeightSource},
};

use super::{unit_rows, weights::Weights};
use crate::{Error, Result};

/// Tokens in, features in the space of the pictures' out.
pub struct TextTower {
    encoder: TextEncoder,
    projection: Linear,
}

impl TextTower {
    /// Builds the tower from weights under transformers' names, for a space of so many
    /// `features`.
    pub fn build<S: WeightSource>(
        config: &TextConfig,
        features: usize,
        source: &S,
    ) -> Result<Self, S::Error> {
        Ok(Self {
            encoder: TextEncoder::build(config, source)?,
            projection: source.linear("text_projection", config.hidden_size, features, false)?,
        })
    }

    /// Features of texts, taken where each ends and not brought to any length.
    ///
    /// # Shapes
    /// `[prompts, features]`
    pub fn forward(&self, prompts: &[Prompt]) -> Tensor<2> {
        let tokens = self.encoder.forward(prompts, None);
        let [rows, positions, width] = tokens.dims();
        let end = |(row, prompt): (usize, &Prompt)| (row * positions + prompt.end_of_text) as i64;
        let ends: Vec<i64> = prompts.iter().enumerate().map(end).collect();
        let ends = Tensor::<1, Int>::from_data(ends.as_slice(), &tokens.device());
        self.projection.forward(tokens.reshape([rows * positions, width]).select(0, ends))
    }
}

/// A text tower with its tokenizer.
pub(super) struct Texts {
    tokenizer: Tokenizer,
    tower: TextTower,
}

/// Ids that are no merges: single bytes, bytes at the end of a word, start and end.
const NO_MERGES: usize = 514;

/// Where a folder has the tokenizer's merges.
pub(super) const MERGES: &str = "merges.txt";

/// The most a merge list may hold; CLIP's has half a megabyte.
const MERGES_LIMIT: u64 = 1 << 23;

/// Texts in one pass.
const BATCH: usize = 16;

impl Texts {
    /// Builds the tower; `folder` may hold the tokenizer's merges.
    pub fn build(config: &TextConfig, weights: &Weights, folder: Option<Folder>) -> Result<Self> {
        let [features, _] = weights.shape("text_projection.weight")?;
        let merges = match folder.filter(|folder| folder.has(MERGES)) {
            Some(folder) => folder.text(MERGES, MERGES_LIMIT)?,
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
        Ok(Self { tokenizer, tower: TextTower::build(config, features, weights)? })
    }

    /// Features of texts, of length 1. What a text has beyond the tower's positions is
    /// not read.
    pub fn features(&self, texts: &[String]) -> Result<Vec<Vec<f32>>> {
        let mut features = Vec::with_capacity(texts.len());
        for texts in texts.chunks(BATCH) {
            let prompts = texts.iter().map(|text| self.tokenizer.encode(text, None));
            let prompts = prompts.collect::<diffusion::Result<Vec<_>>>()?;
            features.extend(unit_rows(self.tower.forward(&prompts)));
        }
        Ok(features)
    }
}

/// CLIP's merges, as many as a vocabulary has room for: its ids count them in the order
/// of the list.
fn first_merges(vocabulary: usize) -> String {
    let lines: Vec<&str> =
        CLIP_MERGES.lines().take(1 + vocabulary.saturating_sub(NO_MERGES)).collect();
    lines.join("\n")
}
