//! Model configurations, read from the JSON files that lie beside the weights.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::{Error, Result};

/// One number for all levels, or one a level.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(untagged)]
pub enum PerLevel {
    /// The same everywhere.
    One(usize),
    /// Level by level, from the finest.
    Each(Vec<usize>),
}

impl PerLevel {
    /// Value at a level.
    pub fn at(&self, level: usize) -> usize {
        match self {
            Self::One(n) => *n,
            Self::Each(list) => list[level.min(list.len() - 1)],
        }
    }

    fn any_zero(&self) -> bool {
        match self {
            Self::One(n) => *n == 0,
            Self::Each(list) => list.is_empty() || list.contains(&0),
        }
    }
}

/// `unet/config.json`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct UNetConfig {
    /// Latent channels going in (4; 9 is an inpainting model).
    pub in_channels: usize,
    /// Latent channels coming out.
    pub out_channels: usize,
    /// Channels of the levels, from the finest.
    pub block_out_channels: Vec<usize>,
    /// Kinds of the encoder levels.
    pub down_block_types: Vec<String>,
    /// Kinds of the decoder levels, from the coarsest.
    pub up_block_types: Vec<String>,
    /// Resnets an encoder level; a decoder level has one more.
    pub layers_per_block: usize,
    /// Width of the text context.
    pub cross_attention_dim: usize,
    /// In SD 1.x and 2.x files this holds the *number of heads*, in 2.x of each level.
    pub attention_head_dim: PerLevel,
    /// Latent side the model was trained at.
    #[serde(default = "sample_size")]
    pub sample_size: usize,
    /// Groups of the group norms.
    #[serde(default = "groups")]
    pub norm_num_groups: usize,
    /// Epsilon of the resnets' norms.
    #[serde(default = "norm_eps")]
    pub norm_eps: f64,
    /// Cosines before sines in the time embedding.
    #[serde(default = "yes")]
    pub flip_sin_to_cos: bool,
    /// Shift of the time frequencies.
    #[serde(default)]
    pub freq_shift: f64,
    /// `proj_in` and `proj_out` are linear layers (SD 2), not 1x1 convolutions.
    #[serde(default)]
    pub use_linear_projection: bool,
}

/// `vae/config.json`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct VaeConfig {
    /// Image channels.
    pub in_channels: usize,
    /// Image channels.
    pub out_channels: usize,
    /// Latent channels.
    pub latent_channels: usize,
    /// Channels of the levels, from the finest.
    pub block_out_channels: Vec<usize>,
    /// Resnets an encoder level; a decoder level has one more.
    pub layers_per_block: usize,
    /// Groups of the group norms.
    #[serde(default = "groups")]
    pub norm_num_groups: usize,
    /// Latents are multiplied by this before the U-Net sees them.
    #[serde(default = "scaling_factor")]
    pub scaling_factor: f64,
}

/// `text_encoder/config.json`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct TextConfig {
    /// Rows of the token table.
    pub vocab_size: usize,
    /// Width of a token.
    pub hidden_size: usize,
    /// Width inside the MLPs.
    pub intermediate_size: usize,
    /// Transformer layers.
    pub num_hidden_layers: usize,
    /// Attention heads.
    pub num_attention_heads: usize,
    /// Positions (77).
    pub max_position_embeddings: usize,
    /// `quick_gelu` or `gelu`.
    pub hidden_act: String,
    /// Epsilon of the layer norms.
    #[serde(default = "norm_eps")]
    pub layer_norm_eps: f64,
}

/// `scheduler/scheduler_config.json`: the noise schedule the base was trained with.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct ScheduleConfig {
    /// First variance.
    #[serde(default = "beta_start")]
    pub beta_start: f64,
    /// Last variance.
    #[serde(default = "beta_end")]
    pub beta_end: f64,
    /// `scaled_linear` or `linear`.
    #[serde(default = "beta_schedule")]
    pub beta_schedule: String,
    /// Steps of the forward process.
    #[serde(default = "train_steps")]
    pub num_train_timesteps: usize,
    /// What the model says of noisy latents.
    #[serde(default)]
    pub prediction_type: Prediction,
    /// Added to every sampling timestep by diffusers' leading spacing.
    #[serde(default = "steps_offset")]
    pub steps_offset: usize,
    /// The step after the last goes to alpha 1 instead of the first alpha.
    #[serde(default)]
    pub set_alpha_to_one: bool,
}

