//! DreamBooth of the whole U-Net, and of the text encoder if the recipe wants it.

use std::convert::Infallible;

use diffusion::{
    Prompt,
    base::Configs,
    denoise::{Denoiser, TextDenoiser},
    lora::Part,
    text::TextEncoder,
    unet::UNet,
};
use engine::{
    nn::{self, WeightSource},
    params::Params,
};

use super::{
    super::{Batch, Evaluated, Frozen, Method, Request, Start, check_params, denoising::Learning},
    TEXT, Tape, UNET, words,
};
use crate::{Recipe, Reference, Result, masks::MaskView};

/// All weights of the U-Net, and perhaps of the text encoder.
pub struct DreamBooth {
    configs: Configs,
    params: Params,
    learning_rate: f64,
    with_text: bool,
    words: String,
}

impl DreamBooth {
    /// The weights as the base model has them.
    pub(in super::super) fn new(recipe: &Recipe, start: &Start) -> Result<Self> {
        let mut params = start.base.unet_params()?.prefixed(UNET);
        if recipe.train_text_encoder {
            params.extend(start.base.text_params()?.prefixed(TEXT));
        }
        Ok(Self::with(recipe, start.base.configs(), params))
    }

    /// From parameters that were learned before.
    ///
    /// # Errors
    /// If a parameter is missing, unknown, or of another shape than this model wants.
    pub fn from_params(recipe: &Recipe, configs: &Configs, params: Params) -> Result<Self> {
        let mut expected = diffusion::weights::shapes(|s| UNet::build(&configs.unet, s));
        expected.iter_mut().for_each(|(name, _)| name.insert_str(0, UNET));
        if recipe.train_text_encoder {
            let text = diffusion::weights::shapes(|s| TextEncoder::build(&configs.text, s));
            expected.extend(text.into_iter().map(|(name, shape)| (format!("{TEXT}{name}"), shape)));
        }
        check_params(&params, &expected)?;
        Ok(Self::with(recipe, configs, params))
    }

    fn with(recipe: &Recipe, configs: &Configs, params: Params) -> Self {
        Self {
            configs: configs.clone(),
            params,
            learning_rate: recipe.lr_weights,
            with_text: recipe.train_text_encoder,
            words: words(recipe),
        }
    }

    fn unet<S: WeightSource<Error = Infallible>>(&self, source: &S) -> UNet {
        let Ok(unet) = UNet::build(&self.configs.unet, source);
        unet
    }

    /// The trained text encoder, with the words that the frozen one learned besides its
    /// own; the frozen one where it is not trained.
    fn text<S: WeightSource<Error = Infallible>>(
        &self,
        frozen: &TextEncoder,
        source: &S,
    ) -> TextEncoder {
        if !self.with_text {
            return frozen.clone();
        }
        let Ok(mut text) = TextEncoder::build(&self.configs.text, source);
        let added = frozen.tokens_from(self.configs.text.vocab_size);
        if !added.is_empty() {
            text.add_tokens(added);
        }
        text
    }
}

impl Method for DreamBooth {
    fn name(&self) -> &'static str {
        "dreambooth"
    }

    fn params(&self) -> &Params {
        &self.params
    }

    fn params_mut(&mut self) -> &mut Params {
        &mut self.params
    }

    fn learning_rate(&self, _: &str) -> f64 {
        self.learning_rate
    }

    /// The name is plain words.
    fn token_vectors(&self) -> usize {
        0
    }

    fn words(&self, _: usize) -> &str {
        &self.words
    }

    fn parts(&self) -> Vec<(Part, Params)> {
        let mut parts = vec![(Part::Unet, self.params.within(UNET))];
        if self.with_text {
            parts.push((Part::Text, self.params.within(TEXT)));
        }
        parts
    }

    fn evaluate(&self, frozen: &Frozen, batch: &Batch) -> Evaluated {
        let leaves = self.params.leaves();
        let tape = Tape::new(&self.text(frozen.text, &leaves.within(TEXT)), &batch.prompts);
        let learning = Learning {
            still: &self.unet(&self.params.within(UNET)),
            learning: &self.unet(&leaves.within(UNET)),
            leaves: Some(&leaves),
            everywhere: true,
        };
        let denoised = learning.evaluate(frozen.schedule, batch, &tape.context());
        let mut gradients = denoised.weights;
        tape.backward(denoised.context, &leaves, &mut gradients);
        Evaluated::denoising(denoised.loss, gradients)
    }

    fn denoiser<'a>(&'a self, request: &Request<'a>) -> Result<Box<dyn Denoiser + 'a>> {
        let Request { text, job, .. } = *request;
        let how = nn::Frozen::new(&text.device());
        let (unet, own) = (self.params.within(UNET), self.params.within(TEXT));
        let context = self.text(text, &own.frozen(&how)).contexts(&request.rows(), None);
        let unet = self.unet(&unet.frozen(&how));
        Ok(Box::new(TextDenoiser { unet, context, guidance: job.guidance }))
    }

    /// It has none.
    fn masks(&self, _: &Frozen, _: &Prompt, _: &Reference, _: f64) -> Vec<MaskView> {
        Vec::new()
    }
}
