//! Sampling with references.

use diffusion::{
    Level, Result,
    denoise::{Denoiser, guided},
    unet::{Processor, Site, UNet},
};
use engine::Tensor;

use super::{
    inject::{Blocks, Inject},
    reference::{Capture, Layers, Positions, side_by_side},
    several::Several,
};
use crate::Reference;

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
/// Both halves of guidance see the references; the unconditional one uses the
/// conditional prompt's positions. The reference stream runs once a step, photo and
/// branch, whatever the number of pictures.
pub struct VicoDenoiser<'a> {
    /// The frozen U-Net.
    pub unet: &'a UNet,
    /// What is drawn, at least one.
    pub subjects: Vec<Subject>,
    /// Contexts `[2, positions, width]`, unconditional before conditional; or
    /// the conditional one alone, for no guidance.
    pub context: Tensor<3>,
    /// Guidance scale; not used without the unconditional context.
    pub guidance: f64,
}

impl VicoDenoiser<'_> {
    /// The layers of a subject's references at a timestep, a row for each branch.
    pub fn layers(&self, subject: &Subject, timestep: f64) -> Layers {
        let branches = self.context.dims()[0];
        let positions = vec![subject.positions; branches];
        side_by_side(subject.references.iter().map(|Reference { latents, mask }| {
            let masks = vec![mask.clone(); branches];
            let mut capture = Capture::new(&subject.sites, &positions, subject.mask).drawn(&masks);
            let rows = latents.clone().repeat_dim(0, branches);
            capture.run(self.unet, rows, &[timestep], &self.context);
            capture.layers
        }))
    }
}

impl Denoiser for VicoDenoiser<'_> {
    fn predict(&mut self, latents: Tensor<4>, at: Level) -> Result<Tensor<4>> {
        let (branches, pictures) = (self.context.dims()[0], latents.dims()[0]);
        let layers: Vec<Layers> =
            self.subjects.iter().map(|subject| self.layers(subject, at.timestep)).collect();
        let subjects = self.subjects.iter().zip(&layers);
        let mut injects: Vec<Inject> =
            subjects.map(|(subject, layers)| Inject { blocks: &subject.blocks, layers }).collect();
        let both = latents.repeat_dim(0, branches);
        let walk = |processor: &mut dyn Processor| {
            self.unet.forward(both.clone(), &[at.timestep], &self.context, processor)
        };
        let predicted = match injects.as_mut_slice() {
            [alone] => walk(alone),
            _ => {
                let positions = self.subjects.iter().map(|subject| subject.positions.placeholder);
                let positions: Vec<usize> = positions.collect();
                walk(&mut Several::new(injects, &positions, branches, pictures))
            }
        };
        Ok(if branches == 2 { guided(predicted, self.guidance) } else { predicted })
    }
}
