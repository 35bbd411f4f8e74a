//! `vico mask`: what an adapter takes for the object.

use std::path::PathBuf;

use images::{read_photo, write_png};
use personalize::{Adapter, captions, masks, methods::Frozen};

use crate::{
    Compute, Events, Result,
    adapter_file::{self, Reference},
    lora::{LoraFile, open_base},
};

/// What was typed.
#[derive(Clone, Debug)]
pub struct Options {
    /// Base model.
    pub base: PathBuf,
    /// LoRAs to merge into it.
    pub loras: Vec<LoraFile>,
    /// Adapter file.
    pub adapter: PathBuf,
    /// The photo to look at.
    pub photo: PathBuf,
    /// Prompt with the placeholder; `a photo of *` if not given.
    pub prompt: Option<String>,
    /// Timestep at which the photo goes through the U-Net.
    pub timestep: usize,
    /// The picture to write.
    pub output: PathBuf,
}

/// Draws the automatic masks over a photo, layer by layer.
pub fn run(options: &Options, compute: &Compute, events: &mut dyn Events) -> Result<()> {
    let device = compute.device();
    let base = open_base(compute, &options.base, &options.loras, events)?;
    let adapter = Adapter::load(&options.adapter, device)?;
    let schedule = base.schedule();
    if options.timestep >= schedule.len() {
        let most = schedule.len() - 1;
        return Err(crate::Error::Usage(format!(
            "--timestep is {}, expected 0 to {most}",
            options.timestep
        )));
    }
    let photo = read_photo(&options.photo)?;
    adapter_file::compare(&adapter, &base, events)?;
    events.stage("loading the text encoder and the U-Net");
    let (text, unet) = (base.text_encoder()?, base.unet()?);
    let method = adapter_file::method(&adapter, base.configs())?;
    let placeholder = adapter_file::placeholder(&adapter, method.as_ref());
    let prompt =
        options.prompt.clone().unwrap_or_else(|| format!("a photo of {}", placeholder.text));
    let size = adapter.info.recipe.size;
    let prompt = captions::plain(&base.tokenizer()?, &prompt, placeholder)?;
    let reference = Reference::Photo(options.photo.clone()).read(
        &base,
        &adapter,
        &options.adapter,
        (size, size),
        device,
    )?;
    let frozen = Frozen { text: &text, unet: &unet, schedule: &schedule };
    let timestep = options.timestep as f64;
    let views = method.masks(&frozen, &prompt, &reference, timestep);
    if views.is_empty() {
        let what = format!("{} has no masks: only ViCo looks at a photo", method.name());
        return Err(crate::Error::path(&options.adapter, what));
    }
    for view in &views {
        events.note(format!(
            "layer {} ({}): {}x{} patches, threshold {:.1}, {:.0} % taken for the object",
            view.site.index,
            view.site.original,
            view.width,
            view.height,
            view.threshold,
            100.0 * view.share()
        ));
    }
    write_png(&options.output, &masks::sheet(&photo, &views), &[] as &[(&str, &str)])?;
    events.wrote(&options.output);
    Ok(())
}
