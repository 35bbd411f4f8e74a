//! Weights in prompts, by the rules of AUTOMATIC1111's program (its
//! `parse_prompt_attention`).
//!
//! | typed | read |
//! |---|---|
//! | `(word)` | `word` at 1.1 |
//! | `[word]` | `word` at 1 / 1.1 |
//! | `(word:1.3)` | `word` at 1.3 |
//! | `\(`, `\)`, `\[`, `\]`, `\\` | the sign itself |
//! | `BREAK` | a new chunk |
//!
//! Brackets may stand in brackets, whose weights are multiplied. A bracket that
//! is never closed reaches to the end, one that was never opened is text.

use std::ops::Range;

use super::occurrences;
use crate::{Error, Result};

/// The factor of a pair of brackets without a number.
const STEP: f64 = 1.1;

/// What a [break](Fragment::is_break) has for its text and its weight.
const BREAK: (&str, f64) = ("BREAK", -1.0);

/// A part of a prompt that has one weight.
#[derive(Clone, Debug, PartialEq)]
pub struct Fragment {
    /// The text, without the signs that gave it its weight.
    pub text: String,
    /// The weight; finite, 1 for text as it is.
    pub weight: f64,
}

impl Fragment {
    fn new((text, weight): (&str, f64)) -> Self {
        Self { text: text.to_owned(), weight }
    }

    /// True for the word `BREAK`, which begins a new chunk. Within brackets it is a word
    /// like others, because their weight multiplies its own, -1.
    pub fn is_break(&self) -> bool {
        (self.text.as_str(), self.weight) == BREAK
    }
}

/// Divides a prompt into fragments. Where the `placeholder` stands nothing is read, even
/// if there are brackets in it.
///
/// # Errors
/// If a weight is no number (`(word:1.2.3)`) or the product of weights is too large.
pub fn parse(prompt: &str, placeholder: Option<&str>) -> Result<Vec<Fragment>> {
    let mut parser = Parser::default();
    let mut at = 0;
    for found in placeholder.map_or(Vec::new(), |p| occurrences(prompt, p, char::is_alphanumeric)) {
        parser.read(&prompt[at..found.start])?;
        parser.push(&prompt[found.clone()]);
        at = found.end;
    }
    parser.read(&prompt[at..])?;
    parser.finish()
}

/// Fragments so far, and where brackets that are still open began among them.
#[derive(Default)]
struct Parser {
    fragments: Vec<Fragment>,
    round: Vec<usize>,
    square: Vec<usize>,
}

impl Parser {
    fn push(&mut self, text: &str) {
        self.fragments.push(Fragment::new((text, 1.0)));
    }

    fn read(&mut self, mut rest: &str) -> Result<()> {
        while let Some(sign) = rest.chars().next() {
            let (token, behind) = rest.split_at(token_length(rest));
            rest = behind;
            match sign {
                '\\' => self.push(&token[1..]),
                '(' => self.round.push(self.fragments.len()),
                '[' => self.square.push(self.fragments.len()),
                ')' if let Some(from) = self.round.pop() => self.multiply(from, STEP),
                ']' if let Some(from) = self.square.pop() => self.multiply(from, 1.0 / STEP),
                ':' if token.len() > 1
                    && let Some(from) = self.round.pop() =>
                {
                    self.multiply(from, weight(&token[1..token.len() - 1])?);
                }
                _ => self.text(token),
            }
        }
        Ok(())
    }

    /// Text, with a break for each `BREAK` in it.
    fn text(&mut self, text: &str) {
        let mut at = 0;
        for found in breaks(text) {
            self.push(&text[at..found.start]);
            self.fragments.push(Fragment::new(BREAK));
            at = found.end;
        }
        self.push(&text[at..]);
    }

    fn multiply(&mut self, from: usize, factor: f64) {
        self.fragments[from..].iter_mut().for_each(|fragment| fragment.weight *= factor);
    }

    /// Closes what is open and joins neighbours of one weight.
    fn finish(mut self) -> Result<Vec<Fragment>> {
        std::mem::take(&mut self.round).into_iter().for_each(|from| self.multiply(from, STEP));
        let square = std::mem::take(&mut self.square);
        square.into_iter().for_each(|from| self.multiply(from, 1.0 / STEP));
        if let Some(wrong) = self.fragments.iter().find(|f| !f.weight.is_finite()) {
            return Err(Error::Weight(format!("of \"{}\", with all its brackets,", wrong.text)));
        }
        let mut joined: Vec<Fragment> = Vec::new();
        for fragment in self.fragments {
            match joined.last_mut() {
                Some(last) if last.weight == fragment.weight => last.text += &fragment.text,
                _ => joined.push(fragment),
            }
        }
        if joined.is_empty() {
            joined.push(Fragment::new(("", 1.0)));
        }
        Ok(joined)
    }
}

