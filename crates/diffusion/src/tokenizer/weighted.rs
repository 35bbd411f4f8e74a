//! Prompts with weights, and of any length: as many chunks as they need.

use super::{Piece, Placeholder, Prompt, Tokenizer, emphasis};
use crate::{Error, Result};

/// How many pieces behind a comma move to the next chunk with what follows,
/// AUTOMATIC1111's `comma_padding_backtrack`.
const LOOK_BACK: usize = 20;

/// The most chunks of a prompt.
const MOST_CHUNKS: usize = 32;

/// As much of a prompt as the text encoder takes at once, with a weight for every
/// position.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// Its tokens.
    pub prompt: Prompt,
    /// A weight a position; 1 for those that no word stands at.
    pub weights: Vec<f32>,
}

impl From<Prompt> for Chunk {
    /// All weights 1.
    fn from(prompt: Prompt) -> Self {
        let weights = vec![1.0; prompt.ids.len()];
        Self { prompt, weights }
    }
}

/// A prompt of one or more chunks, whose contexts the U-Net sees side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightedPrompt {
    chunks: Vec<Chunk>,
    /// Chunks before the padding.
    own: usize,
}

impl From<Prompt> for WeightedPrompt {
    /// One chunk, all weights 1.
    fn from(prompt: Prompt) -> Self {
        Self { chunks: vec![prompt.into()], own: 1 }
    }
}

impl WeightedPrompt {
    /// The chunks, at least one.
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// The same prompt with chunks of the `empty` prompt behind it, up to `count`.
    pub fn padded(mut self, count: usize, empty: &Prompt) -> Self {
        self.chunks.resize_with(count.max(self.chunks.len()), || empty.clone().into());
        self
    }

    /// First position of the placeholder, counted through all chunks.
    pub fn placeholder(&self) -> Option<usize> {
        let mut positions = self.chunks.iter().enumerate();
        positions.find_map(|(i, chunk)| Some(self.offset(i) + chunk.prompt.placeholder()?))
    }

    /// First position of a token, counted through all chunks.
    pub fn position(&self, id: u32) -> Option<usize> {
        self.chunks.iter().flat_map(|chunk| &chunk.prompt.ids).position(|found| *found == id)
    }

    /// Position of the end of the text, counted through all chunks.
    pub fn end_of_text(&self) -> usize {
        self.offset(self.own - 1) + self.chunks[self.own - 1].prompt.end_of_text
    }

    /// Positions before a chunk.
    fn offset(&self, chunk: usize) -> usize {
        chunk * self.chunks[0].prompt.ids.len()
    }
}

impl Tokenizer {
    /// Tokenises a prompt with [weights](emphasis) as AUTOMATIC1111's program does:
    /// every fragment by itself, then chunks of as many pieces as fit between start and
    /// end. Where a chunk is full and one of its last 20 pieces is a comma, what
    /// stands behind the comma moves to the next; `BREAK` begins a new one. The vectors of a
    /// placeholder or an added word stay together.
    ///
    /// # Errors
    /// If a weight is no number, the prompt is longer than 32 chunks, or the vectors of one
    /// word do not fit into one.
    pub fn encode_weighted(
        &self,
        prompt: &str,
        placeholder: Option<Placeholder>,
    ) -> Result<WeightedPrompt> {
        let room = self.positions - 2;
        let mut chunks = Chunks::new(room, self.single(",").ok());
        for fragment in emphasis::parse(prompt, placeholder.map(|p| p.text))? {
            if fragment.is_break() {
                chunks.close();
                continue;
            }
            let pieces = self.pieces_of(&fragment.text, placeholder)?;
            for unit in pieces.chunk_by(|_, next| next.joined) {
                if unit.len() > room {
                    return Err(Error::Vectors { vectors: unit.len(), room });
                }
                chunks.push(unit, fragment.weight as f32);
            }
        }
        let full = chunks.finish();
        if full.len() > MOST_CHUNKS {
            let most = MOST_CHUNKS * room;
            return Err(Error::PromptLength { chunks: full.len(), most_chunks: MOST_CHUNKS, most });
        }
        let chunks: Vec<Chunk> = full.iter().map(|chunk| self.chunk(chunk, placeholder)).collect();
        Ok(WeightedPrompt { own: chunks.len(), chunks })
    }

    fn chunk(&self, weighted: &[Weighted], placeholder: Option<Placeholder>) -> Chunk {
        let pieces: Vec<Piece> = weighted.iter().map(|(piece, _)| piece.clone()).collect();
        let mut weights = vec![1.0];
        weights.extend(weighted.iter().map(|(_, weight)| weight));
        weights.resize(self.positions, 1.0);
        Chunk { prompt: self.assemble(&pieces, placeholder), weights }
    }
}

type Weighted = (Piece, f32);

/// Chunks being filled.
struct Chunks {
    /// Pieces that fit into one.
    room: usize,
    comma: Option<u32>,
    full: Vec<Vec<Weighted>>,
    open: Vec<Weighted>,
    /// Where the last comma stands in the open chunk.
    last_comma: Option<usize>,
}

impl Chunks {
    fn new(room: usize, comma: Option<u32>) -> Self {
        Self { room, comma, full: Vec::new(), open: Vec::new(), last_comma: None }
    }

    /// Adds pieces that must not be parted.
    fn push(&mut self, unit: &[Piece], weight: f32) {
        let is_comma = unit[0].vector.is_none() && Some(unit[0].id) == self.comma;
        let full = self.open.len() == self.room;
        if is_comma {
            self.last_comma = Some(self.open.len());
        } else if let Some(comma) = self.last_comma.filter(|_| full)
            && self.room - comma <= LOOK_BACK
        {
            let moved = self.open.split_off(comma + 1);
            self.close();
            self.open = moved;
        }
        if self.open.len() + unit.len() > self.room {
            self.close();
        }
        self.open.extend(unit.iter().map(|piece| (piece.clone(), weight)));
    }

    fn close(&mut self) {
        self.last_comma = None;
        self.full.push(std::mem::take(&mut self.open));
    }

    fn finish(mut self) -> Vec<Vec<Weighted>> {
        if !self.open.is_empty() || self.full.is_empty() {
            self.close();
        }
        self.full
    }
}
