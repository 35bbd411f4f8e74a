//! CLIP's byte-pair tokenizer, with a placeholder that stands anywhere.

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

/// CLIP's merge list (OpenAI, MIT licence), a header and then one pair a line, most
/// frequent first; single-file checkpoints carry none.
pub const CLIP_MERGES: &str = include_str!("../assets/clip-merges.txt");
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
    positions: usize,
}

/// A prompt as the text encoder takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Start, words, end, and end again up to the encoder's positions.
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
        Ok(Self { bpe, start, end, positions })
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

    /// Tokenises a prompt. The placeholder is found before tokenisation,
    /// wherever it stands (`*.`, `(*)`, `*'s`); one that begins or ends with a
    /// letter or digit must not touch another there.
    pub fn encode(&self, prompt: &str, placeholder: Option<Placeholder>) -> Result<Prompt> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut at = 0;
        if let Some(placeholder) = placeholder {
            for found in occurrences(prompt, placeholder.text) {
                self.words(prompt, at..found.start, &mut pieces)?;
                pieces.extend((0..placeholder.vectors).map(|vector| Piece {
                    id: self.end,
                    vector: Some(vector),
                    at: found.start,
                }));
                at = found.end;
            }
        }
        self.words(prompt, at..prompt.len(), &mut pieces)?;
        Ok(self.assemble(prompt, &pieces, placeholder))
    }

    /// The id of a word that is exactly one token.
    pub fn single(&self, word: &str) -> Result<u32> {
        let mut pieces = Vec::new();
        self.words(word, 0..word.len(), &mut pieces)?;
        match pieces.as_slice() {
            [one] => Ok(one.id),
            _ => Err(Error::NotOneToken { word: word.to_owned(), count: pieces.len() }),
        }
    }

    fn words(&self, prompt: &str, range: Range<usize>, pieces: &mut Vec<Piece>) -> Result<()> {
        let start = range.start;
        let encoding =
            self.bpe.encode(&prompt[range], false).map_err(|e| Error::Tokenizer(e.to_string()))?;
        let ids = encoding.get_ids().iter().zip(encoding.get_offsets());
        pieces.extend(ids.map(|(&id, &(from, _))| Piece { id, vector: None, at: start + from }));
        Ok(())
    }

    fn assemble(&self, prompt: &str, pieces: &[Piece], placeholder: Option<Placeholder>) -> Prompt {
        let room = self.positions - 2;
        let kept = &pieces[..pieces.len().min(room)];
        // The placeholder's own id never reaches the encoder's table; `*`'s is
        // kept so that ids read as they do elsewhere.
        let stand_in = placeholder.and_then(|p| self.single(p.text).ok()).unwrap_or(self.end);
        let mut ids = vec![self.start];
        ids.extend(kept.iter().map(|p| if p.vector.is_some() { stand_in } else { p.id }));
        let end_of_text =
            kept.iter().position(|p| p.vector.is_none() && p.id == self.end).unwrap_or(kept.len())
                + 1;
        ids.resize(self.positions, self.end);
        let placeholders = kept.iter().enumerate();
        let placeholders =
            placeholders.filter_map(|(i, p)| p.vector.map(|vector| (i + 1, vector))).collect();
        let dropped = pieces.get(room).map(|p| prompt[p.at..].trim().to_owned());
        Prompt { ids, placeholders, end_of_text, dropped }
    }
}

struct Piece {
    id: u32,
    vector: Option<usize>,
    /// Byte in the prompt where it begins.
    at: usize,
}

fn occurrences(prompt: &str, placeholder: &str) -> Vec<Range<usize>> {
    let alphanumeric = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let touches =
        |inner: Option<char>, outer: Option<char>| alphanumeric(inner) && alphanumeric(outer);
    prompt
        .match_indices(placeholder)
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
