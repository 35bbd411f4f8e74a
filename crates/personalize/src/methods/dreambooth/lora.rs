//! DreamBooth in a LoRA (Hu et al. 2021) on the attentions' projections.

use std::convert::Infallible;

use diffusion::{
    Prompt,
    base::Configs,
    denoise::{Denoiser, TextDenoiser},
    lora::{Factors, Part},
    text::TextEncoder,
    unet::{Site, UNet, sites},
};
use engine::{
    nn::{self, Linear, WeightSource},
    params::{Param, Params},
};

use super::{
    super::{Batch, Evaluated, Frozen, Method, Request, Start, check_params, denoising::Learning},
    TEXT, Tape, UNET, words,
};
use crate::{Recipe, Reference, Result, draw::Draw, masks::MaskView};

/// A LoRA on the projections of the U-Net's attentions, and of the text encoder's if the
/// recipe wants it: `W + up down`, the scale being one.
pub struct DreamBoothLora {
    layers: Vec<Layer>,
    params: Params,
    rank: usize,
    learning_rate: f64,
    words: String,
}

/// A projection with a LoRA.
struct Layer {
    /// By diffusers, without `.weight`, behind [`UNET`] or [`TEXT`].
    name: String,
    inputs: usize,
    outputs: usize,
}

const DOWN: &str = ".lora_down";
const UP: &str = ".lora_up";

impl Layer {
    fn all(recipe: &Recipe, configs: &Configs) -> Vec<Self> {
        let (context, width) = (configs.unet.cross_attention_dim, configs.text.hidden_size);
        let mut all: Vec<Self> = sites(&configs.unet)
            .iter()
            .flat_map(|site| Self::of_attention(site, "attn1", site.channels))
            .chain(
                sites(&configs.unet)
                    .iter()
                    .flat_map(|site| Self::of_attention(site, "attn2", context)),
            )
            .collect();
        if recipe.train_text_encoder {
            let names = TextEncoder::projections(&configs.text).into_iter();
            let layer =
                |name| Self { name: format!("{TEXT}{name}"), inputs: width, outputs: width };
            all.extend(names.map(layer));
        }
        all
    }

    fn of_attention(site: &Site, attention: &str, context: usize) -> [Self; 4] {
        let (name, width) = (format!("{UNET}{}.{attention}", site.block_name()), site.channels);
        [("to_q", width), ("to_k", context), ("to_v", context), ("to_out.0", width)]
            .map(|(part, inputs)| Self { name: format!("{name}.{part}"), inputs, outputs: width })
    }

    /// Names and shapes of its two parameters.
    fn params(&self, rank: usize) -> [(String, Vec<usize>); 2] {
        [
            (format!("{}{DOWN}.weight", self.name), vec![rank, self.inputs]),
            (format!("{}{UP}.weight", self.name), vec![self.outputs, rank]),
        ]
    }

    /// The layer with its LoRA over it.
    fn over<S: WeightSource<Error = Infallible>>(
        &self,
        layer: &Linear,
        source: &S,
        rank: usize,
    ) -> Linear {
        let Ok(down) = source.linear(&format!("{}{DOWN}", self.name), self.inputs, rank, false);
        let Ok(up) = source.linear(&format!("{}{UP}", self.name), rank, self.outputs, false);
        layer.clone().with_low_rank(down, up, 1.0)
    }
}

impl DreamBoothLora {
    /// The first factors are normal with a deviation of one over the rank, the second
    /// ones zero: no change at first.
    pub(in super::super) fn new(recipe: &Recipe, start: &Start) -> Self {
        let (device, rank) = (start.device(), recipe.lora_rank);
        let layers = Layer::all(recipe, start.base.configs());
        let (draw, mut params) = (Draw::new(recipe.seed), Params::default());
        for [(down, shape), (up, zeros)] in layers.iter().map(|layer| layer.params(rank)) {
            let mut values = draw.normal(&down, shape.iter().product());
            values.iter_mut().for_each(|value| *value /= rank as f32);
            params.insert(down, Param::new(values, &shape, &device));
            let values = vec![0.0; zeros.iter().product()];
            params.insert(up, Param::new(values, &zeros, &device));
        }
        Self::with(recipe, layers, params)
    }

