//! ViCo (Hao et al. 2023, arXiv 2306.00971): image attention to a reference
//! photo and a learned token, with an automatic mask and a regulariser.

pub mod block;
pub mod denoiser;
pub mod inject;
pub mod loss;
pub mod mask;
pub mod official;
pub mod reference;
pub mod several;
pub mod variant;

use std::convert::Infallible;

use diffusion::{Prompt, config::UNetConfig, denoise::Denoiser, unet::Site};
use engine::{
    Device, Tensor,
    nn::{self, WeightSource},
    params::{Param, Params},
};

use self::{
    block::ImageBlock,
    denoiser::{Subject, VicoDenoiser},
    inject::Blocks,
    loss::{Inputs, Parts},
    reference::{Capture, Positions},
    several::Other,
    variant::{Injection, Variant},
};
use super::{
    Batch, Evaluated, Frozen, Method, Request, Sources,
    token::{self, Tape},
};
use crate::{Error, Reference, Result, draw::Draw, masks::MaskView};

/// The transformers with image attention.
pub type Sites = Vec<Site>;

/// Learning rates and weights of ViCo's recipe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Of the learned token.
    pub token: f64,
    /// Of image attention.
    pub attention: f64,
    /// Weight of the regulariser.
    pub regulariser: f64,
}

/// Name of the learned token among the parameters.
pub use super::token::TOKEN;

/// What ViCo learns.
pub struct Vico {
    sites: Sites,
    params: Params,
    rates: Rates,
    variant: Variant,
}

impl Vico {
    /// Fresh image attention; the token starts from a class word's embedding
    /// `[width]`.
    pub fn new(
        all_sites: &[Site],
        token: Vec<f32>,
        (rates, variant): (Rates, Variant),
        draw: &Draw,
        device: &Device,
    ) -> Self {
        let sites = variant.image_attention.sites(all_sites);
        let mut params = Params::default();
        for site in &sites {
            block::initialise(site, variant, &mut params, draw, device);
        }
        let width = token.len();
        params.insert(TOKEN, Param::new(token, &[1, width], device));
        Self { sites, params, rates, variant }
    }

    /// The same with several vectors for the token, which start alike (Gal et
    /// al. 2022) and come apart because they stand in different places.
    pub fn with_vectors(mut self, vectors: usize, device: &Device) -> Self {
        let token = self.token();
        let width = token.dims()[1];
        let values = engine::values(token.narrow(0, 0, 1)).repeat(vectors);
        self.params.insert(TOKEN, Param::new(values, &[vectors, width], device));
        self
    }

    /// From parameters that were learned before.
    ///
    /// # Errors
    /// If a parameter is missing, unknown, or of another shape than this U-Net
    /// and text encoder want.
    pub fn from_params(
        all_sites: &[Site],
        token_width: usize,
        params: Params,
        (rates, variant): (Rates, Variant),
    ) -> Result<Self> {
        let sites = variant.image_attention.sites(all_sites);
        let weights = |site: &Site| block::weights(site, variant.injection);
        let mut expected: Vec<(String, Vec<usize>)> = sites.iter().flat_map(weights).collect();
        let vectors = params.get(TOKEN).map_or(1, |p| p.shape()[0]);
        expected.push((TOKEN.into(), vec![vectors, token_width]));
        super::check_params(&params, &expected)?;
        Ok(Self { sites, params, rates, variant })
    }

    /// The transformers with image attention.
    pub fn sites(&self) -> &Sites {
        &self.sites
    }

    /// Learning rates and weights.
    pub fn rates(&self) -> Rates {
        self.rates
    }

    /// The learned vectors `[vectors, width]`.
    pub fn token(&self) -> Tensor<2> {
        token::token(&self.params)
    }

    /// The image-attention blocks as they are at this step of a training.
    pub fn blocks(&self) -> Blocks {
        self.build_blocks(&self.params)
    }

    /// The image-attention blocks for drawing, packed once.
    pub fn frozen_blocks(&self, how: &nn::Frozen) -> Blocks {
        self.build_blocks(&self.params.frozen(how))
    }

    fn build_blocks(&self, source: &impl WeightSource<Error = Infallible>) -> Blocks {
        let build = |site: &Site| {
            let Ok(block) = ImageBlock::build(source, site, self.variant.injection);
            (site.index, block)
        };
        self.sites.iter().map(build).collect()
    }

    /// There must be a reference; features that are joined patch by patch need one
    /// alone, of the picture's size.
    fn check_references(&self, references: &[Reference], latents: [usize; 2]) -> Result<()> {
        let reference = references.first().ok_or_else(|| {
            let advice = "the adapter was saved without photos: give one with --reference PHOTO";
            Error::Prompt(advice.into())
        })?;
        if self.variant.injection == Injection::Attention {
            return Ok(());
        }
        if references.len() > 1 {
            let advice = "the adapter joins picture and reference patch by patch: give one \
                          --reference alone";
            return Err(Error::Prompt(advice.into()));
        }
        let [_, height, width, _] = reference.latents.dims();
        if latents == [height, width] {
            return Ok(());
        }
        let [h, w] = latents;
        Err(Error::Prompt(format!(
            "the adapter joins picture and reference patch by patch, but the picture's latents are \
             {w}x{h} and the reference's {width}x{height}: leave --width and --height out, or name \
             the photo with --reference PHOTO, which is resized"
        )))
    }

