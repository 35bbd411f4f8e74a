//! CLIP's byte-pair tokenizer, with a placeholder that stands anywhere.

pub mod emphasis;
mod weighted;

use std::ops::Range;

use tokenizers::{
    AddedToken, DecoderWrapper, ModelWrapper, NormalizerWrapper, PostProcessorWrapper,
    PreTokenizerWrapper, SplitDelimiterBehavior, TokenizerImpl,
    models::bpe::BPE,
    normalizers::{Lowercase, NFC, Replace, Sequence as Normalizers, replace::ReplacePattern},
    pre_tokenizers::{
        byte_level::ByteLevel,
        sequence::Sequence as PreTokenizers,
        split::{Split, SplitPattern},
    },
};

use crate::{Error, Result};

pub use weighted::{Chunk, WeightedPrompt};

/// CLIP's merge list (OpenAI, MIT licence), a header and then one pair a line, most
/// frequent first; single-file checkpoints carry none.
pub const CLIP_MERGES: &str = include_str!("../../assets/clip-merges.txt");
const START: &str = "<|startoftext|>";
const END: &str = "<|endoftext|>";

/// CLIP words: contractions, runs of letters, single digits, runs of the rest.
const WORDS: &str = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

type Bpe = TokenizerImpl<
    ModelWrapper,
    NormalizerWrapper,
    PreTokenizerWrapper,
    PostProcessorWrapper,
    DecoderWrapper,
>;

/// CLIP's tokenizer for a text encoder with a fixed number of positions.
pub struct Tokenizer {
    bpe: Bpe,
    start: u32,
    end: u32,
    /// What fills a prompt up behind its end.
    pad: u32,
    positions: usize,
    /// Words with ids of their own, in lower case.
    added: Vec<(String, Range<u32>)>,
}

/// A prompt as the text encoder takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Start, words, end, and padding (the end again, in Stable Diffusion 1.x) up to the
    /// encoder's positions.
    pub ids: Vec<u32>,
    /// Where the placeholder's vectors go: `(position, vector)`; a placeholder
    /// of several vectors takes several positions.
    pub placeholders: Vec<(usize, usize)>,
    /// Position of the first end-of-text token.
    pub end_of_text: usize,
    /// The tail of the prompt that did not fit, if any.
    pub dropped: Option<String>,
}

impl Prompt {
    /// First position of the placeholder, whose attention map makes the mask.
    pub fn placeholder(&self) -> Option<usize> {
        self.placeholders.first().map(|&(position, _)| position)
    }
}

/// The placeholder: the text that stands for the learned token, e.g. `*`.
#[derive(Clone, Copy, Debug)]
pub struct Placeholder<'a> {
    /// As it is written in prompts.
    pub text: &'a str,
    /// Number of learned vectors, each of which takes one position.
    pub vectors: usize,
    /// Plain words behind them, such as a rare word and a class word; often none.
    pub words: &'a str,
}

impl Placeholder<'_> {
    /// Whether a prompt holds it.
    pub fn stands_in(&self, prompt: &str) -> bool {
        !occurrences(prompt, self.text, char::is_alphanumeric).is_empty()
    }
}

impl Tokenizer {
    /// CLIP's tokenizer for `positions` positions (77 in Stable Diffusion).
    pub fn clip(positions: usize) -> Result<Self> {
        Self::new(CLIP_MERGES, positions)
    }

    /// CLIP's tokenizer with another merge list, in the form of [`CLIP_MERGES`]: a model
    /// with a smaller vocabulary has fewer. Ids are given as CLIP gives them: 512 for
    /// single bytes, one a merge, start, end.
    ///
    /// # Errors
    /// If a merge joins pieces that no line before it makes.
    pub fn new(merges: &str, positions: usize) -> Result<Self> {
        let wrong = |e: tokenizers::Error| Error::Tokenizer(e.to_string());
        let (vocabulary, merges) = vocabulary(merges);
        let (start, end) = (vocabulary.len() as u32 - 2, vocabulary.len() as u32 - 1);
        let model = BPE::builder()
            .vocab_and_merges(vocabulary.into_iter().collect::<ahash::AHashMap<_, _>>(), merges)
            .unk_token(END.into())
            .end_of_word_suffix("</w>".into())
            .build()
            .map_err(wrong)?;
        let mut bpe: Bpe = TokenizerImpl::new(model.into());
        bpe.with_normalizer(Some(normalizer().map_err(wrong)?)).map_err(wrong)?;
        bpe.with_pre_tokenizer(Some(words().map_err(wrong)?));
        bpe.add_special_tokens([AddedToken::from(START, true), AddedToken::from(END, true)])
            .map_err(wrong)?;
        Ok(Self { bpe, start, end, pad: end, positions, added: Vec::new() })
    }

