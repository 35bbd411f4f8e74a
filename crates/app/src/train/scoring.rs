//! Scores of what is learned, on the way, and which was best.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use evaluate::{
    Encoder, Features, Study,
    scores::{self, Metric, Summary, balance},
    study::{Concept, Sample},
};
use images::{Picture, labelled_sheet, write_png};
use personalize::{Recipe, dataset::Dataset, generate::Job, methods::Method, trainer::Trainer};

use super::{
    Evaluation, Logged,
    encoding::Photos,
    preview::{GAP, Preview, Wanted},
    steps::Parts,
};
use crate::{
    Compute, DEFAULT_BASE, Error, Event, Events, Result, Scored,
    evaluate::Encoders,
    event::Quiet,
    run_folder::{Run, RunFolder},
};

/// Encoders, and what they look at beside the pictures.
pub(super) struct Judge {
    encoders: Encoders,
    study: Study,
    compute: Compute,
}

impl Judge {
    /// Finds the encoders of a run that is scored, opens each once, and records which they
    /// are; none if it is not.
    ///
    /// # Errors
    /// If one cannot be had, or is another than before.
    pub fn of(
        run: &mut Run,
        photos: &Photos,
        compute: &Compute,
        events: &mut dyn Events,
    ) -> Result<Option<Self>> {
        let Run { recipe, inputs, evaluation, .. } = run;
        let Some(evaluation) = evaluation.as_mut().filter(|e| e.is_on()) else { return Ok(None) };
        let [clip, dino] = [&evaluation.clip, &evaluation.dino].map(Option::as_deref);
        let inside = inputs.base == Path::new(DEFAULT_BASE);
        let encoders = Encoders::find(clip, dino, inside, events)?;
        let found = encoders.check(compute)?;
        let was = std::mem::replace(&mut evaluation.encoders, found);
        if !was.is_empty() && was != evaluation.encoders {
            return Err(Error::Usage(format!(
                "the run was scored by {}, and is now by {}: put those back, or turn evaluations off \
                 (--evaluate-every 0)",
                was.join(" and "),
                evaluation.encoders.join(" and ")
            )));
        }
        events.note(evaluation.sentence());
        let study = study(evaluation, photos, recipe)?;
        Ok(Some(Self { encoders, study, compute: compute.clone() }))
    }

    /// Means over pictures, prompt by prompt.
    fn scores(
        &self,
        evaluation: &Evaluation,
        pictures: &[Picture],
        events: &mut dyn Events,
    ) -> Result<Summary> {
        let look = |study: &Study, encoder: &Encoder, texts: &[Vec<String>], _: &mut dyn Events| {
            Ok(Features::around(encoder.pictures(pictures), study, encoder, texts)?)
        };
        let (convention, seconds) = (evaluation.convention, &mut BTreeMap::new());
        let Self { encoders, study, compute } = self;
        let scores = encoders.score(study, convention, &look, seconds, compute, events)?;
        let method = scores.methods.into_iter().next().expect("a study of one method");
        Ok(method.overall)
    }
}

/// What is judged in a training: its first thing, drawn by an evaluation's prompts.
///
/// # Errors
/// If what its pictures are to be compared with is not known.
fn study(evaluation: &Evaluation, photos: &Photos, recipe: &Recipe) -> Result<Study> {
    let Recipe { placeholder, init_word, .. } = recipe;
    let concept = Concept {
        name: init_word.clone(),
        photos: photos.iter().map(|(path, _)| path.clone()).collect(),
        prompts: evaluation.prompts.clone(),
        placeholder: placeholder.clone(),
        class_word: Some(init_word.clone()),
    };
    // The pictures are never files of their own.
    let sample = |prompt| Sample { concept: 0, method: 0, prompt, file: PathBuf::new() };
    let prompts = 0..evaluation.prompts.len();
    let samples = prompts.flat_map(|prompt| (0..evaluation.samples).map(move |_| sample(prompt)));
    let samples = samples.collect();
    let study = Study { concepts: vec![concept], methods: vec!["training".into()], samples };
    scores::texts(&study, evaluation.convention)?;
    Ok(study)
}

/// The evaluations of a run so far.
#[derive(Default)]
struct Progress {
    /// Steps and score of the best.
    best: Option<(u64, f64)>,
    /// Steps of the last.
    last: u64,
    /// How many there were.
    count: u64,
    /// How many in a row found none better.
    without: u64,
}

impl Progress {
    fn of(scored: &[(u64, f64)]) -> Self {
        let mut progress = Self::default();
        for &(step, score) in scored {
            progress.add(step, score);
        }
        progress
    }

    /// Adds one; whether it is the best so far. The first of equals stays the best.
    fn add(&mut self, step: u64, score: f64) -> bool {
        let better = self.best.is_none_or(|(_, best)| score > best);
        if better {
            self.best = Some((step, score));
        }
        self.without = if better { 0 } else { self.without + 1 };
        (self.last, self.count) = (step, self.count + 1);
        better
    }
}

/// The evaluations of a training under way.
pub(super) struct Scoring<'a> {
    evaluation: &'a Evaluation,
    judge: &'a Judge,
    progress: Progress,
}

impl<'a> Scoring<'a> {
    /// Of a run that begins, or goes on where its metrics end; none if nothing judges it.
    ///
    /// # Errors
    /// If one of the prompts cannot be read: better now than after the first steps.
    pub fn of(
        parts: &Parts<'a>,
        method: &dyn Method,
        judge: Option<&'a Judge>,
        folder: &RunFolder,
    ) -> Result<Option<Self>> {
        let run = parts.run;
        let (Some(evaluation), Some(judge)) = (&run.evaluation, judge) else { return Ok(None) };
        for prompt in &evaluation.prompts {
            let job = Job::new(prompt, run.recipe.size);
            job.prompts(parts.tokenizer, Some(parts.placeholder(method)), false)?;
        }
        let progress = Progress::of(&folder.scored()?);
        Ok(Some(Self { evaluation, judge, progress }))
    }

