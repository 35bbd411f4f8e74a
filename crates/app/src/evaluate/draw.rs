//! Pictures that an adapter draws to be judged.

use std::path::{Path, PathBuf};

use evaluate::{prompts, study::Sample};
use formats::TensorFile;
use personalize::adapter::Info;

use super::{Judged, prompt_folder, settings};
use crate::{
    Compute, DEFAULT_BASE, Error, Events, Result, generate, lora::open_base, series::Series,
};

/// What is drawn.
#[derive(Clone, Debug)]
pub struct Drawing {
    /// How; prompt, count and output are filled in.
    pub options: generate::Options,
    /// A set of prompts of ours, or a file of them.
    pub prompts: PathBuf,
    /// Pictures of each prompt; picture i has the first seed + i.
    pub samples: usize,
}

/// Where the pictures go, in the folder of the report.
const FOLDER: &str = "pictures";

/// The most pictures of a prompt.
const MOST: usize = 10_000;

/// What is drawn, and what of it is there.
pub(super) struct Plan {
    info: Info,
    prompts: Vec<String>,
    series: Series,
    /// The base model is the one inside the program.
    inside: bool,
    recipe: Vec<(String, String)>,
}

impl Plan {
    /// Finds out what is to be drawn into the folder of a report.
    ///
    /// # Errors
    /// If the adapter or the prompts cannot be read, or a picture is there that was drawn
    /// otherwise.
    pub fn new(
        drawing: &Drawing,
        output: &Path,
        compute: &Compute,
        events: &mut dyn Events,
    ) -> Result<Self> {
        let Drawing { options, samples, .. } = drawing;
        let samples = *samples;
        Error::unless_within("--samples", samples, MOST)?;
        let Some(adapter) = &options.adapter else {
            return Err(Error::Usage("--adapter is missing: it draws what is judged".into()));
        };
        let info = Info::from_metadata(&TensorFile::open(adapter)?)?;
        let prompts = prompts::read(&drawing.prompts, &info.placeholder)?;
        let base = open_base(compute, &options.base, &[], events)?;
        let guidance = generate::guidance(options, &base, Some(&info.method))?;
        // Pictures that are there are compared with it.
        let options = &generate::Options {
            guidance: Some(guidance.text),
            reference_guidance: Some(guidance.reference),
            ..options.clone()
        };
        let job = |(number, prompt): (usize, &String)| generate::Options {
            prompt: prompt.clone(),
            output: output.join(FOLDER).join(prompt_folder(number, prompt)),
            ..options.clone()
        };
        let jobs = prompts.iter().enumerate().map(job).collect();
        let series = Series::new(jobs, samples)?;
        let inside = options.base == Path::new(DEFAULT_BASE);
        Ok(Self { info, prompts, series, inside, recipe: settings(options) })
    }

    /// What is judged once all is drawn.
    pub fn judged(&self) -> Judged {
        let place = |(prompt, files): (usize, Vec<PathBuf>)| {
            let sample = move |file| Sample { concept: 0, method: 0, prompt, file };
            files.into_iter().map(sample)
        };
        Judged {
            methods: vec![self.info.method.clone()],
            samples: self.series.files().into_iter().enumerate().flat_map(place).collect(),
            prompts: self.prompts.clone(),
            placeholder: self.info.placeholder.clone(),
            class_word: Some(self.info.init_word.clone()).filter(|word| !word.is_empty()),
            inside: self.inside,
            recipe: self.recipe.clone(),
        }
    }

    /// Draws what is missing.
    pub fn draw(self, compute: &Compute, events: &mut dyn Events) -> Result<()> {
        self.series.draw(compute, events)
    }
}
