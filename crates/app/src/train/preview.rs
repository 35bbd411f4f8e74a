//! Pictures and masks on the way.

use diffusion::vae::Decoder;
use images::{Picture, labelled_sheet, write_png};
use personalize::{
    Result as RunResult, captions,
    dataset::Dataset,
    generate::{Drawn, Job, Model, Start, Watch, generate},
    masks::{self, MaskView},
    methods::{Frozen, Sources},
    trainer::Trainer,
};

use super::{Logged, steps::Parts};
use crate::{Event, Events, Result};

/// Gap between the pictures of a sheet, pixels.
const GAP: usize = 8;

/// Timestep at which the masks are shown: early enough for clean features.
pub(crate) const MASK_TIMESTEP: usize = 200;

/// What previews need beside the frozen parts.
pub(super) struct Preview {
    /// Loaded if there are previews.
    decoder: Option<Decoder>,
    photo: Picture,
}

impl Preview {
    /// `photo` is the first one.
    pub fn new(parts: &Parts, photo: Picture) -> Result<Self> {
        let wanted = parts.run.outputs.preview_every > 0;
        let decoder = wanted.then(|| parts.base.vae_decoder()).transpose()?;
        Ok(Self { decoder, photo })
    }

    /// Draws the preview prompts by the same path as `vico generate`.
    pub fn pictures(
        &self,
        parts: &Parts,
        trainer: &Trainer,
        dataset: &Dataset,
        logged: &mut Logged,
    ) -> Result<()> {
        let Some(decoder) = &self.decoder else { return Ok(()) };
        let vae = &parts.base.configs().vae;
        let model = Model {
            tokenizer: parts.tokenizer,
            text: parts.text,
            unet: parts.unet,
            decoder,
            schedule: parts.schedule,
            factor: vae.factor(),
            channels: vae.latent_channels,
        };
        let references = [dataset.photos[0].reference()];
        let sources = Sources::references(&references);
        let mut rows = Vec::new();
        for prompt in &parts.run.outputs.preview_prompts {
            let job = Job::new(prompt, parts.run.recipe.size);
            let method = trainer.method.as_ref();
            let prompts = job.prompts(parts.tokenizer, Some(parts.placeholder(method)), false)?;
            let mut watch = Collect { events: logged, drawn: Vec::new() };
            generate(&model, Some(method), &job, &prompts, sources, Start::Noise, &mut watch)?;
            rows.push((prompt.clone(), watch.drawn));
        }
        let step = trainer.steps();
        let path = logged.folder.at_step("previews", step, "png");
        write_png(&path, &labelled_sheet(&rows, GAP), &[] as &[(&str, &str)])?;
        let pictures = rows.into_iter().flat_map(|(_, drawn)| drawn).collect();
        logged.event(&Event::Preview { step, pictures });
        logged.event(&Event::Wrote(path));
        Ok(())
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

struct Collect<'a, 'b> {
    events: &'a mut Logged<'b>,
    drawn: Vec<Picture>,
}

impl Watch for Collect<'_, '_> {
    /// A preview is drawn to its end even if the run is to stop.
    fn step(&mut self, done: usize, total: usize) -> RunResult<()> {
        self.events.event(&Event::Drawing { done, total });
        Ok(())
    }

    fn picture(&mut self, drawn: Drawn) -> RunResult<()> {
        self.drawn.push(drawn.picture);
        Ok(())
    }
}
