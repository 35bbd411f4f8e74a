//! Scores on the way: what was typed, and the settings it amounts to.

use std::path::PathBuf;

use diffusion::Schedule;
use personalize::{
    Recipe,
    generate::{Guidance, Job},
    methods,
};
use serde::{Deserialize, Serialize};

use super::class;
use crate::{
    Error, Result,
    evaluate::{Convention, Prompts},
    series,
};

/// What was typed, or stands in a file. Nothing is scored without `evaluate_every`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct EvaluationOptions {
    /// Steps between evaluations; 0 for none. There is one after the last step too.
    pub evaluate_every: Option<u64>,
    /// So many evaluations in a row without a better one end the training; 0 for never.
    pub stop_when_no_better: Option<u64>,
    /// What is drawn.
    pub prompts: Option<Prompts>,
    /// Pictures of each prompt.
    pub samples: Option<usize>,
    /// Sampling steps.
    pub sampling_steps: Option<usize>,
    /// Guidance scale.
    pub guidance: Option<f64>,
    /// Guidance scale of the references.
    pub reference_guidance: Option<f64>,
    /// Sampler.
    pub sampler: Option<String>,
    /// Seed of the first picture of each prompt.
    pub seed: Option<u64>,
    /// CLIP: as for [`evaluate`](crate::evaluate::Options::clip).
    pub clip: Option<PathBuf>,
    /// DINO, the same.
    pub dino: Option<PathBuf>,
    /// What of a prompt a picture is compared with.
    pub convention: Option<Convention>,
}

/// Keys of [`EvaluationOptions`] that a method of a benchmark may have.
pub(crate) const KEYS_OF_METHODS: [&str; 3] =
    ["evaluate_every", "stop_when_no_better", "sampling_steps"];

/// Settings of the evaluations of a run, the section `evaluation` of its recipe. They decide
/// nothing that is learned but, with `stop_when_no_better`, when it ends.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Steps between evaluations; 0 for no further ones.
    pub evaluate_every: u64,
    /// So many in a row without a better one end the training; 0 for never.
    pub stop_when_no_better: u64,
    /// What is drawn, with the placeholder.
    pub prompts: Vec<String>,
    /// Pictures of each prompt.
    pub samples: usize,
    /// Sampling steps.
    pub sampling_steps: usize,
    /// Guidance scale.
    pub guidance: f64,
    /// Guidance scale of the references.
    #[serde(default = "one")]
    pub reference_guidance: f64,
    /// Sampler.
    pub sampler: String,
    /// Seed of the first picture of each prompt, the same at every evaluation.
    pub seed: u64,
    /// CLIP, as it was typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<PathBuf>,
    /// DINO, as it was typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dino: Option<PathBuf>,
    /// What of a prompt a picture is compared with.
    pub convention: Convention,
    /// The encoders that were found, with the beginnings of their SHA-256.
    pub encoders: Vec<String>,
}

fn one() -> f64 {
    1.0
}

/// Scenes for any thing, animals too: every evaluation costs a picture for each sample of
/// each.
const PROMPTS: [&str; 4] = [
    "a photo of {} in the jungle",
    "a photo of {} in the snow",
    "a photo of {} on the beach",
    "a photo of {} with a city in the background",
];

/// The fewest that show whether all pictures become the same.
const SAMPLES: usize = 2;

/// The most pictures of a prompt.
const MOST_SAMPLES: usize = 1000;

impl EvaluationOptions {
    /// Takes from another what is missing here.
    pub(super) fn fill(&mut self, other: &Self) {
        fn put<T: Clone>(value: &mut Option<T>, other: &Option<T>) {
            if value.is_none() {
                value.clone_from(other);
            }
        }
        put(&mut self.evaluate_every, &other.evaluate_every);
        put(&mut self.stop_when_no_better, &other.stop_when_no_better);
        put(&mut self.prompts, &other.prompts);
        put(&mut self.samples, &other.samples);
        put(&mut self.sampling_steps, &other.sampling_steps);
        put(&mut self.guidance, &other.guidance);
        put(&mut self.reference_guidance, &other.reference_guidance);
        put(&mut self.sampler, &other.sampler);
        put(&mut self.seed, &other.seed);
        put(&mut self.clip, &other.clip);
        put(&mut self.dino, &other.dino);
        put(&mut self.convention, &other.convention);
    }

