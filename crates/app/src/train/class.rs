//! Pictures of the classes, which keep a base model from forgetting them (prior
//! preservation; Ruiz et al. 2023).

use std::path::{Path, PathBuf};

use diffusion::denoise::TextDenoiser;
use images::{read_folder, write_png};
use personalize::{
    Error as RunError, Recipe, Result as RunResult, captions,
    generate::{Drawn, Job, Start, Watch, draw},
};

use super::{Logged, encoding::Photos, steps::Parts};
use crate::{Error, Event, Events, Result, pictures::numbered};

/// How the base draws them: the sampler that needs the fewest steps.
pub(super) const SAMPLER: &str = "dpmpp-2m-karras";
/// Its steps.
pub(super) const STEPS: usize = 20;

/// Passes of the U-Net for one picture, which has guidance.
pub(super) const PASSES: usize = 2 * STEPS;

const NAME: &str = "picture";

/// Checks that the user's own pictures are of all classes or of none.
pub(super) fn check(folders: &[PathBuf], recipe: &Recipe) -> Result<()> {
    let things = 1 + recipe.concepts.len();
    match folders.len() {
        0 => Ok(()),
        _ if recipe.prior_weight == 0.0 => Err(Error::Usage(format!(
            "--regularization-images means nothing without --prior-weight, and {} has none",
            recipe.method
        ))),
        found if found != things => Err(Error::Usage(format!(
            "--regularization-images names {found} folders, expected {things}: one for the thing \
             and one for each --concept, in this order"
        ))),
        _ => Ok(()),
    }
}

/// The pictures for the thing and each concept: those in the run's folder, and behind
/// them new ones that the base draws, until there are as many as the recipe asks for.
pub(super) fn pictures(parts: &Parts, logged: &mut Logged) -> Result<Vec<Photos>> {
    let recipe = &parts.run.recipe;
    let mut all = Vec::new();
    for concept in 0..=recipe.concepts.len() {
        let folder = logged.folder.class(concept);
        crate::generate::writable(&folder)?;
        let wanted = 1..=recipe.prior_images;
        let missing: Vec<usize> =
            wanted.filter(|&n| !numbered(&folder, NAME, n).is_file()).collect();
        if !missing.is_empty() {
            let caption = captions::of_class(recipe, concept);
            let count = missing.len();
            (logged as &mut dyn Events).stage(format!("drawing {count} of \"{caption}\""));
            drawn(parts, &caption, &folder, &missing, logged)?;
        }
        all.push(read_folder(&folder)?.photos);
    }
    Ok(all)
}

/// Draws pictures, each from a seed of its own number, and writes them.
fn drawn(
    parts: &Parts,
    caption: &str,
    folder: &Path,
    numbers: &[usize],
    logged: &mut Logged,
) -> Result<()> {
    let recipe = &parts.run.recipe;
    let decoder = parts.base.vae_decoder()?;
    let model = parts.model(&decoder);
    let prompts = ["", caption].map(|text| parts.tokenizer.encode(text, None));
    let [nothing, class] = prompts;
    let context = parts.text.forward(&[nothing?, class?], None);
    for (done, &number) in numbers.iter().enumerate() {
        let seed = recipe.seed.wrapping_add(number as u64);
        let job = Job { sampler: SAMPLER.into(), steps: STEPS, seed, ..Job::new("", recipe.size) };
        let (unet, context, guidance) = (parts.unet, context.clone(), job.guidance);
        let mut denoiser = TextDenoiser { unet, context, guidance };
        let mut watch = One { logged, done, total: numbers.len(), picture: None };
        draw(&model, &mut denoiser, &job, Start::Noise, &mut watch)?;
        if let Some(drawn) = watch.picture {
            let path = numbered(folder, NAME, number);
            write_png(&path, &drawn.picture, &[] as &[(&str, &str)])?;
        }
    }
    Ok(())
}

/// One picture of many.
struct One<'a, 'b> {
    logged: &'a mut Logged<'b>,
    done: usize,
    total: usize,
    picture: Option<Drawn>,
}

impl Watch for One<'_, '_> {
    fn step(&mut self, done: usize, total: usize) -> RunResult<()> {
        let (done, total) = (self.done * total + done, self.total * total);
        self.logged.event(&Event::Drawing { done, total });
        if self.logged.stopped() { Err(RunError::Stopped) } else { Ok(()) }
    }

    fn picture(&mut self, drawn: Drawn) -> RunResult<()> {
        self.picture = Some(drawn);
        Ok(())
    }
}