impl Default for ScheduleConfig {
    /// Stable Diffusion 1.x, for single files, which carry no configuration.
    fn default() -> Self {
        Self {
            beta_start: beta_start(),
            beta_end: beta_end(),
            beta_schedule: beta_schedule(),
            num_train_timesteps: train_steps(),
            prediction_type: Prediction::default(),
            steps_offset: steps_offset(),
            set_alpha_to_one: false,
        }
    }
}

fn sample_size() -> usize {
    64
}
fn groups() -> usize {
    32
}
fn norm_eps() -> f64 {
    1e-5
}
fn yes() -> bool {
    true
}
fn scaling_factor() -> f64 {
    0.18215
}
fn beta_start() -> f64 {
    0.00085
}
fn beta_end() -> f64 {
    0.012
}
fn beta_schedule() -> String {
    "scaled_linear".into()
}
fn train_steps() -> usize {
    1000
}
fn steps_offset() -> usize {
    1
}

/// What a model predicts of noisy latents.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub enum Prediction {
    /// The noise in them.
    #[default]
    #[serde(rename = "epsilon")]
    Noise,
    /// `sqrt(alpha) noise - sqrt(1 - alpha) picture` (Salimans and Ho 2022), as Stable
    /// Diffusion 2.x at 768 pixels.
    #[serde(rename = "v_prediction")]
    Velocity,
}

/// Names the file in every complaint about its values.
struct Checker<'a> {
    path: &'a Path,
}

impl Checker<'_> {
    fn parse<T: for<'de> Deserialize<'de>>(&self, value: &Value) -> Result<T> {
        serde_json::from_value(value.clone())
            .map_err(|e| self.wrong("its JSON", &e.to_string(), "a Stable Diffusion configuration"))
    }

    fn wrong(&self, key: &str, found: &str, expected: &str) -> Error {
        Error::Config {
            path: self.path.to_owned(),
            key: key.to_owned(),
            found: found.to_owned(),
            expected: expected.to_owned(),
        }
    }

    /// Kinds of schedules that another noise or another question would come of.
    fn kinds(&self, schedule: &Value) -> Result<()> {
        let prediction = schedule["prediction_type"].as_str().unwrap_or("epsilon");
        if !matches!(prediction, "epsilon" | "v_prediction") {
            return Err(self.wrong("prediction_type", prediction, "epsilon or v_prediction"));
        }
        if schedule["rescale_betas_zero_snr"] == true {
            let expected = "false: samplers here cannot start without any picture in the noise";
            return Err(self.wrong("rescale_betas_zero_snr", "true", expected));
        }
        if !schedule["trained_betas"].is_null() {
            return Err(self.wrong("trained_betas", "a list", "null: a beta_schedule with a name"));
        }
        Ok(())
    }

    fn between(&self, key: &str, value: usize, low: usize, high: usize) -> Result<()> {
        if (low..=high).contains(&value) {
            return Ok(());
        }
        Err(self.wrong(key, &value.to_string(), &format!("a number from {low} to {high}")))
    }

    fn widths(&self, key: &str, widths: &[usize], groups: usize) -> Result<()> {
        let good = |&w: &usize| (1..=16384).contains(&w) && w % groups == 0;
        if (1..=16).contains(&widths.len()) && widths.iter().all(good) {
            return Ok(());
        }
        let expected =
            format!("1 to 16 channel counts, each a multiple of norm_num_groups ({groups})");
        Err(self.wrong(key, &format!("{widths:?}"), &expected))
    }
}

impl UNetConfig {
    /// Reads and checks; `path` is named in errors.
    pub fn from_json(value: &Value, path: &Path) -> Result<Self> {
        let check = Checker { path };
        let config: Self = check.parse(value)?;
        check.between("in_channels", config.in_channels, 1, 64)?;
        check.between("out_channels", config.out_channels, 1, 64)?;
        check.between("norm_num_groups", config.norm_num_groups, 1, 1024)?;
        check.widths("block_out_channels", &config.block_out_channels, config.norm_num_groups)?;
        check.between("layers_per_block", config.layers_per_block, 1, 16)?;
        check.between("cross_attention_dim", config.cross_attention_dim, 1, 16384)?;
        check.between("sample_size", config.sample_size, 1, 4096)?;
        config.check_levels(&check)?;
        config.check_heads(&check)?;
        Ok(config)
    }