    /// The settings for a training, or for one that goes on; none if nothing is scored.
    /// `own` are the base model's own scales, `inside` true for the one inside the program.
    ///
    /// # Errors
    /// If something was typed that means nothing or cannot be, or if a run that goes on
    /// would be scored otherwise than before.
    pub(crate) fn settled(
        &self,
        old: Option<&Evaluation>,
        recipe: &Recipe,
        schedule: &Schedule,
        own: Guidance,
        inside: bool,
    ) -> Result<Option<Evaluation>> {
        let mut all = self.clone();
        if let Some(old) = old {
            all.fill(&old.options());
        }
        let Some(evaluate_every) = all.evaluate_every else { return all.nothing() };
        if evaluate_every == 0 && old.is_none() {
            return Ok(None);
        }
        let default = || Prompts::List(PROMPTS.map(str::to_owned).to_vec());
        let prompts = all.prompts.unwrap_or_else(default).read(&recipe.placeholder, "prompts")?;
        let usual = Job::new("", recipe.size);
        let evaluation = Evaluation {
            evaluate_every,
            stop_when_no_better: all.stop_when_no_better.unwrap_or(0),
            prompts,
            samples: all.samples.unwrap_or(SAMPLES),
            sampling_steps: all.sampling_steps.unwrap_or(class::STEPS),
            guidance: all.guidance.unwrap_or(own.text),
            reference_guidance: all.reference_guidance.unwrap_or(own.reference),
            sampler: all.sampler.unwrap_or_else(|| class::SAMPLER.into()),
            seed: all.seed.unwrap_or(usual.seed),
            clip: all.clip,
            dino: all.dino,
            convention: all.convention.unwrap_or_default(),
            encoders: old.map_or_else(Vec::new, |old| old.encoders.clone()),
        };
        evaluation.check(recipe, schedule, inside)?;
        if old.is_some_and(|old| !evaluation.scores_as(old)) {
            return Err(Error::Usage(
                "a resumed run is scored as it was before (section [evaluation] of its recipe.toml); \
                 only --evaluate-every and --stop-when-no-better may change: leave the others out"
                    .into(),
            ));
        }
        Ok(Some(evaluation))
    }

    /// Refuses what is typed beside no `evaluate_every`.
    fn nothing(&self) -> Result<Option<Evaluation>> {
        let typed = [
            ("--stop-when-no-better", self.stop_when_no_better.is_some()),
            ("--prompts", self.prompts.is_some()),
            ("--samples", self.samples.is_some()),
            ("--sampling-steps", self.sampling_steps.is_some()),
            ("--guidance", self.guidance.is_some()),
            ("--reference-guidance", self.reference_guidance.is_some()),
            ("--sampler", self.sampler.is_some()),
            ("evaluation.seed", self.seed.is_some()),
            ("--clip", self.clip.is_some()),
            ("--dino", self.dino.is_some()),
            ("--convention", self.convention.is_some()),
        ];
        match typed.into_iter().find(|(_, typed)| *typed) {
            Some((option, _)) => {
                let what = "means nothing to a training that is not scored on the way: add \
                            --evaluate-every N";
                Err(Error::Usage(format!("{option} {what}")))
            }
            None => Ok(None),
        }
    }
}

impl Evaluation {
    /// True if there are further evaluations.
    pub(crate) fn is_on(&self) -> bool {
        self.evaluate_every > 0
    }

    fn check(&self, recipe: &Recipe, schedule: &Schedule, inside: bool) -> Result<()> {
        Error::unless_within("--samples", self.samples, MOST_SAMPLES)?;
        Error::unless_within("--sampling-steps", self.sampling_steps, schedule.len())?;
        self.job(recipe.size).plan(schedule)?;
        if self.reference_guidance != 1.0 && !methods::looks_at_references(&recipe.method) {
            let what = format!(
                "--reference-guidance is {}, but {} looks at no reference: leave it out",
                self.reference_guidance, recipe.method
            );
            return Err(Error::Usage(what));
        }
        self.check_encoders(inside)
    }

    /// The best is decided by two likenesses, for one of which there must be a CLIP.
    fn check_encoders(&self, inside: bool) -> Result<()> {
        match (&self.clip, &self.dino) {
            (None, Some(_)) => Err(Error::Usage(
                "--evaluate-every needs --clip beside --dino: which step is best is decided by \
                 likeness to the photos and to the prompts, for likeness to the photos alone \
                 prefers copies of them"
                    .into(),
            )),
            (None, None) if !inside => Err(Error::Usage(
                "--evaluate-every has no encoder to score with: add --clip \
                 openai/clip-vit-base-patch32 and --dino facebook/dino-vits16 (ids at the Hugging \
                 Face hub; folders and files on disk will do); those inside the program (toybox) \
                 know nothing but pictures that toybox drew"
                    .into(),
            )),
            _ => Ok(()),
        }
    }

