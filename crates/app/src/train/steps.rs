//! The steps of a training, and what they leave on disk.

use diffusion::{
    Base, Placeholder, Schedule, Tokenizer, text::TextEncoder, unet::UNet, vae::Decoder,
};
use engine::{Device, device, optim::AdamW};
use personalize::{
    Adapter, Error as RunError, Recipe,
    adapter::{Info, Photo},
    checkpoint,
    dataset::Dataset,
    generate::Model,
    methods::{self, Method, Start},
    trainer::Trainer,
};

use super::{Logged, class, preview::Preview, scoring::Scoring};
use crate::{
    Event, Events, Result, VERSION, adapter_file,
    estimate::{peak_memory, size_text, time_text},
    run_folder::{Run, RunFolder},
};

/// Everything frozen that a training holds.
pub(super) struct Parts<'a> {
    pub run: &'a Run,
    pub base: &'a Base,
    pub tokenizer: &'a Tokenizer,
    pub text: &'a TextEncoder,
    pub unet: &'a UNet,
    pub schedule: &'a Schedule,
}

/// Seconds of one pass of the U-Net for a picture of a size in pixels.
pub(crate) fn pass_seconds(base: &Base, unet: &UNet, size: usize, device: &Device) -> f64 {
    let (text, vae) = (&base.configs().text, &base.configs().vae);
    let side = size / vae.factor();
    let zeros = |shape: [usize; 3]| vec![0.0; shape.iter().product()];
    let latents = [side, side, vae.latent_channels];
    let latents = engine::tensor(zeros(latents), [1, side, side, vae.latent_channels], device);
    let context = [1, text.max_position_embeddings, text.hidden_size];
    let context = engine::tensor(zeros(context), context, device);
    let pass = || {
        let start = std::time::Instant::now();
        let latents = latents.clone();
        engine::values(unet.forward(latents, &[0.0], &context, &mut diffusion::unet::Plain));
        start.elapsed().as_secs_f64()
    };
    // The first pass of a small model is mostly the start of threads, the first on a card
    // compiles what the others run.
    let first = pass();
    let warms_up = first < SHORT || *device != engine::cpu();
    if warms_up { pass().min(pass()) } else { first }
}

/// Seconds under which a pass is timed again.
const SHORT: f64 = 1.0;

/// Passes of the U-Net for one sample that a whole training amounts to, pictures of the
/// class included.
pub(crate) fn passes(recipe: &Recipe) -> f64 {
    let samples = (recipe.batch * recipe.accumulate) as f64;
    let class = if recipe.prior_weight > 0.0 { recipe.prior_images } else { 0 };
    let drawn = class::PASSES * class * (1 + recipe.concepts.len());
    methods::passes(recipe, false) * samples * recipe.steps as f64 + drawn as f64
}

/// Times one pass of the U-Net and says how long the steps after `taken` will
/// take, so many pictures of the class before them, and the evaluations among them.
pub(super) fn time(
    base: &Base,
    unet: &UNet,
    run: &Run,
    taken: u64,
    class_pictures: usize,
    device: &Device,
) -> String {
    let recipe = &run.recipe;
    let samples = (recipe.batch * recipe.accumulate) as f64;
    let pass = pass_seconds(base, unet, recipe.size, device);
    let step = pass * methods::passes(recipe, unet.has_tapes()) * samples;
    let left = recipe.steps.saturating_sub(taken) as f64;
    let mut text = format!("about {} a step, {} in all", time_text(step), time_text(step * left));
    if class_pictures > 0 {
        let time = time_text(pass * (class::PASSES * class_pictures) as f64);
        text += &format!(", and {time} to draw {class_pictures} pictures of the class");
    }
    if let Some(evaluation) = run.evaluation.as_ref().filter(|e| e.is_on()) {
        let count = evaluation.left(taken, recipe.steps);
        let time = time_text(pass * evaluation.passes(recipe, taken));
        let most = if evaluation.stop_when_no_better > 0 { " at most" } else { "" };
        text += &format!(", and {time} for {count} evaluations{most}");
    }
    text
}

