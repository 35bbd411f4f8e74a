//! The small golden pipeline and the golden ViCo weights on it.

use diffusion::{
    Base, Prompt, Schedule, WeightedPrompt,
    layout::{from_nchw, to_nchw},
    text::TextEncoder,
    unet::UNet,
};
use engine::{
    Device, Tensor,
    params::{Param, Params},
};
use golden::Golden;
use personalize::{
    FrozenWeights, Recipe,
    generate::Prompts,
    methods::{
        self, Frozen, Method, Start,
        vico::{
            Rates, TOKEN, Vico,
            reference::{Layer, Positions},
            variant::Variant,
        },
    },
};

/// Where the models of these tests compute: the processor, or the device that
/// `VICO_DEVICE` names.
pub fn device() -> Device {
    engine::device::from_environment().unwrap_or_else(|e| panic!("{e}"))
}

/// The small pipeline with its weights kept in a way of choice.
pub fn kept(frozen_weights: FrozenWeights) -> Base {
    let device = device();
    Base::open(&golden::path("tiny-sd"), &device).unwrap().kept(&frozen_weights.on(&device))
}

pub struct Tiny {
    pub base: Base,
    pub text: TextEncoder,
    pub unet: UNet,
    pub schedule: Schedule,
}

impl Tiny {
    pub fn open() -> Self {
        Self::of(kept(FrozenWeights::default()))
    }

    pub fn of(base: Base) -> Self {
        Self {
            text: base.text_encoder().unwrap(),
            unet: base.unet().unwrap(),
            schedule: base.schedule(),
            base,
        }
    }

    /// A recipe's method before its first step.
    pub fn fresh(&self, recipe: &Recipe) -> Box<dyn Method> {
        let tokenizer = self.base.tokenizer().unwrap();
        let start = Start { base: &self.base, tokenizer: &tokenizer, text: &self.text };
        methods::fresh(recipe, &start).unwrap()
    }

    pub fn frozen(&self) -> Frozen<'_> {
        Frozen { text: &self.text, unet: &self.unet, schedule: &self.schedule }
    }

    /// ViCo with the golden weights; `token` names the tensor of the learned row.
    pub fn vico(&self, token: &str, rates: Rates) -> Vico {
        let golden = Golden::open("vico_weights.safetensors");
        let mut params = Params::default();
        for name in golden.names() {
            let name_of_param = match name.as_str() {
                name if name == token => TOKEN,
                name if name.starts_with("diffusion_model.") => name,
                _ => continue,
            };
            let values = golden.f32(&name);
            let shape = golden.dims(&name);
            params.insert(name_of_param, Param::new(values, &shape, &device()));
        }
        let how = (rates, Variant::default());
        Vico::from_params(self.unet.sites(), self.text.width(), params, how).unwrap()
    }
}

/// Rates of a training that only looks.
pub const STILL: Rates = Rates { token: 0.0, attention: 0.0, regulariser: 5e-4 };

pub fn image(golden: &Golden, name: &str) -> Tensor<4> {
    from_nchw(golden.f32(name), golden.shape(name), &device())
}

pub fn context(golden: &Golden, name: &str) -> Tensor<3> {
    engine::tensor(golden.f32(name), golden.shape(name), &device())
}

pub fn values(x: Tensor<4>) -> Vec<f32> {
    to_nchw(x).0
}

pub fn timesteps(golden: &Golden, name: &str) -> Vec<usize> {
    golden.i64(name).into_iter().map(|t| t as usize).collect()
}

pub fn positions(golden: &Golden, p: &str, e: &str) -> Vec<Positions> {
    let both = golden.i64(p).into_iter().zip(golden.i64(e));
    both.map(|(p, e)| Positions { placeholder: p as usize, end_of_text: e as usize }).collect()
}

/// The patches of a layer that are read, rows behind each other.
pub fn flags(layer: &Layer) -> Vec<bool> {
    layer.keep.as_ref().expect("a mask").keep.to_vec()
}

/// Prompts from golden ids.
pub fn prompts(golden: &Golden, name: &str) -> Vec<Prompt> {
    let token = golden::manifest()["placeholder_token"].as_u64().unwrap() as u32;
    prompts_with(golden, name, token)
}

/// Prompts from golden ids, with the placeholder where `token` stands.
pub fn prompts_with(golden: &Golden, name: &str, token: u32) -> Vec<Prompt> {
    let [_, length] = golden.shape(name);
    let ids: Vec<u32> = golden.i64(name).into_iter().map(|i| i as u32).collect();
    let prompt = |ids: &[u32]| {
        let at = ids.iter().enumerate().filter(|(_, id)| **id == token);
        Prompt {
            ids: ids.to_vec(),
            placeholders: at.map(|(position, _)| (position, 0)).collect(),
            end_of_text: ids.iter().position(|&id| id == ids[length - 1]).unwrap(),
            dropped: None,
        }
    };
    ids.chunks(length).map(prompt).collect()
}

/// A prompt for both halves of guidance.
pub fn alone(prompt: Prompt) -> Prompts {
    let both: WeightedPrompt = prompt.clone().into();
    Prompts { negative: both.clone(), positive: both, empty: prompt }
}