    /// True once too many evaluations in a row found none better.
    fn is_over(&self) -> bool {
        let most = self.evaluation.stop_when_no_better;
        most > 0 && self.progress.without >= most
    }

    /// Draws and judges.
    fn measure(
        &self,
        parts: &Parts,
        trainer: &Trainer,
        dataset: &Dataset,
        preview: &Preview,
        logged: &mut Logged,
    ) -> Result<Summary> {
        // The training's buffers are of other sizes.
        engine::release_buffers();
        let Self { evaluation, judge, .. } = self;
        let job = evaluation.job(parts.run.recipe.size);
        let wanted = Wanted { prompts: &evaluation.prompts, job, to_the_end: false };
        let rows = preview.rows(parts, trainer.method.as_ref(), dataset, wanted, logged)?;
        let sheet = logged.folder.evaluation(trainer.steps())?;
        write_png(&sheet, &labelled_sheet(&rows, GAP), &[] as &[(&str, &str)])?;
        let pictures: Vec<Picture> = rows.into_iter().flat_map(|(_, drawn)| drawn).collect();
        let scores = judge.scores(evaluation, &pictures, &mut Quiet(logged))?;
        engine::release_buffers();
        Ok(scores)
    }

    /// Adds what was measured.
    fn add(&mut self, step: u64, summary: &Summary) -> Scored {
        let scores: BTreeMap<Metric, f64> =
            summary.iter().map(|(metric, estimate)| (*metric, estimate.mean)).collect();
        let score = rounded(balance(summary).expect("a CLIP judges every evaluation"));
        let best = self.progress.add(step, score);
        let Progress { best: found, without, .. } = self.progress;
        let best_step = found.map_or(step, |(step, _)| step);
        Scored { step, scores, score, best, best_step, without }
    }

    /// Which evaluation was the best, and why the training ended if it did early.
    pub fn say_best(&self, parts: &Parts, trainer: &Trainer, logged: &mut Logged) {
        let Progress { best: Some((step, score)), count, without, .. } = self.progress else {
            return;
        };
        let (ended, path) = (trainer.steps(), RunFolder::best(logged.folder.path()));
        let events = logged as &mut dyn Events;
        if self.is_over() && ended < parts.run.recipe.steps {
            events.note(format!(
                "ended after step {ended}: {without} evaluations in a row were no better than that \
                 of step {step} (--stop-when-no-better)"
            ));
        }
        let last = if step == ended { ", which was the last" } else { "" };
        events.note(format!(
            "best of {count} evaluations: step {step}{last}, with a score of {score:.4}: {}",
            path.display()
        ));
        if step != ended {
            let output = parts.run.outputs.adapter.display();
            events.note(format!("{output} is that of the last step, {ended}"));
        }
    }
}

/// So few digits that a score is read from the metrics to the same bits, and that
/// differences of no meaning are none.
fn rounded(score: f64) -> f64 {
    (score * 1e6).round() / 1e6
}

impl Parts<'_> {
    /// Scores what is learned so far where that is due, and keeps it if none was better.
    /// Whether the training is to end. `saved` is the step of the last checkpoint.
    ///
    /// # Errors
    /// If it cannot be drawn or written, or is to stop; it is scored then when the run goes on.
    pub fn scored(
        &self,
        trainer: &Trainer,
        dataset: &Dataset,
        preview: &Preview,
        scoring: &mut Option<Scoring>,
        saved: u64,
        logged: &mut Logged,
    ) -> Result<bool> {
        let Some(scoring) = scoring else { return Ok(false) };
        let step = trainer.steps();
        let due = scoring.evaluation.is_due(step, self.run.recipe.steps);
        if !due || scoring.progress.last == step || scoring.is_over() {
            return Ok(scoring.is_over());
        }
        let measured = scoring.measure(self, trainer, dataset, preview, logged);
        if measured.as_ref().is_err_and(Error::is_stop) && saved < step {
            self.checkpoint(trainer, dataset, logged)?;
        }
        let scored = scoring.add(step, &measured?);
        if scored.best {
            // A run that is killed from here on goes on at this step, not before it: the
            // file of the best is never of a step that the metrics do not have.
            let adapter = self.adapter(trainer, dataset);
            if saved < step {
                self.save_state(&adapter, trainer, logged)?;
            }
            adapter.save(&RunFolder::best(logged.folder.path()))?;
        }
        logged.folder.scores(&scored)?;
        logged.event(&Event::Scored(scored));
        Ok(scoring.is_over())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equals_is_the_best_and_others_are_counted() {
        let scored = [(2, 0.5), (4, 0.5), (6, 0.4), (8, 0.6), (10, 0.1)];
        let mut progress = Progress::default();
        let found = scored.map(|(step, score)| (progress.add(step, score), progress.without));
        assert_eq!(found, [(true, 0), (false, 1), (false, 2), (true, 0), (false, 1)]);
        let again = Progress::of(&scored);
        assert_eq!((again.best, again.last, again.count), (Some((8, 0.6)), 10, 5));
        assert_eq!(again.without, 1);
    }

    #[test]
    fn a_score_is_read_as_it_was_written() {
        for i in 0..10_000 {
            let score = rounded(f64::from(i).sin());
            let text = serde_json::to_string(&score).unwrap();
            assert_eq!(serde_json::from_str::<f64>(&text).unwrap().to_bits(), score.to_bits());
        }
    }
}