    /// From parameters that were learned before.
    ///
    /// # Errors
    /// If a parameter is missing, unknown, or of another shape than this model wants.
    pub fn from_params(recipe: &Recipe, configs: &Configs, params: Params) -> Result<Self> {
        let layers = Layer::all(recipe, configs);
        let expected: Vec<_> =
            layers.iter().flat_map(|layer| layer.params(recipe.lora_rank)).collect();
        check_params(&params, &expected)?;
        Ok(Self::with(recipe, layers, params))
    }

    fn with(recipe: &Recipe, layers: Vec<Layer>, params: Params) -> Self {
        let (rank, learning_rate) = (recipe.lora_rank, recipe.lr_weights);
        Self { layers, params, rank, learning_rate, words: words(recipe) }
    }

    fn layer(&self, part: Part, name: &str) -> Option<&Layer> {
        let prefix = prefix(part);
        self.layers.iter().find(|layer| layer.name.strip_prefix(prefix) == Some(name))
    }

    fn unet<S: WeightSource<Error = Infallible>>(&self, frozen: &UNet, source: &S) -> UNet {
        frozen.replaced(&|name: &str, old: &Linear| {
            Some(self.layer(Part::Unet, name)?.over(old, source, self.rank))
        })
    }

    fn text<S: WeightSource<Error = Infallible>>(
        &self,
        frozen: &TextEncoder,
        source: &S,
    ) -> TextEncoder {
        frozen.replaced(&|name: &str, old: &Linear| {
            Some(self.layer(Part::Text, name)?.over(old, source, self.rank))
        })
    }
}

fn prefix(part: Part) -> &'static str {
    match part {
        Part::Unet => UNET,
        Part::Text => TEXT,
    }
}

/// The layers of a LoRA that was learned, for other programs; `None` if the parameters
/// are no LoRA.
pub fn factors(params: &Params) -> Option<Vec<Factors>> {
    let down = format!("{DOWN}.weight");
    let layers = params.iter().filter_map(|(name, param)| Some((name.strip_suffix(&down)?, param)));
    let factors = |(name, down): (&str, &Param)| {
        let module = |part| Some((part, name.strip_prefix(prefix(part))?.to_owned()));
        let (part, module) = [Part::Unet, Part::Text].into_iter().find_map(module)?;
        let up = params.get(&format!("{name}{UP}.weight"))?;
        let (&[rank, inputs], &[outputs, _]) = (down.shape(), up.shape()) else { return None };
        let (down, up) = (down.values(), up.values());
        Some(Factors { part, module, down, up, inputs, outputs, rank })
    };
    let all: Vec<Factors> = layers.map(factors).collect::<Option<_>>()?;
    (!all.is_empty()).then_some(all)
}

/// Number of values that are learned.
pub fn parameter_count(recipe: &Recipe, configs: &Configs) -> usize {
    let layers = Layer::all(recipe, configs);
    layers.iter().map(|layer| recipe.lora_rank * (layer.inputs + layer.outputs)).sum()
}

impl Method for DreamBoothLora {
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

    fn evaluate(&self, frozen: &Frozen, batch: &Batch) -> Evaluated {
        let leaves = self.params.leaves();
        let tape = Tape::new(&self.text(frozen.text, &leaves), &batch.prompts);
        let learning = Learning {
            still: &self.unet(frozen.unet, &self.params),
            learning: &self.unet(frozen.unet, &leaves),
            leaves: Some(&leaves),
            everywhere: false,
        };
        let denoised = learning.evaluate(frozen.schedule, batch, &tape.context());
        let mut gradients = denoised.weights;
        tape.backward(denoised.context, &leaves, &mut gradients);
        Evaluated::denoising(denoised.loss, gradients)
    }

    fn denoiser<'a>(&'a self, request: &Request<'a>) -> Result<Box<dyn Denoiser + 'a>> {
        let Request { unet, text, job, .. } = *request;
        let how = nn::Frozen::new(&text.device());
        let source = self.params.frozen(&how);
        let context = self.text(text, &source).contexts(&request.rows(), None);
        let unet = self.unet(unet, &source);
        Ok(Box::new(TextDenoiser { unet, context, guidance: job.guidance }))
    }

    /// It has none.
    fn masks(&self, _: &Frozen, _: &Prompt, _: &Reference, _: f64) -> Vec<MaskView> {
        Vec::new()
    }
}
