//! The recipe of a training: everything that decides its result, besides the
//! photos and the base model.

use engine::{
    Device,
    device::Kind,
    nn::{Convolutions, Frozen, Precision},
};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    methods::{
        NAMES,
        vico::{Rates, variant::Variant},
    },
};

/// What stands for the learned thing in prompts, unless another text is chosen.
pub const PLACEHOLDER: &str = "*";

/// A resolved recipe; it lies in every run folder and in the adapter file.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Method, see [`methods::NAMES`](crate::methods::NAMES).
    pub method: String,
    /// Optimizer steps.
    pub steps: u64,
    /// Samples a forward pass.
    pub batch: usize,
    /// Batches an optimizer step.
    pub accumulate: usize,
    /// Width and height of the training pictures, pixels.
    pub size: usize,
    /// Text that stands for the learned token.
    pub placeholder: String,
    /// Class word whose embedding the token starts from.
    pub init_word: String,
    /// Vectors of the token, each of which takes a place in the prompt.
    #[serde(default = "one")]
    pub vectors: usize,
    /// Learning rate of the token.
    pub lr_token: f64,
    /// Learning rate of image attention.
    pub lr_attention: f64,
    /// Weight of the regulariser.
    pub reg_weight: f64,
    /// Learning rate of weights of the base model, or of a LoRA on them. Custom Diffusion
    /// counts it for one sample of a step, as its authors do.
    #[serde(default)]
    pub lr_weights: f64,
    /// Rank of the LoRA in which DreamBooth learns; 0 for the weights themselves.
    #[serde(default)]
    pub lora_rank: usize,
    /// The text encoder's weights learn as well.
    #[serde(default)]
    pub train_text_encoder: bool,
    /// A word without much meaning: DreamBooth's name for the thing, the start of Custom
    /// Diffusion's token.
    #[serde(default)]
    pub rare_word: String,
    /// The caption of every photo, with `{}` for the thing; empty for a choice of templates.
    #[serde(default)]
    pub caption: String,
    /// Half of the photos, by chance, are seen mirrored.
    #[serde(default)]
    pub flips: bool,
    /// Weight of the loss on pictures of the class beside that on the photos; 0 for none.
    #[serde(default)]
    pub prior_weight: f64,
    /// Pictures of the class that the base model draws itself before the first step.
    #[serde(default)]
    pub prior_images: usize,
    /// Further things learned at once, each with photos of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub concepts: Vec<Concept>,
    /// AdamW's weight decay, on everything learned.
    pub weight_decay: f64,
    /// Seed of all random numbers.
    pub seed: u64,
    /// How the frozen model was kept. Runs from before it was recorded had the
    /// default.
    #[serde(default)]
    pub frozen_weights: FrozenWeights,
    /// ViCo's switches; left out where they are the paper's.
    #[serde(default, skip_serializing_if = "Variant::is_default")]
    pub vico: Variant,
}

/// A thing that is learned beside the first one.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Concept {
    /// Text that stands for it in prompts.
    pub placeholder: String,
    /// Its class word.
    pub init_word: String,
}

/// How frozen weights are kept and multiplied. It decides the last bits of
/// every result, and in bf16 the third digit.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct FrozenWeights {
    /// `f32`, `bf16`, or `f16` (not on the processor).
    #[serde(with = "PrecisionName")]
    pub precision: Precision,
    /// `compact`, `balanced` or `fast`.
    #[serde(with = "ConvolutionsName")]
    pub convolutions: Convolutions,
    /// The kind of device: `cpu` (which is not written), `cuda`, `metal` or `vulkan`.
    #[serde(with = "KindName", skip_serializing_if = "is_cpu")]
    pub device: Kind,
}

fn is_cpu(kind: &Kind) -> bool {
    *kind == Kind::Cpu
}

/// Names of [`Kind`] in files.
#[derive(Deserialize, Serialize)]
#[serde(remote = "Kind", rename_all = "lowercase")]
enum KindName {
    Cpu,
    Cuda,
    Metal,
    Vulkan,
}

/// Names of [`Precision`] in files.
#[derive(Deserialize, Serialize)]
#[serde(remote = "Precision", rename_all = "lowercase")]
enum PrecisionName {
    F32,
    Bf16,
    F16,
    Tf32,
}

/// Names of [`Convolutions`] in files.
#[derive(Deserialize, Serialize)]
#[serde(remote = "Convolutions", rename_all = "lowercase")]
enum ConvolutionsName {
    Compact,
    Balanced,
    Fast,
}

impl FrozenWeights {
    /// The same on a device.
    pub fn on(self, device: &Device) -> Frozen {
        let Self { precision, convolutions, .. } = self;
        Frozen { device: device.clone(), precision, convolutions, streamed: false }
    }

    /// In words: `bf16, direct convolutions`.
    pub fn description(self) -> String {
        let how = match self.device {
            Kind::Cpu => self.on_the_processor(),
            Kind::Cuda => "on CUDA",
            Kind::Metal => "on Metal",
            Kind::Vulkan => "on Vulkan",
        };
        format!("{}, {how}", self.precision.name())
    }