    /// The same tokenizer, which fills prompts up with another token than their end.
    ///
    /// # Errors
    /// If the vocabulary has no such token.
    pub fn padded_with(self, token: &str) -> Result<Self> {
        let unknown = || Error::Tokenizer(format!("its padding \"{token}\" is no token of it"));
        let pad = self.bpe.token_to_id(token).ok_or_else(unknown)?;
        Ok(Self { pad, ..self })
    }

    /// Number of ids.
    pub fn vocabulary_size(&self) -> usize {
        self.end as usize + 1
    }

    /// Pieces and their ids, in id order.
    pub fn vocabulary(&self) -> Vec<(String, u32)> {
        let mut ids: Vec<_> = self.bpe.get_vocab(true).into_iter().collect();
        ids.sort_by_key(|(_, id)| *id);
        ids
    }

    /// The pieces that a text falls into, as the vocabulary writes them (`toy</w>`).
    pub fn pieces(&self, text: &str) -> Result<Vec<String>> {
        let encoding = self.bpe.encode(text, false).map_err(|e| Error::Tokenizer(e.to_string()))?;
        Ok(encoding.get_tokens().to_vec())
    }

    /// Adds a word that becomes these ids wherever it stands in a prompt, in
    /// any case of its letters: the name of an extra embedding, whose vectors
    /// are rows that [`add_tokens`](crate::text::TextEncoder::add_tokens) gave.
    pub fn add_word(&mut self, word: &str, ids: Range<u32>) {
        self.added.push((word.to_ascii_lowercase(), ids));
    }

    /// Tokenises a prompt as it stands. The placeholder is found before tokenisation,
    /// wherever it stands (`*.`, `(*)`, `*'s`); one that begins or ends with a
    /// letter or digit must not touch another there.
    pub fn encode(&self, prompt: &str, placeholder: Option<Placeholder>) -> Result<Prompt> {
        let pieces = self.pieces_of(prompt, placeholder)?;
        let room = self.positions - 2;
        let dropped = pieces.get(room).map(|p| prompt[p.at..].trim().to_owned());
        let kept = &pieces[..pieces.len().min(room)];
        Ok(Prompt { dropped, ..self.assemble(kept, placeholder) })
    }

    fn pieces_of(&self, prompt: &str, placeholder: Option<Placeholder>) -> Result<Vec<Piece>> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut at = 0;
        if let Some(placeholder) = placeholder {
            for found in occurrences(prompt, placeholder.text, char::is_alphanumeric) {
                self.words(prompt, at..found.start, &mut pieces)?;
                pieces.extend((0..placeholder.vectors).map(|vector| Piece {
                    id: self.end,
                    vector: Some(vector),
                    at: found.start,
                    joined: vector > 0,
                }));
                let words = pieces.len();
                self.words(placeholder.words, 0..placeholder.words.len(), &mut pieces)?;
                pieces[words..].iter_mut().for_each(|piece| piece.at = found.start);
                at = found.end;
            }
        }
        self.words(prompt, at..prompt.len(), &mut pieces)?;
        Ok(pieces)
    }

    /// The ids of a text, without start and end.
    pub fn ids(&self, text: &str) -> Result<Vec<u32>> {
        let mut pieces = Vec::new();
        self.words(text, 0..text.len(), &mut pieces)?;
        Ok(pieces.into_iter().map(|piece| piece.id).collect())
    }

    /// The id of a piece as the vocabulary writes it: `toy</w>`, `ktn`.
    pub fn piece(&self, piece: &str) -> Option<u32> {
        self.bpe.token_to_id(piece)
    }

    /// The id of a word that is exactly one token.
    pub fn single(&self, word: &str) -> Result<u32> {
        match self.ids(word)?[..] {
            [one] => Ok(one),
            ref several => Err(Error::NotOneToken { word: word.to_owned(), count: several.len() }),
        }
    }

    fn words(&self, prompt: &str, range: Range<usize>, pieces: &mut Vec<Piece>) -> Result<()> {
        let mut at = range.start;
        for (found, ids) in self.added_words(prompt, &range) {
            self.plain(prompt, at..found.start, pieces)?;
            let first = ids.start;
            let piece = |id| Piece { id, vector: None, at: found.start, joined: id > first };
            pieces.extend(ids.map(piece));
            at = found.end;
        }
        self.plain(prompt, at..range.end, pieces)
    }

    /// Where added words stand in a part of a prompt; of two that overlap, the
    /// earlier and then the longer one.
    fn added_words(&self, prompt: &str, range: &Range<usize>) -> Vec<(Range<usize>, Range<u32>)> {
        let lower = prompt.to_ascii_lowercase();
        let all = self.added.iter().flat_map(|(word, ids)| {
            occurrences(&lower, word, is_word_letter).into_iter().map(|at| (at, ids.clone()))
        });
        let inside = |at: &Range<usize>| range.start <= at.start && at.end <= range.end;
        let mut all: Vec<_> = all.filter(|(at, _)| inside(at)).collect();
        all.sort_by_key(|(at, _)| (at.start, std::cmp::Reverse(at.end)));
        let mut end = 0;
        all.retain(|(at, _)| {
            let free = at.start >= end;
            end = if free { at.end } else { end };
            free
        });
        all
    }

    fn plain(&self, prompt: &str, range: Range<usize>, pieces: &mut Vec<Piece>) -> Result<()> {
        let start = range.start;
        let encoding =
            self.bpe.encode(&prompt[range], false).map_err(|e| Error::Tokenizer(e.to_string()))?;
        let ids = encoding.get_ids().iter().zip(encoding.get_offsets());
        let piece = |(&id, &(from, _)): (&u32, &(usize, usize))| Piece {
            id,
            vector: None,
            at: start + from,
            joined: false,
        };
        pieces.extend(ids.map(piece));
        Ok(())
    }

    /// A prompt of pieces that fit.
    fn assemble(&self, kept: &[Piece], placeholder: Option<Placeholder>) -> Prompt {
        // The placeholder's own id never reaches the encoder's table; `*`'s is
        // kept so that ids read as they do elsewhere.
        let stand_in = placeholder.and_then(|p| self.single(p.text).ok()).unwrap_or(self.end);
        let mut ids = vec![self.start];
        ids.extend(kept.iter().map(|p| if p.vector.is_some() { stand_in } else { p.id }));
        let end_of_text =
            kept.iter().position(|p| p.vector.is_none() && p.id == self.end).unwrap_or(kept.len())
                + 1;
        ids.push(self.end);
        ids.resize(self.positions, self.pad);
        let placeholders = kept.iter().enumerate();
        let placeholders =
            placeholders.filter_map(|(i, p)| p.vector.map(|vector| (i + 1, vector))).collect();
        Prompt { ids, placeholders, end_of_text, dropped: None }
    }
}

