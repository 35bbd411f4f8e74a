use std::path::PathBuf;

use evaluate::prompts;
use serde::{Deserialize, Serialize};

use crate::Result;

/// Where prompts come from, as files of settings name it; `{}` or the placeholder stands
/// for the thing.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Prompts {
    /// A set of the program's, or a file with one a line.
    Set(PathBuf),
    /// The prompts themselves.
    List(Vec<String>),
}

impl Prompts {
    /// The prompts with the placeholder in place; `source` names a list in errors.
    ///
    /// # Errors
    /// If a file cannot be read, or there is no prompt, or one without a place for the thing.
    pub(crate) fn read(&self, placeholder: &str, source: &str) -> Result<Vec<String>> {
        Ok(match self {
            Self::Set(set) => prompts::read(set, placeholder)?,
            Self::List(list) => {
                prompts::placed(list.iter().map(String::as_str), placeholder, source)?
            }
        })
    }
}