    fn on_the_processor(self) -> &'static str {
        match (self.precision, self.convolutions) {
            (Precision::F16 | Precision::Tf32, _) => "without kernels",
            (_, Convolutions::Compact) => "direct convolutions",
            (Precision::F32, Convolutions::Fast) => "convolutions by Winograd F(4x4)",
            _ => "convolutions by Winograd F(2x2)",
        }
    }
}

/// The most optimizer steps a recipe may ask for.
const MOST_STEPS: u64 = 1_000_000;

/// The most vectors of a token: a prompt must have room for other words.
const MOST_VECTORS: u64 = 32;

/// The largest rank of a LoRA.
const MOST_RANK: usize = 1024;

/// The rank that diffusers and kohya's program begin with.
pub const LORA_RANK: usize = 4;

/// diffusers' number of pictures of the class.
const PRIOR_IMAGES: usize = 100;

/// The kind of [`Recipe::of`] that is DreamBooth in a LoRA; all others are names of
/// methods.
pub const DREAMBOOTH_LORA: &str = "dreambooth-lora";

/// The paper's number of vectors; older recipes do not name it.
fn one() -> usize {
    1
}

impl Recipe {
    /// The paper's recipe at a base model's own picture size.
    pub fn vico(init_word: &str, size: usize) -> Self {
        Self {
            method: "vico".into(),
            steps: 400,
            batch: 4,
            accumulate: 1,
            size,
            placeholder: PLACEHOLDER.into(),
            init_word: init_word.into(),
            vectors: one(),
            lr_token: 5e-3,
            lr_attention: 1e-5,
            reg_weight: 5e-4,
            lr_weights: 0.0,
            lora_rank: 0,
            train_text_encoder: false,
            rare_word: String::new(),
            caption: String::new(),
            flips: false,
            prior_weight: 0.0,
            prior_images: 0,
            concepts: Vec::new(),
            weight_decay: 0.01,
            seed: 0,
            frozen_weights: FrozenWeights::default(),
            vico: Variant::default(),
        }
    }

    /// Textual Inversion as its authors trained it (learning rate 5e-3), at a base
    /// model's own picture size. It has no image attention and no regulariser.
    pub fn textual_inversion(init_word: &str, size: usize) -> Self {
        Self {
            method: "textual-inversion".into(),
            steps: 3000,
            ..Self::without_attention(init_word, size)
        }
    }

    /// Custom Diffusion as its authors trained it: 250 steps of eight samples, half of
    /// them of the class, at a learning rate of 1e-5 a sample.
    pub fn custom_diffusion(init_word: &str, size: usize) -> Self {
        Self {
            method: "custom-diffusion".into(),
            steps: 250,
            lr_token: 1e-5,
            lr_weights: 1e-5,
            rare_word: "ktn".into(),
            caption: "photo of a {}".into(),
            flips: true,
            prior_weight: 1.0,
            prior_images: PRIOR_IMAGES,
            ..Self::without_attention(init_word, size)
        }
    }

    /// DreamBooth of the whole U-Net as diffusers trains it with pictures of the class.
    pub fn dreambooth(init_word: &str, size: usize) -> Self {
        Self {
            method: "dreambooth".into(),
            steps: 800,
            batch: 1,
            lr_token: 0.0,
            lr_weights: 5e-6,
            rare_word: "sks".into(),
            caption: "a photo of {}".into(),
            prior_weight: 1.0,
            prior_images: PRIOR_IMAGES,
            ..Self::without_attention(init_word, size)
        }
    }

    /// DreamBooth in a LoRA as diffusers trains it.
    pub fn dreambooth_lora(init_word: &str, size: usize) -> Self {
        Self {
            steps: 500,
            lr_weights: 1e-4,
            lora_rank: LORA_RANK,
            ..Self::dreambooth(init_word, size)
        }
    }

    /// ViCo's recipe without image attention.
    fn without_attention(init_word: &str, size: usize) -> Self {
        Self { lr_attention: 0.0, reg_weight: 0.0, ..Self::vico(init_word, size) }
    }

    /// The default recipe of a kind of training, the name of a method
    /// or [`DREAMBOOTH_LORA`].
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn of(kind: &str, init_word: &str, size: usize) -> Result<Self> {
        match kind {
            "vico" => Ok(Self::vico(init_word, size)),
            "textual-inversion" => Ok(Self::textual_inversion(init_word, size)),
            "custom-diffusion" => Ok(Self::custom_diffusion(init_word, size)),
            "dreambooth" => Ok(Self::dreambooth(init_word, size)),
            DREAMBOOTH_LORA => Ok(Self::dreambooth_lora(init_word, size)),
            other => Err(setting("--method", other, &NAMES.join(" or "))),
        }
    }