/// Bytes of the token that a text begins with.
fn token_length(text: &str) -> usize {
    let special = |c: char| matches!(c, '\\' | '(' | ')' | '[' | ']' | ':');
    let signs = text.as_bytes();
    match signs[0] {
        b'\\' if signs.get(1).is_some_and(|sign| b"()[]\\".contains(sign)) => 2,
        b':' => weight_length(text).unwrap_or(1),
        _ if text.starts_with(special) => 1,
        _ => text.find(special).unwrap_or(text.len()),
    }
}

/// Bytes of a `:1.3)` that a text begins with.
fn weight_length(text: &str) -> Option<usize> {
    let unsigned = text[1..].strip_prefix(['+', '-']).unwrap_or(&text[1..]);
    let behind = unsigned.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let closed = behind.starts_with(')') && behind.len() < unsigned.len();
    closed.then(|| text.len() - behind.len() + 1)
}

fn weight(digits: &str) -> Result<f64> {
    digits.parse().map_err(|_| Error::Weight(format!("\"{digits}\"")))
}

/// Where `BREAK` stands as a word, with the space around it.
fn breaks(text: &str) -> Vec<Range<usize>> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let alone = |found: &Range<usize>| {
        !text[..found.start].ends_with(word) && !text[found.end..].starts_with(word)
    };
    let mut taken = 0;
    text.match_indices(BREAK.0)
        .map(|(at, found)| at..at + found.len())
        .filter(alone)
        .map(|found| {
            let start = taken.max(text[..found.start].trim_end().len());
            taken = text.len() - text[found.end..].trim_start().len();
            start..taken
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(prompt: &str) -> Vec<(String, f64)> {
        let fragments = parse(prompt, Some("*")).unwrap_or_else(|e| panic!("{prompt}: {e}"));
        fragments.into_iter().map(|f| (f.text, f.weight)).collect()
    }

    fn assert_read(prompt: &str, expected: &[(&str, f64)]) {
        let expected: Vec<_> = expected.iter().map(|&(text, w)| (text.to_owned(), w)).collect();
        assert_eq!(pairs(prompt), expected, "{prompt}");
    }

    /// The examples in the documentation of AUTOMATIC1111's `parse_prompt_attention`.
    #[test]
    fn examples_of_the_original() {
        assert_read("normal text", &[("normal text", 1.0)]);
        assert_read("an (important) word", &[("an ", 1.0), ("important", 1.1), (" word", 1.0)]);
        assert_read("(unbalanced", &[("unbalanced", 1.1)]);
        assert_read(r"\(literal\]", &[("(literal]", 1.0)]);
        assert_read("(unnecessary)(parens)", &[("unnecessaryparens", 1.1)]);
        assert_read(
            "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
            &[
                ("a ", 1.0),
                ("house", 1.573_000_000_000_000_4),
                (" ", 1.1),
                ("on", 1.0),
                (" a ", 1.1),
                ("hill", 0.55),
                (", sun, ", 1.1),
                ("sky", 1.464_100_000_000_000_6),
                (".", 1.1),
            ],
        );
    }

    #[test]
    fn a_break_is_a_word_of_its_own() {
        assert_read("a BREAK b", &[("a", 1.0), ("BREAK", -1.0), ("b", 1.0)]);
        assert_read("BREAKFAST, break", &[("BREAKFAST, break", 1.0)]);
        let twice = [("", 1.0), ("BREAK", -1.0), ("", 1.0), ("BREAK", -1.0), ("", 1.0)];
        assert_read("BREAK BREAK", &twice);
        let inside = parse("(a BREAK b:1.2)", None).unwrap();
        assert!(inside.len() == 3 && !inside.iter().any(Fragment::is_break), "{inside:?}");
    }

    #[test]
    fn a_placeholder_keeps_its_brackets() {
        let read = |prompt| parse(prompt, Some("[V:1]")).unwrap();
        let fragment = |text: &str, weight| Fragment { text: text.into(), weight };
        assert_eq!(read("a [V:1] cat"), [fragment("a [V:1] cat", 1.0)]);
        let weighted = [fragment("a ", 1.0), fragment("[V:1]", 1.3), fragment(" cat", 1.0)];
        assert_eq!(read("a ([V:1]:1.3) cat"), weighted);
    }

    #[test]
    fn weights_that_are_no_numbers_are_refused() {
        for prompt in ["(a:1.2.3)", "(a:.)", "((a:+..)"] {
            let error = parse(prompt, None).unwrap_err();
            assert!(error.is_usage() && error.to_string().contains("(word:1.3)"), "{error}");
        }
        let large = format!("({}:{}0)", "a", "9".repeat(400));
        assert!(parse(&large, None).unwrap_err().to_string().contains("of \"a\""));
        // Without an open bracket it is text.
        assert_read("a:1.2.3)", &[("a:1.2.3)", 1.0)]);
    }
}
