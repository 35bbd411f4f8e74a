//! What is judged: concepts x methods x prompts x samples.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Pictures that methods drew of concepts, for prompts, several samples each.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Study {
    /// What was learned.
    pub concepts: Vec<Concept>,
    /// How: the names of methods.
    pub methods: Vec<String>,
    /// The pictures.
    pub samples: Vec<Sample>,
}

/// One learned thing.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Concept {
    /// Its name.
    pub name: String,
    /// The photos it was learned from.
    pub photos: Vec<PathBuf>,
    /// What was drawn, with the placeholder as it was typed.
    pub prompts: Vec<String>,
    /// The text that stands for the thing in the prompts.
    pub placeholder: String,
    /// What kind of thing it is, such as `toy`, if that is known.
    pub class_word: Option<String>,
}

/// One drawn picture.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Sample {
    /// Index of the concept.
    pub concept: usize,
    /// Index of the method.
    pub method: usize,
    /// Index of the prompt among the concept's.
    pub prompt: usize,
    /// The picture.
    pub file: PathBuf,
}

impl Study {
    /// The indices of a cell's samples.
    pub fn cell(&self, concept: usize, method: usize, prompt: usize) -> Vec<usize> {
        let inside = |sample: &Sample| {
            (sample.concept, sample.method, sample.prompt) == (concept, method, prompt)
        };
        (0..self.samples.len()).filter(|&i| inside(&self.samples[i])).collect()
    }
}