    /// Samples an optimizer step looks at, those of the class included.
    pub fn samples(&self) -> usize {
        let kinds = if self.prior_weight > 0.0 { 2 } else { 1 };
        self.batch * self.accumulate * kinds
    }

    /// Learning rates for the method.
    pub fn rates(&self) -> Rates {
        Rates { token: self.lr_token, attention: self.lr_attention, regulariser: self.reg_weight }
    }

    /// Checks every value.
    pub fn check(&self) -> Result<()> {
        if !NAMES.contains(&self.method.as_str()) {
            return Err(setting("--method", &self.method, &NAMES.join(" or ")));
        }
        whole("--steps", self.steps, MOST_STEPS)?;
        whole("--batch", self.batch as u64, 256)?;
        whole("--accumulate", self.accumulate as u64, 4096)?;
        whole("--vectors", self.vectors as u64, MOST_VECTORS)?;
        rate("--lr-token", self.lr_token)?;
        rate("--lr-attention", self.lr_attention)?;
        rate("--reg-weight", self.reg_weight)?;
        rate("--lr-weights", self.lr_weights)?;
        rate("--prior-weight", self.prior_weight)?;
        rate("weight_decay", self.weight_decay)?;
        self.check_variant()?;
        if self.lora_rank > MOST_RANK {
            let expected = format!("a whole number up to {MOST_RANK}, 0 for none");
            return Err(setting("--lora-rank", &self.lora_rank.to_string(), &expected));
        }
        if self.prior_weight > 0.0 {
            whole("--prior-images", self.prior_images as u64, 1000)?;
        }
        if !(self.caption.is_empty() || self.caption.contains("{}")) {
            return Err(setting("caption", &self.caption, "a text with {} for the thing"));
        }
        let further = self.concepts.iter().map(|concept| &concept.placeholder);
        let all: Vec<&String> = [&self.placeholder].into_iter().chain(further).collect();
        all.iter().try_for_each(|word| placeholder(word))?;
        match all.iter().enumerate().find(|(i, word)| all[..*i].contains(word)) {
            Some((_, word)) => {
                let expected = "another placeholder for each concept";
                Err(setting("--concept", word, expected))
            }
            None => Ok(()),
        }
    }

    /// The switches of ViCo must mean something.
    fn check_variant(&self) -> Result<()> {
        if self.method != "vico" && !self.vico.is_default() {
            let expected = format!("nothing: {} has no image attention", self.method);
            return Err(setting("[vico]", &self.vico.differences().join(", "), &expected));
        }
        if self.vico.detach_reference && self.reg_weight > 0.0 {
            let expected = "0, since the regulariser acts through the reference stream, which \
                            --detach-reference cuts off";
            return Err(setting("--reg-weight", &self.reg_weight.to_string(), expected));
        }
        Ok(())
    }
}

fn placeholder(word: &str) -> Result<()> {
    let plain = |c: char| !c.is_whitespace() && !c.is_control();
    if word.is_empty() || word.chars().count() > 64 || !word.chars().all(plain) {
        return Err(setting("--placeholder", word, "1 to 64 characters without spaces"));
    }
    Ok(())
}

fn whole(option: &str, value: u64, most: u64) -> Result<()> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    Err(setting(option, &value.to_string(), &format!("a whole number from 1 to {most}")))
}

fn rate(option: &str, value: f64) -> Result<()> {
    if value.is_finite() && (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(setting(option, &value.to_string(), "a number from 0 to 1"))
}

fn setting(option: &str, found: &str, expected: &str) -> Error {
    Error::Setting { option: option.into(), found: found.into(), expected: expected.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_weights_are_kept_is_recorded_by_name() {
        let (precision, convolutions) = (Precision::Bf16, Convolutions::Compact);
        let frozen_weights = FrozenWeights { precision, convolutions, device: Kind::Cpu };
        let recipe = Recipe { frozen_weights, ..Recipe::vico("toy", 512) };
        let mut written = serde_json::to_value(&recipe).unwrap();
        let names = serde_json::json!({ "precision": "bf16", "convolutions": "compact" });
        assert_eq!(written["frozen_weights"], names);
        assert_eq!(serde_json::from_value::<Recipe>(written.clone()).unwrap(), recipe);

        written.as_object_mut().unwrap().remove("frozen_weights");
        let old: Recipe = serde_json::from_value(written).unwrap();
        assert_eq!(old.frozen_weights, FrozenWeights::default());
        assert_eq!(old.frozen_weights.description(), "f32, convolutions by Winograd F(2x2)");
    }

    #[test]
    fn a_device_beside_the_processor_is_recorded() {
        let weights = FrozenWeights { device: Kind::Vulkan, ..Default::default() };
        let written = serde_json::to_value(weights).unwrap();
        assert_eq!(written["device"], "vulkan");
        assert_eq!(serde_json::from_value::<FrozenWeights>(written).unwrap(), weights);
        assert_eq!(weights.description(), "f32, on Vulkan");
    }
}
