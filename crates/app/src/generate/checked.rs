//! What a run of drawing needs, read and checked before any model is loaded.

use diffusion::{Base, Placeholder};
use engine::Device;
use personalize::{Adapter, FrozenWeights, PLACEHOLDER, generate::Job};

use super::{
    Options, Places,
    options::{job, named},
    prompts::Typed,
};
use crate::{
    Compute, Events, Result, adapter_file, estimate::Memory, init::InitLatents, lora::open_base,
};

pub(super) struct Checked {
    pub typed: Vec<Typed>,
    /// The model, its weights kept in the way that fits.
    pub base: Base,
    pub fingerprint: String,
    pub frozen_weights: FrozenWeights,
    pub device: Device,
    pub adapter: Option<Adapter>,
    /// What the pictures start from instead of noise.
    pub latents: Option<InitLatents>,
    /// The job of the prompt that was typed.
    pub job: Job,
    pub places: Places,
}

impl Checked {
    /// # Errors
    /// If something is missing or damaged, does not fit together, or would need more
    /// memory than there is.
    pub fn new(options: &Options, compute: &Compute, events: &mut dyn Events) -> Result<Self> {
        named(options)?;
        let typed = Typed::all(options)?;
        let compute = &recorded(options, compute, events)?;
        let device = compute.device();
        let (base, fingerprint) = opened(options, compute, events)?;
        let adapter = options.adapter.as_ref();
        let adapter = adapter.map(|path| Adapter::load(path, device)).transpose()?;
        let latents = options.init_latents.as_deref();
        let latents =
            latents.map(|path| InitLatents::read(path, options.init_row, &base)).transpose()?;
        let job = job(options, &base, adapter.as_ref(), latents.as_ref())?;
        say_steps(&job, &base, events)?;
        let places = Places::check(options, typed.len() * job.count)?;
        // The adapters of further subjects are about as large.
        let adapters = 1 + options.others.len();
        let learned = adapter.as_ref().map_or(0, |adapter| adapter.params.count() * adapters);
        let size = (job.width, job.height);
        let need = |way: &Compute| Memory::of_drawing(way, &base, learned, job.batch, size);
        let way = compute.fitted(|way| need(way).total(), events)?;
        let memory = need(&way);
        let base = way.keep(base);
        let advice = "lower --batch, --width or --height, name a --memory, or close other programs";
        memory.check(compute, advice)?;
        match &adapter {
            Some(adapter) => adapter_file::compare(adapter, &base, events)?,
            None => say_untouched(&typed, events),
        }
        let (device, frozen_weights) = (device.clone(), way.weights());
        Ok(Self { typed, base, fingerprint, frozen_weights, device, adapter, latents, job, places })
    }

    /// Width and height of the pictures.
    pub fn size(&self) -> (usize, usize) {
        (self.job.width, self.job.height)
    }
}

/// The way in which a picture that is drawn again was drawn, if its files are still those.
fn recorded(options: &Options, compute: &Compute, events: &mut dyn Events) -> Result<Compute> {
    let Some(recorded) = &options.recorded else { return Ok(compute.clone()) };
    recorded.check_files(options)?;
    match recorded.frozen_weights {
        Some(weights) => compute.redrawing(weights, events),
        None => Ok(compute.clone()),
    }
}

/// The base model with its fingerprint, after it was found to be the recorded one.
fn opened(options: &Options, compute: &Compute, events: &mut dyn Events) -> Result<(Base, String)> {
    let base = open_base(compute, &options.base, &options.loras, events)?;
    let fingerprint = base.fingerprint()?;
    if let Some(recorded) = &options.recorded {
        recorded.check_base(&options.base, &fingerprint)?;
    }
    Ok((base, fingerprint))
}

/// Checks the settings of the steps, and says if there will be others.
fn say_steps(job: &Job, base: &Base, events: &mut dyn Events) -> Result<()> {
    let plan = job.plan(&base.schedule())?;
    if plan.steps() != job.steps {
        events.note(format!(
            "the original DDIM takes {} steps where {} are asked for; so does this",
            plan.steps(),
            job.steps
        ));
    }
    Ok(())
}

/// A prompt with the usual placeholder was meant for an adapter.
fn say_untouched(typed: &[Typed], events: &mut dyn Events) {
    let usual = Placeholder { text: PLACEHOLDER, vectors: 0, words: "" };
    if typed.iter().any(|typed| usual.stands_in(&typed.prompt)) {
        events.warning(format!(
            "without --adapter the base model draws alone: \"{PLACEHOLDER}\" is nothing \
             that was learned"
        ));
    }
}