#[derive(Clone)]
struct Piece {
    id: u32,
    vector: Option<usize>,
    /// Byte in the prompt where it begins.
    at: usize,
    /// Must not be parted from the piece before it.
    joined: bool,
}

/// File names use these inside a word, besides letters and digits.
fn is_word_letter(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-')
}

/// Whether an added word stands in a prompt; see [`Tokenizer::add_word`].
pub fn mentions(prompt: &str, word: &str) -> bool {
    let (prompt, word) = (prompt.to_ascii_lowercase(), word.to_ascii_lowercase());
    !occurrences(&prompt, &word, is_word_letter).is_empty()
}

/// Where a word stands in a prompt without touching another: its first and last
/// letters have no `letter` beside them.
fn occurrences(prompt: &str, word: &str, letter: fn(char) -> bool) -> Vec<Range<usize>> {
    let is_letter = |c: Option<char>| c.is_some_and(letter);
    let touches = |inner: Option<char>, outer: Option<char>| is_letter(inner) && is_letter(outer);
    prompt
        .match_indices(word)
        .filter(|(at, found)| {
            let before = prompt[..*at].chars().next_back();
            let after = prompt[at + found.len()..].chars().next();
            !touches(found.chars().next(), before) && !touches(found.chars().next_back(), after)
        })
        .map(|(at, found)| at..at + found.len())
        .collect()
}

/// Pairs of pieces that become one, most frequent first.
type Merges = Vec<(String, String)>;

/// CLIP's vocabulary in id order: the 256 byte letters, the same at the end of
/// a word, one entry a merge, start and end.
fn vocabulary(merges: &str) -> (Vec<(String, u32)>, Merges) {
    let merges: Merges = merges
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(' '))
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .collect();
    let letters = byte_letters();
    let words = letters
        .iter()
        .map(char::to_string)
        .chain(letters.iter().map(|c| format!("{c}</w>")))
        .chain(merges.iter().map(|(a, b)| format!("{a}{b}")))
        .chain([START.to_owned(), END.to_owned()]);
    (words.zip(0..).collect(), merges)
}

/// The printable stand-ins of the 256 bytes, in the order of GPT-2's table.
fn byte_letters() -> Vec<char> {
    let printable = |b: &u32| matches!(b, 33..=126 | 161..=172 | 174..=255);
    let own = (0..256u32).filter(printable);
    let shifted = (0..256u32).filter(|b| !printable(b)).zip(256..).map(|(_, c)| c);
    own.chain(shifted).filter_map(char::from_u32).collect()
}

fn normalizer() -> tokenizers::Result<NormalizerWrapper> {
    let spaces = Replace::new(ReplacePattern::Regex(r"\s+".into()), " ")?;
    Ok(Normalizers::new(vec![NFC.into(), spaces.into(), Lowercase.into()]).into())
}

fn words() -> tokenizers::Result<PreTokenizerWrapper> {
    let split =
        Split::new(SplitPattern::Regex(WORDS.into()), SplitDelimiterBehavior::Removed, true)?;
    let bytes = ByteLevel::new(false, true, true);
    Ok(PreTokenizers::new(vec![split.into(), bytes.into()]).into())
}
