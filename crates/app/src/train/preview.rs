//! Pictures and masks on the way.

use diffusion::vae::Decoder;
use images::{Picture, labelled_sheet, write_png};
use personalize::{
    Error as RunError, Result as RunResult, captions,
    dataset::Dataset,
    generate::{Drawn, Guidance, Job, Start, Watch, generate},
    masks::{self, MaskView},
    methods::{Frozen, Method, Sources},
    trainer::Trainer,
};

use super::{Evaluation, Logged, steps::Parts};
use crate::{Event, Events, Result, recommended, run_folder::Run, series::Part};

/// Gap between the pictures of a sheet, pixels.
pub(super) const GAP: usize = 8;

/// Timestep at which the masks are shown: early enough for clean features.
pub(crate) const MASK_TIMESTEP: usize = 200;

/// What pictures on the way need beside the frozen parts.
pub(super) struct Preview {
    /// Loaded if there are any.
    decoder: Option<Decoder>,
    photo: Picture,
}

/// Pictures to draw on the way.
pub(super) struct Wanted<'a> {
    pub prompts: &'a [String],
    /// How, but for the prompt.
    pub job: Job,
    /// They are drawn to the end even if the run is to stop.
    pub to_the_end: bool,
}

impl Preview {
    /// `photo` is the first one.
    pub fn new(parts: &Parts, photo: Picture) -> Result<Self> {
        let Run { outputs, evaluation, .. } = parts.run;
        let scored = evaluation.as_ref().is_some_and(Evaluation::is_on);
        let wanted = outputs.preview_every > 0 || scored;
        let decoder = wanted.then(|| parts.base.vae_decoder()).transpose()?;
        Ok(Self { decoder, photo })
    }

    /// Draws the preview prompts.
    pub fn pictures(
        &self,
        parts: &Parts,
        trainer: &Trainer,
        dataset: &Dataset,
        logged: &mut Logged,
    ) -> Result<()> {
        let outputs = &parts.run.outputs;
        let recipe = &parts.run.recipe;
        let Guidance { text: guidance, reference: reference_guidance } =
            recommended::guidance(parts.base, Some(&recipe.method))?;
        let steps = outputs.preview_steps;
        let job = Job { steps, guidance, reference_guidance, ..Job::new("", recipe.size) };
        let wanted = Wanted { prompts: &outputs.preview_prompts, job, to_the_end: true };
        let rows = self.rows(parts, trainer.method.as_ref(), dataset, wanted, logged)?;
        let step = trainer.steps();
        let path = logged.folder.at_step("previews", step, "png");
        write_png(&path, &labelled_sheet(&rows, GAP), &[] as &[(&str, &str)])?;
        let pictures = rows.into_iter().flat_map(|(_, drawn)| drawn).collect();
        logged.event(&Event::Preview { step, pictures });
        logged.event(&Event::Wrote(path));
        Ok(())
    }

    /// Draws prompts by the same path as `vico generate`.
    ///
    /// # Errors
    /// If a prompt cannot be drawn, or the run is to stop and they need not be finished.
    ///
    /// # Panics
    /// If the run said that there are no pictures.
    pub fn rows(
        &self,
        parts: &Parts,
        method: &dyn Method,
        dataset: &Dataset,
        wanted: Wanted,
        events: &mut dyn Events,
    ) -> Result<Vec<(String, Vec<Picture>)>> {
        let Wanted { prompts, job, to_the_end } = wanted;
        let decoder = self.decoder.as_ref().expect("loaded for runs with pictures");
        let model = parts.model(decoder);
        let references = [dataset.photos[0].reference()];
        let sources = Sources::references(&references);
        let mut part = Part::of(prompts.len() * job.count, events);
        let draw = |prompt: &String| {
            part.begin(job.count);
            let job = Job { prompt: prompt.clone(), ..job.clone() };
            let tokens = job.prompts(parts.tokenizer, Some(parts.placeholder(method)), false)?;
            let mut watch = Collect { events: &mut part, to_the_end, drawn: Vec::new() };
            generate(&model, Some(method), &job, &tokens, sources, Start::Noise, &mut watch)?;
            Ok((prompt.clone(), watch.drawn))
        };
        prompts.iter().map(draw).collect()
    }

    /// Draws the automatic masks over the first photo.
    pub fn masks(
        &self,
        parts: &Parts,
        trainer: &Trainer,
        dataset: &Dataset,
        logged: &mut Logged,
    ) -> Result<()> {
        let method = trainer.method.as_ref();
        let text = format!("a photo of {}", parts.run.recipe.placeholder);
        let prompt = captions::plain(parts.tokenizer, &text, parts.placeholder(method))?;
        let frozen = Frozen { text: parts.text, unet: parts.unet, schedule: parts.schedule };
        let reference = dataset.photos[0].reference();
        let timestep = MASK_TIMESTEP.min(parts.schedule.len() - 1) as f64;
        let views = method.masks(&frozen, &prompt, &reference, timestep);
        if views.is_empty() {
            return Ok(());
        }
        let share = views.iter().map(MaskView::share).sum::<f64>() / views.len() as f64;
        let share = 100.0 * share;
        (logged as &mut dyn Events)
            .note(format!("masks: {share:.0} % of the first photo is taken for the object"));
        let path = logged.folder.at_step("masks", trainer.steps(), "png");
        write_png(&path, &masks::sheet(&self.photo, &views), &[] as &[(&str, &str)])?;
        logged.event(&Event::Wrote(path));
        Ok(())
    }
}

struct Collect<'a> {
    events: &'a mut dyn Events,
    to_the_end: bool,
    drawn: Vec<Picture>,
}

impl Watch for Collect<'_> {
    fn step(&mut self, done: usize, total: usize) -> RunResult<()> {
        self.events.event(&Event::Drawing { done, total });
        if !self.to_the_end && self.events.stopped() { Err(RunError::Stopped) } else { Ok(()) }
    }

    fn picture(&mut self, drawn: Drawn) -> RunResult<()> {
        self.drawn.push(drawn.picture);
        Ok(())
    }
}