    /// What is drawn with this adapter.
    fn subject(
        &self,
        references: &[Reference],
        positions: Positions,
        latents: [usize; 2],
        how: &nn::Frozen,
    ) -> Result<Subject> {
        self.check_references(references, latents)?;
        Ok(Subject {
            sites: self.sites.clone(),
            blocks: self.frozen_blocks(how),
            mask: self.variant.mask,
            references: references.to_vec(),
            positions,
        })
    }

    fn inputs(&self, frozen: &Frozen, batch: &Batch, context: Tensor<3>) -> Inputs {
        let (noisy, timesteps) = batch.noisy(frozen.schedule);
        Inputs {
            noisy,
            target: batch.target(frozen.schedule),
            reference: batch.references.clone(),
            masks: batch.masks.clone(),
            timesteps,
            context,
            positions: batch.prompts.iter().map(positions).collect(),
        }
    }
}

impl Method for Vico {
    fn name(&self) -> &'static str {
        "vico"
    }

    fn params(&self) -> &Params {
        &self.params
    }

    fn params_mut(&mut self) -> &mut Params {
        &mut self.params
    }

    fn learning_rate(&self, parameter: &str) -> f64 {
        if parameter == TOKEN { self.rates.token } else { self.rates.attention }
    }

    fn token_vectors(&self) -> usize {
        self.token().dims()[0]
    }

    fn same_reference(&self) -> bool {
        self.variant.same_reference
    }

    fn evaluate(&self, frozen: &Frozen, batch: &Batch) -> Evaluated {
        let tape = Tape::new(frozen.text, &batch.prompts, &self.params);
        let inputs = self.inputs(frozen, batch, tape.context());
        let evaluated = loss::evaluate(frozen.unet, self, &inputs);
        let mut gradients = evaluated.weights;
        tape.backward(evaluated.context, &mut gradients);
        let Parts { denoising, regulariser } = evaluated.parts;
        Evaluated {
            loss: denoising + self.rates.regulariser * regulariser,
            parts: vec![("denoising", denoising), ("regulariser", regulariser)],
            gradients,
        }
    }

    fn denoiser<'a>(&'a self, request: &Request<'a>) -> Result<Box<dyn Denoiser + 'a>> {
        let Request { unet, text, prompts, job, sources, latents } = *request;
        let Sources { references, others } = sources;
        let how = nn::Frozen::new(&text.device());
        let positions =
            Positions::new(prompts.positive.placeholder(), prompts.positive.end_of_text());
        let mut subjects = vec![self.subject(references, positions, latents, &how)?];
        for Other { vico, references, position } in others {
            let positions = Positions { placeholder: *position, ..positions };
            subjects.push(vico.subject(references, positions, latents, &how)?);
        }
        let guidance = job.scales();
        let context = text.contexts(&prompts.rows(guidance.is_on()), Some(self.token()));
        Ok(Box::new(VicoDenoiser { unet, subjects, context, guidance }))
    }

    fn masks(
        &self,
        frozen: &Frozen,
        prompt: &Prompt,
        reference: &Reference,
        timestep: f64,
    ) -> Vec<MaskView> {
        let context = frozen.text.forward(std::slice::from_ref(prompt), Some(self.token()));
        let Reference { latents, mask } = reference;
        let positions = [positions(prompt)];
        let capture = Capture::new(&self.sites, &positions, self.variant.mask);
        let mut capture = capture.drawn(std::slice::from_ref(mask));
        capture.run(frozen.unet, latents.clone(), &[timestep], &context);
        let [_, height, width, _] = latents.dims();
        let view = |site: &Site| {
            let layer = &capture.layers[&site.index];
            let map = engine::values(layer.maps.clone().narrow(1, 0, 1));
            let keep = layer.keep.as_ref();
            let keep = keep.map_or_else(|| vec![true; map.len()], |mask| mask.keep.to_vec());
            MaskView {
                site: site.clone(),
                width: width.div_ceil(site.stride),
                height: height.div_ceil(site.stride),
                map,
                keep,
                threshold: layer.masks.first().map_or(0.0, |mask| mask.threshold),
            }
        };
        self.sites.iter().map(view).collect()
    }
}

/// Number of values in the image attention of a U-Net that is not loaded yet.
pub fn parameter_count(config: &UNetConfig, variant: Variant) -> usize {
    let all = diffusion::unet::sites(config);
    let sites = variant.image_attention.sites(&all);
    let weights = |site: &Site| block::weights(site, variant.injection);
    sites.iter().flat_map(weights).map(|(_, shape)| shape.iter().product::<usize>()).sum()
}

/// Where a prompt's maps are taken from.
pub fn positions(prompt: &Prompt) -> Positions {
    Positions::new(prompt.placeholder(), prompt.end_of_text)
}
