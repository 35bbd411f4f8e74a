//! Custom Diffusion (Kumari et al. 2023, arXiv 2212.04488): the keys and values of every
//! attention to the text are learned, and a token that stands before the class word.

pub mod export;

use diffusion::{
    Prompt,
    base::Configs,
    denoise::{Denoiser, TextDenoiser},
    unet::{Site, UNet, sites},
};
use engine::{
    nn::{self, Linear, WeightSource},
    params::{Param, Params},
};

use super::{
    Batch, Evaluated, Frozen, Method, Request, Start, check_params,
    denoising::Learning,
    rare_id,
    token::{TOKEN, Tape, token},
};
use crate::{Recipe, Reference, Result, masks::MaskView};

/// What begins the names of the U-Net's weights among the parameters.
const UNET: &str = "unet.";

/// What Custom Diffusion learns. The token's parameter holds the vectors of all concepts,
/// one concept behind the other.
pub struct CustomDiffusion {
    projections: Vec<Projection>,
    params: Params,
    rates: Rates,
    /// Vectors of one concept.
    vectors: usize,
    /// The concepts' class words.
    words: Vec<String>,
}

struct Rates {
    token: f64,
    weights: f64,
}

/// A projection from the text to keys or values.
struct Projection {
    /// By diffusers, without `.weight`.
    name: String,
    /// Width of the text.
    inputs: usize,
    outputs: usize,
}

impl Projection {
    fn all(configs: &Configs) -> Vec<Self> {
        let inputs = configs.unet.cross_attention_dim;
        let of = |site: Site| {
            ["to_k", "to_v"].map(|part| Self {
                name: format!("{}.attn2.{part}", site.block_name()),
                inputs,
                outputs: site.channels,
            })
        };
        sites(&configs.unet).into_iter().flat_map(of).collect()
    }

    /// Name and shape of its parameter.
    fn param(&self) -> (String, Vec<usize>) {
        (format!("{UNET}{}.weight", self.name), vec![self.outputs, self.inputs])
    }
}

impl CustomDiffusion {
    /// The projections start as the base has them, the tokens as the recipe's rare word.
    pub(super) fn new(recipe: &Recipe, start: &Start) -> Result<Self> {
        let (device, configs) = (start.device(), start.base.configs());
        let mut params = Params::default();
        for projection in Projection::all(configs) {
            let (name, shape) = projection.param();
            let weight = format!("{}.weight", projection.name);
            let values = start.base.unet_weight(&weight, &shape)?;
            params.insert(name, Param::new(values, &shape, &device));
        }
        let [vectors, width] = token_shape(recipe, configs);
        let rare = rare_id(start.tokenizer, &recipe.rare_word)?;
        let values = start.text.token_embedding(rare).repeat(vectors);
        params.insert(TOKEN, Param::new(values, &[vectors, width], &device));
        Self::from_params(recipe, configs, params)
    }

    /// From parameters that were learned before.
    ///
    /// # Errors
    /// If a parameter is missing, unknown, or of another shape than this model wants.
    pub fn from_params(recipe: &Recipe, configs: &Configs, params: Params) -> Result<Self> {
        let projections = Projection::all(configs);
        let mut expected: Vec<_> = projections.iter().map(Projection::param).collect();
        expected.push((TOKEN.into(), token_shape(recipe, configs).into()));
        check_params(&params, &expected)?;
        let samples = recipe.samples() as f64;
        let rates =
            Rates { token: recipe.lr_token * samples, weights: recipe.lr_weights * samples };
        let further = recipe.concepts.iter().map(|concept| &concept.init_word);
        let words = [&recipe.init_word].into_iter().chain(further).cloned().collect();
        Ok(Self { projections, params, rates, vectors: recipe.vectors, words })
    }

    /// A U-Net with what was learned; `source` gives it as constants, leaves or packed.
    /// The first position of the text is the same in every prompt: its keys and values
    /// get no gradient, as in the original.
    fn unet<S: WeightSource<Error = std::convert::Infallible>>(
        &self,
        frozen: &UNet,
        source: &S,
    ) -> UNet {
        frozen.replaced(&|name: &str, _: &Linear| {
            let Projection { inputs, outputs, .. } =
                self.projections.iter().find(|projection| projection.name == name)?;
            let Ok(layer) = source.linear(&format!("{UNET}{name}"), *inputs, *outputs, false);
            Some(layer.holding_first_row())
        })
    }
}

/// `[vectors of all concepts, width]`.
fn token_shape(recipe: &Recipe, configs: &Configs) -> [usize; 2] {
    [recipe.vectors * (1 + recipe.concepts.len()), configs.text.hidden_size]
}

/// Number of values that are learned.
pub fn parameter_count(recipe: &Recipe, configs: &Configs) -> usize {
    let weights = Projection::all(configs).iter().map(|p| p.inputs * p.outputs).sum::<usize>();
    weights + token_shape(recipe, configs).iter().product::<usize>()
}

impl Method for CustomDiffusion {
    fn name(&self) -> &'static str {
        "custom-diffusion"
    }

    fn params(&self) -> &Params {
        &self.params
    }

    fn params_mut(&mut self) -> &mut Params {
        &mut self.params
    }

    fn learning_rate(&self, parameter: &str) -> f64 {
        if parameter == TOKEN { self.rates.token } else { self.rates.weights }
    }

    fn token_vectors(&self) -> usize {
        self.vectors
    }

    fn words(&self, concept: usize) -> &str {
        &self.words[concept]
    }

    fn evaluate(&self, frozen: &Frozen, batch: &Batch) -> Evaluated {
        let tape = Tape::new(frozen.text, &batch.prompts, &self.params);
        let leaves = self.params.starting_with(UNET).leaves();
        let learning = Learning {
            still: &self.unet(frozen.unet, &self.params),
            learning: &self.unet(frozen.unet, &leaves),
            leaves: Some(&leaves),
            everywhere: false,
        };
        let denoised = learning.evaluate(frozen.schedule, batch, &tape.context());
        let mut gradients = denoised.weights;
        tape.backward(denoised.context, &mut gradients);
        Evaluated::denoising(denoised.loss, gradients)
    }

    fn denoiser<'a>(&'a self, request: &Request<'a>) -> Result<Box<dyn Denoiser + 'a>> {
        let Request { unet, text, job, .. } = *request;
        let how = nn::Frozen::new(&text.device());
        let unet = self.unet(unet, &self.params.frozen(&how));
        let context = text.contexts(&request.rows(), Some(token(&self.params)));
        Ok(Box::new(TextDenoiser { unet, context, guidance: job.guidance }))
    }

    /// It has none.
    fn masks(&self, _: &Frozen, _: &Prompt, _: &Reference, _: f64) -> Vec<MaskView> {
        Vec::new()
    }
}
