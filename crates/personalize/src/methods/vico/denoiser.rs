//! Sampling with references.

use diffusion::{
    Level, Result,
    denoise::{Denoiser, guided},
    unet::{Plain, Processor, Site, UNet},
};
use engine::Tensor;

use super::{
    inject::{Blocks, Inject},
    reference::{Capture, Layers, Positions, side_by_side},
    several::Several,
};
use crate::{Reference, guidance::Guidance};

/// One thing that is drawn: its image attention, and what that reads.
pub struct Subject {
    /// Transformers with image attention.
    pub sites: Vec<Site>,
    /// Their blocks.
    pub blocks: Blocks,
    /// Only the object is read from the references.
    pub mask: bool,
    /// The reference photos, at least one: image attention reads from all of them.
    pub references: Vec<Reference>,
    /// Positions of the conditional prompt.
    pub positions: Positions,
}

/// Predicts noise with learned tokens and reference photos in place.
///
/// The unconditional half of the references' stream uses the conditional prompt's positions.
/// That stream runs once a step, photo and branch, whatever the number of pictures.
pub struct VicoDenoiser<'a> {
    /// The frozen U-Net.
    pub unet: &'a UNet,
    /// What is drawn, at least one.
    pub subjects: Vec<Subject>,
    /// Contexts `[2, positions, width]`, unconditional before conditional; or
    /// the conditional one alone, for no guidance.
    pub context: Tensor<3>,
    /// Guidance scales; not used without the unconditional context.
    pub guidance: Guidance,
}

impl VicoDenoiser<'_> {
    /// The layers of a subject's references at a timestep, a row for each context.
    pub fn layers(&self, subject: &Subject, timestep: f64, context: &Tensor<3>) -> Layers {
        let branches = context.dims()[0];
        let positions = vec![subject.positions; branches];
        side_by_side(subject.references.iter().map(|Reference { latents, mask }| {
            let masks = vec![mask.clone(); branches];
            let mut capture = Capture::new(&subject.sites, &positions, subject.mask).drawn(&masks);
            let rows = latents.clone().repeat_dim(0, branches);
            capture.run(self.unet, rows, &[timestep], context);
            capture.layers
        }))
    }

    /// The predictions that see the references, for each context.
    fn seeing(&self, latents: &Tensor<4>, timestep: f64, context: &Tensor<3>) -> Tensor<4> {
        let (branches, pictures) = (context.dims()[0], latents.dims()[0]);
        let layers = |subject| self.layers(subject, timestep, context);
        let layers: Vec<Layers> = self.subjects.iter().map(layers).collect();
        let subjects = self.subjects.iter().zip(&layers);
        let mut injects: Vec<Inject> =
            subjects.map(|(subject, layers)| Inject { blocks: &subject.blocks, layers }).collect();
        let rows = latents.clone().repeat_dim(0, branches);
        let walk = |processor: &mut dyn Processor| {
            self.unet.forward(rows.clone(), &[timestep], context, processor)
        };
        match injects.as_mut_slice() {
            [alone] => walk(alone),
            _ => {
                let positions = self.subjects.iter().map(|subject| subject.positions.placeholder);
                let positions: Vec<usize> = positions.collect();
                walk(&mut Several::new(injects, &positions, branches, pictures))
            }
        }
    }
}

impl Denoiser for VicoDenoiser<'_> {
    fn predict(&mut self, latents: Tensor<4>, at: Level) -> Result<Tensor<4>> {
        let Guidance { text, reference } = self.guidance;
        let [branches, ..] = self.context.dims();
        let timestep = at.timestep;
        if branches == 1 {
            return Ok(self.seeing(&latents, timestep, &self.context));
        }
        if reference == 1.0 {
            return Ok(guided(self.seeing(&latents, timestep, &self.context), text));
        }
        let unconditional = self.context.clone().narrow(0, 0, 1);
        let blind = self.unet.forward(latents.clone(), &[timestep], &unconditional, &mut Plain);
        if reference == text {
            let conditional = self.context.clone().narrow(0, 1, 1);
            let seeing = self.seeing(&latents, timestep, &conditional);
            return Ok(guided(Tensor::cat(vec![blind, seeing], 0), text));
        }
        let both = self.seeing(&latents, timestep, &self.context);
        let unconditional = both.clone().narrow(0, 0, latents.dims()[0]);
        // The scale of the text goes on from where that of the references starts.
        Ok(guided(both, text) + (unconditional - blind) * (reference - 1.0))
    }
}