    fn check_levels(&self, check: &Checker) -> Result<()> {
        let levels = self.block_out_channels.len();
        for (key, kinds, plain, cross) in [
            ("down_block_types", &self.down_block_types, "DownBlock2D", "CrossAttnDownBlock2D"),
            ("up_block_types", &self.up_block_types, "UpBlock2D", "CrossAttnUpBlock2D"),
        ] {
            check.between(&format!("the length of {key}"), kinds.len(), levels, levels)?;
            if let Some(kind) = kinds.iter().find(|k| *k != plain && *k != cross) {
                return Err(check.wrong(key, kind, &format!("{plain} or {cross}")));
            }
        }
        Ok(())
    }

    fn check_heads(&self, check: &Checker) -> Result<()> {
        let heads = &self.attention_head_dim;
        let fits = |level: usize| self.block_out_channels[level].is_multiple_of(heads.at(level));
        if heads.any_zero() || !(0..self.block_out_channels.len()).all(fits) {
            let expected = "at least one head, dividing the channels of its level";
            return Err(check.wrong("attention_head_dim", &format!("{heads:?}"), expected));
        }
        Ok(())
    }
}

impl VaeConfig {
    /// Reads and checks; `path` is named in errors.
    pub fn from_json(value: &Value, path: &Path) -> Result<Self> {
        let check = Checker { path };
        let config: Self = check.parse(value)?;
        check.between("in_channels", config.in_channels, 3, 3)?;
        check.between("out_channels", config.out_channels, 3, 3)?;
        check.between("latent_channels", config.latent_channels, 1, 64)?;
        check.between("norm_num_groups", config.norm_num_groups, 1, 1024)?;
        check.widths("block_out_channels", &config.block_out_channels, config.norm_num_groups)?;
        check.between("layers_per_block", config.layers_per_block, 1, 16)?;
        if !(config.scaling_factor.is_finite() && config.scaling_factor > 0.0) {
            let found = config.scaling_factor.to_string();
            return Err(check.wrong("scaling_factor", &found, "a positive number"));
        }
        Ok(config)
    }

    /// Pixels a latent stands for, along one side.
    pub fn factor(&self) -> usize {
        1 << (self.block_out_channels.len() - 1)
    }
}

impl TextConfig {
    /// Reads and checks; `path` is named in errors.
    pub fn from_json(value: &Value, path: &Path) -> Result<Self> {
        let check = Checker { path };
        let config: Self = check.parse(value)?;
        check.between("vocab_size", config.vocab_size, 1, 1 << 20)?;
        check.between("hidden_size", config.hidden_size, 1, 16384)?;
        check.between("intermediate_size", config.intermediate_size, 1, 1 << 17)?;
        check.between("num_hidden_layers", config.num_hidden_layers, 1, 128)?;
        check.between("max_position_embeddings", config.max_position_embeddings, 3, 4096)?;
        check.between("num_attention_heads", config.num_attention_heads, 1, config.hidden_size)?;
        if !config.hidden_size.is_multiple_of(config.num_attention_heads) {
            let found = config.num_attention_heads.to_string();
            return Err(check.wrong("num_attention_heads", &found, "a divisor of hidden_size"));
        }
        if !matches!(config.hidden_act.as_str(), "quick_gelu" | "gelu") {
            return Err(check.wrong("hidden_act", &config.hidden_act, "quick_gelu or gelu"));
        }
        Ok(config)
    }
}

impl ScheduleConfig {
    /// Reads and checks; `path` is named in errors.
    pub fn from_json(value: &Value, path: &Path) -> Result<Self> {
        let check = Checker { path };
        check.kinds(value)?;
        let config: Self = check.parse(value)?;
        check.between("num_train_timesteps", config.num_train_timesteps, 2, 100_000)?;
        let range = 0.0..1.0;
        if !(range.contains(&config.beta_start)
            && range.contains(&config.beta_end)
            && config.beta_start <= config.beta_end)
        {
            let found = format!("{} .. {}", config.beta_start, config.beta_end);
            return Err(check.wrong("beta_start .. beta_end", &found, "0 <= start <= end < 1"));
        }
        if !matches!(config.beta_schedule.as_str(), "scaled_linear" | "linear") {
            return Err(check.wrong(
                "beta_schedule",
                &config.beta_schedule,
                "scaled_linear or linear",
            ));
        }
        Ok(config)
    }
}