    /// How pictures of a prompt are drawn, but for the prompt.
    pub(super) fn job(&self, size: usize) -> Job {
        Job {
            sampler: self.sampler.clone(),
            steps: self.sampling_steps,
            guidance: self.guidance,
            reference_guidance: self.reference_guidance,
            seed: self.seed,
            count: self.samples,
            ..Job::new("", size)
        }
    }

    /// True if scores compare with those of other settings.
    fn scores_as(&self, other: &Self) -> bool {
        let Self { evaluate_every, stop_when_no_better, .. } = *self;
        *self == Self { evaluate_every, stop_when_no_better, ..other.clone() }
    }

    fn options(&self) -> EvaluationOptions {
        EvaluationOptions {
            evaluate_every: Some(self.evaluate_every),
            stop_when_no_better: Some(self.stop_when_no_better),
            prompts: Some(Prompts::List(self.prompts.clone())),
            samples: Some(self.samples),
            sampling_steps: Some(self.sampling_steps),
            guidance: Some(self.guidance),
            reference_guidance: Some(self.reference_guidance),
            sampler: Some(self.sampler.clone()),
            seed: Some(self.seed),
            clip: self.clip.clone(),
            dino: self.dino.clone(),
            convention: Some(self.convention),
        }
    }

    /// A sentence for people.
    pub(super) fn sentence(&self) -> String {
        let Self { evaluate_every, stop_when_no_better, prompts, encoders, .. } = self;
        let (pictures, encoders) = (self.pictures(), encoders.join(" and "));
        let end = match stop_when_no_better {
            0 => String::new(),
            some => format!("; {some} in a row without a better one end the training"),
        };
        format!(
            "every {evaluate_every} steps and at the end {pictures} pictures of {} prompts are \
             scored by {encoders}{end}",
            prompts.len()
        )
    }

    /// Pictures of an evaluation.
    pub(super) fn pictures(&self) -> usize {
        self.prompts.len() * self.samples
    }

    /// Whether there is one after a step, of so many in all.
    pub(super) fn is_due(&self, step: u64, steps: u64) -> bool {
        let here = step == steps || step.is_multiple_of(self.evaluate_every);
        self.is_on() && step > 0 && here
    }

    /// Evaluations after the steps that were taken, at most.
    pub(super) fn left(&self, taken: u64, steps: u64) -> u64 {
        if !self.is_on() || taken >= steps {
            return 0;
        }
        let every = self.evaluate_every;
        steps.div_ceil(every) - taken / every
    }

    /// Passes of the U-Net for one sample that those amount to.
    pub(crate) fn passes(&self, recipe: &Recipe, taken: u64) -> f64 {
        let steps = self.pictures() * self.sampling_steps;
        let one = series::passes(&recipe.method, self.job(recipe.size).scales(), steps);
        one * self.left(taken, recipe.steps) as f64
    }
}

#[cfg(test)]
mod tests {
    use diffusion::config::ScheduleConfig;

    use super::*;

    fn evaluation(evaluate_every: u64) -> Evaluation {
        let options = EvaluationOptions {
            evaluate_every: Some(evaluate_every),
            clip: Some("clip".into()),
            ..EvaluationOptions::default()
        };
        let recipe = Recipe::vico("toy", 64);
        let schedule = Schedule::new(&ScheduleConfig::default());
        options
            .settled(None, &recipe, &schedule, Job::new("", 64).scales(), false)
            .unwrap()
            .unwrap()
    }

    #[test]
    fn there_is_one_every_so_often_and_after_the_last_step() {
        let evaluation = evaluation(4);
        let due: Vec<u64> = (0..=10).filter(|&step| evaluation.is_due(step, 10)).collect();
        assert_eq!(due, [4, 8, 10]);
        for taken in 0..=10 {
            let left = due.iter().filter(|&&step| step > taken).count();
            assert_eq!(evaluation.left(taken, 10), left as u64, "after {taken}");
        }
        assert_eq!(evaluation.left(0, 8), 2);
        let recipe = Recipe { steps: 8, ..Recipe::vico("toy", 64) };
        assert_eq!(evaluation.passes(&recipe, 4), (8 * 20 * 3) as f64);
    }
}
