//! The small vocabulary: those merges of CLIP's tokenizer that a list of words needs.

use std::collections::{BTreeMap, BTreeSet};

use diffusion::{Tokenizer, tokenizer::CLIP_MERGES};

use crate::Result;

/// The merges, in CLIP's order and form, with which the words fall into the same pieces
/// as with all of them. A merge is kept if its piece is part of a word's final piece;
/// merges are never undone, so no word needs another.
pub fn merges<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<String> {
    let tokenizer = Tokenizer::clip(8)?;
    let lines = || CLIP_MERGES.lines().skip(1).filter_map(|line| line.split_once(' '));
    let made: BTreeMap<String, (&str, &str)> =
        lines().map(|(a, b)| (format!("{a}{b}"), (a, b))).collect();
    let mut needed = BTreeSet::new();
    let mut open = Vec::new();
    for word in words {
        open.extend(tokenizer.pieces(word)?);
    }
    while let Some(piece) = open.pop() {
        if let Some((a, b)) = made.get(&piece)
            && needed.insert(piece)
        {
            open.extend([(*a).to_owned(), (*b).to_owned()]);
        }
    }
    let header = CLIP_MERGES.lines().next().unwrap_or_default();
    let kept = lines().filter(|(a, b)| needed.contains(&format!("{a}{b}")));
    Ok(std::iter::once(header.to_owned())
        .chain(kept.map(|(a, b)| format!("{a} {b}")))
        .map(|line| line + "\n")
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_their_pieces() {
        let words = ["teapot", "a photo of a hedgehog on the beach", "zx"];
        let merges = merges(words).unwrap();
        let (small, whole) = (Tokenizer::new(&merges, 16).unwrap(), Tokenizer::clip(16).unwrap());
        assert!(small.vocabulary_size() < 600, "{}", small.vocabulary_size());
        for word in words {
            assert_eq!(small.pieces(word).unwrap(), whole.pieces(word).unwrap(), "{word}");
        }
        // A word outside falls into smaller pieces, but is never lost.
        assert_eq!(small.pieces("zeppelin").unwrap().concat(), "zeppelin</w>");
    }
}
