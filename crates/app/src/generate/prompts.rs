//! The prompts of a run: the one that was typed, or those of a file.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use diffusion::tokenizer::emphasis;

use super::Options;
use crate::{Error, Result};

/// The most that a file of prompts may hold.
const LIMIT: u64 = 1 << 20;

/// What a line begins with that is no prompt.
const COMMENT: char = '#';

/// A prompt, and where it stands.
pub(super) struct Typed {
    pub prompt: String,
    /// File and line, counted from 1.
    place: Option<(PathBuf, usize)>,
}

impl Typed {
    /// The prompts of a run, at least one.
    ///
    /// # Errors
    /// If the file cannot be read, or holds none.
    pub fn all(options: &Options) -> Result<Vec<Self>> {
        match &options.prompt_file {
            Some(path) => read(path),
            None => Ok(vec![Self { prompt: options.prompt.clone(), place: None }]),
        }
    }

    /// Names file and line in an error about the prompt.
    pub fn located<T, E: Into<Error>>(&self, result: std::result::Result<T, E>) -> Result<T> {
        let Some((path, line)) = &self.place else { return result.map_err(Into::into) };
        result.map_err(|error| {
            Error::Usage(format!("{}, line {line}: {}", path.display(), error.into()))
        })
    }

    /// The texts in the prompt without the signs of their weights.
    pub fn texts(&self, placeholder: Option<&str>) -> Result<Vec<String>> {
        self.located(texts(&self.prompt, placeholder))
    }
}

/// The texts in a prompt without the signs of their weights.
pub(super) fn texts(prompt: &str, placeholder: Option<&str>) -> Result<Vec<String>> {
    let fragments = emphasis::parse(prompt, placeholder)?;
    Ok(fragments.into_iter().map(|fragment| fragment.text).collect())
}

fn read(path: &Path) -> Result<Vec<Typed>> {
    let wrong = |what: &dyn fmt::Display| Error::path(path, what);
    let size = path.metadata().map_err(|e| wrong(&e))?.len();
    if size > LIMIT {
        let what = format!("is {size} bytes long, expected a file of at most {LIMIT} bytes");
        return Err(wrong(&what));
    }
    let text = std::fs::read_to_string(path).map_err(|e| wrong(&e))?;
    let typed: Vec<Typed> = lines(&text)
        .map(|(line, prompt)| Typed {
            prompt: prompt.to_owned(),
            place: Some((path.to_owned(), line)),
        })
        .collect();
    if typed.is_empty() {
        return Err(wrong(&"holds no prompt: write one a line"));
    }
    Ok(typed)
}

/// Prompts with the numbers of their lines.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.lines().zip(1..).map(|(line, number)| (number, line.trim()));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with(COMMENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_prompts_but_for_empty_ones_and_remarks() {
        let text = "\u{feff}a *\r\n\r\n  # the sea\n  a * # 2 \n\t\nlast";
        let read: Vec<_> = lines(text).collect();
        assert_eq!(read, [(1, "a *"), (4, "a * # 2"), (6, "last")]);
    }
}