impl Parts<'_> {
    pub fn method(
        &self,
        resumed: Option<(Adapter, AdamW)>,
    ) -> Result<(Box<dyn Method>, Option<AdamW>)> {
        if let Some((adapter, optimizer)) = resumed {
            let method = adapter_file::method(&adapter, self.base.configs())?;
            return Ok((method, Some(optimizer)));
        }
        let start = Start { base: self.base, tokenizer: self.tokenizer, text: self.text };
        Ok((methods::fresh(&self.run.recipe, &start)?, None))
    }

    pub fn steps(
        &self,
        trainer: &mut Trainer,
        dataset: &Dataset,
        preview: &Preview,
        scoring: &mut Option<Scoring>,
        logged: &mut Logged,
    ) -> Result<()> {
        let (recipe, outputs) = (&self.run.recipe, &self.run.outputs);
        let total = recipe.steps;
        logged.event(&Event::Training { done: trainer.steps(), total });
        let due = |every: u64, step: u64| every > 0 && step.is_multiple_of(every);
        let mut saved = trainer.steps();
        if saved == 0 && outputs.preview_every > 0 {
            preview.pictures(self, trainer, dataset, logged)?;
        }
        while !self.scored(trainer, dataset, preview, scoring, saved, logged)?
            && trainer.steps() < total
        {
            if logged.stopped() {
                self.checkpoint(trainer, dataset, logged)?;
                return Err(RunError::Stopped.into());
            }
            let report = trainer.advance()?;
            logged.folder.metrics(&report)?;
            let step = report.step;
            logged.event(&Event::Step(report));
            if due(outputs.checkpoint_every, step) {
                self.checkpoint(trainer, dataset, logged)?;
                preview.masks(self, trainer, dataset, logged)?;
                saved = step;
            }
            if due(outputs.preview_every, step) {
                preview.pictures(self, trainer, dataset, logged)?;
            }
        }
        if saved < trainer.steps() {
            self.checkpoint(trainer, dataset, logged)?;
            preview.masks(self, trainer, dataset, logged)?;
        }
        self.finish(trainer, dataset, logged)?;
        if let Some(scoring) = scoring {
            scoring.say_best(self, trainer, logged);
        }
        Ok(())
    }

    /// Writes what was learned.
    pub fn finish(&self, trainer: &Trainer, dataset: &Dataset, logged: &mut Logged) -> Result<()> {
        let outputs = &self.run.outputs;
        let adapter = self.adapter(trainer, dataset);
        adapter.save(&outputs.adapter)?;
        logged.event(&Event::Wrote(outputs.adapter.clone()));
        let learned_parts = trainer.method.parts();
        if !learned_parts.is_empty() {
            self.base.save_with(&outputs.model(), &learned_parts)?;
            logged.event(&Event::Wrote(outputs.model()));
        }
        if let Some(bytes) = peak_memory() {
            let there = device::reserved_bytes(&self.text.device());
            let there = there.map(|there| format!(", on the device {}", size_text(there)));
            let said = format!("peak memory {}{}", size_text(bytes), there.unwrap_or_default());
            (logged as &mut dyn Events).note(said);
        }
        Ok(())
    }

    /// An adapter of what is learned so far.
    pub fn adapter(&self, trainer: &Trainer, dataset: &Dataset) -> Adapter {
        let recipe = &self.run.recipe;
        let info = Info {
            method: recipe.method.clone(),
            placeholder: recipe.placeholder.clone(),
            init_word: recipe.init_word.clone(),
            base_name: self.base.name(),
            base_fingerprint: self.run.inputs.base_fingerprint.clone(),
            recipe: recipe.clone(),
            step: trainer.steps(),
            version: VERSION.into(),
        };
        let photos = if self.run.outputs.without_photos {
            Vec::new()
        } else {
            dataset.photos.iter().map(Photo::new).collect()
        };
        Adapter { info, params: trainer.method.params().clone(), photos }
    }

    /// The adapter as it is, and the state to resume from.
    pub fn checkpoint(
        &self,
        trainer: &Trainer,
        dataset: &Dataset,
        logged: &mut Logged,
    ) -> Result<()> {
        if trainer.steps() == 0 {
            return Ok(());
        }
        // What is written is copied, with the moments; the step's buffers make room.
        engine::release_buffers();
        let adapter = self.adapter(trainer, dataset);
        let path = logged.folder.at_step("checkpoints", trainer.steps(), "safetensors");
        adapter.save(&path)?;
        logged.event(&Event::Wrote(path));
        self.save_state(&adapter, trainer, logged)
    }

    /// The state to resume from.
    pub fn save_state(&self, adapter: &Adapter, trainer: &Trainer, logged: &Logged) -> Result<()> {
        let state = RunFolder::state(logged.folder.path());
        Ok(checkpoint::save(&state, adapter, &trainer.optimizer)?)
    }

    /// What drawing needs.
    pub fn model<'m>(&'m self, decoder: &'m Decoder) -> Model<'m> {
        let vae = &self.base.configs().vae;
        Model {
            tokenizer: self.tokenizer,
            text: self.text,
            unet: self.unet,
            decoder,
            schedule: self.schedule,
            factor: vae.factor(),
            channels: vae.latent_channels,
        }
    }

    pub fn placeholder<'m>(&'m self, method: &'m dyn Method) -> Placeholder<'m> {
        methods::placeholder(method, &self.run.recipe, 0)
    }
}
