//! Pictures and captions in one space (Radford et al. 2021, arXiv 2103.00020).

use diffusion::{Prompt, Tokenizer, config::TextConfig};
use engine::{
    Device, Tensor,
    params::{Param, Params},
    rng::TorchRng,
};
use evaluate::{
    encoder::{TextTower, Vit, VitConfig},
    prompts::Convention,
    study::Concept,
};
use toyworld::{Kind, Rendering, Scene, World};

use super::{contrast::contrast, pixels};
use crate::{Fresh, Result, data};

/// Values of a picture's or a text's features.
pub const FEATURES: usize = 128;

/// The name of the logarithm of what cosines are multiplied by.
pub const SCALE: &str = "logit_scale";

/// Where that logarithm starts: at 1 / 0.07, as CLIP's.
pub const FIRST_SCALE: f64 = 2.659_26;

/// The most it becomes: that of 100.
const MOST_SCALE: f64 = 4.605_17;

/// The part of the captions of a plain picture that leave its object out. That is what
/// the evaluation compares pictures with (`--convention omit`), and such words have
/// features of their own only if they were learned.
const NAMELESS: f32 = 0.1;

/// What the two towers are like.
#[derive(Clone, Debug)]
pub struct Config {
    /// The tower of pictures.
    pub vision: VitConfig,
    /// The tower of texts.
    pub text: TextConfig,
}

impl Config {
    fn towers<S: engine::nn::WeightSource>(
        &self,
        source: &S,
    ) -> Result<(Vit, TextTower), S::Error> {
        let features = self.vision.projection.unwrap_or(FEATURES);
        Ok((
            Vit::build(self.vision.clone(), source)?,
            TextTower::build(&self.text, features, source)?,
        ))
    }
}

/// Random parameters of both towers, and the scale's.
pub fn fresh(config: &Config, seed: u64, device: &Device) -> Params {
    let source = Fresh::new(seed, device);
    let Ok(_) = config.towers(&source);
    let mut params = source.into_params();
    params.insert(SCALE, Param::new(vec![FIRST_SCALE as f32], &[1], device));
    params
}

/// One training step's loss.
pub struct Step<'a> {
    /// What the towers are like.
    pub config: &'a Config,
    /// The world.
    pub world: &'a World,
    /// Its tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// Side of pictures.
    pub side: usize,
    /// Seed of the run.
    pub seed: u64,
    /// Pictures in a step.
    pub batch: usize,
}

impl Step<'_> {
    /// The loss of finding pictures by captions and captions by pictures, among those of
    /// the step.
    pub fn loss(&self, leaves: &Params, step: u64) -> Result<Tensor<1>> {
        let mut rng = TorchRng::derive(self.seed, &format!("step {step}"));
        let numbers = data::numbers(step, self.batch);
        let shown = data::render(&numbers, |n| self.world.sample(n, self.side));
        let said: Vec<Said> = shown
            .iter()
            .zip(rng.rand(self.batch))
            .map(|(picture, draw)| Said::of(picture, self.world, draw < NAMELESS))
            .collect::<Result<_>>()?;
        let prompts: Vec<Prompt> = said
            .iter()
            .map(|said| self.tokenizer.encode(&said.text, None))
            .collect::<diffusion::Result<_>>()?;
        let Ok((vit, text)) = self.config.towers(leaves);
        let pictures = vit.forward(&pixels(&shown, self.side, &mut rng), [self.side; 2]);
        let texts = text.forward(&prompts);
        let scale = leaves.tensor::<1>(SCALE, [1]).clamp_max(MOST_SCALE).exp();
        Ok(contrast(pictures, texts, scale, |i, j| said[j].is_true_of(&shown[i])))
    }
}

/// A caption, and what it says.
struct Said {
    text: String,
    /// Which object, and what it looks like.
    object: Option<(usize, Kind)>,
    scene: Option<Scene>,
}

impl Said {
    /// A picture's caption, without its object if that is wanted and leaves the scene.
    fn of(picture: &Rendering, world: &World, nameless: bool) -> Result<Self> {
        let Rendering { caption, object, scene, kind, .. } = picture;
        let told = scene.phrases().iter().any(|phrase| caption.ends_with(phrase));
        let scene = told.then_some(*scene);
        if nameless && *kind == Kind::Plain {
            let object = world.objects()[*object].name().to_owned();
            let thing = Concept {
                name: object.clone(),
                photos: Vec::new(),
                prompts: Vec::new(),
                placeholder: object,
                class_word: None,
            };
            let text = Convention::Omit.text(caption, &thing)?;
            return Ok(Self { text, object: None, scene });
        }
        Ok(Self { text: caption.clone(), object: Some((*object, *kind)), scene })
    }

    /// Whether it would be a right caption of a picture. Of what a picture shows besides
    /// an object, captions may be silent.
    fn is_true_of(&self, picture: &Rendering) -> bool {
        let silent = |kind| matches!(kind, Kind::Plain | Kind::NoScene);
        self.scene.is_none_or(|scene| scene == picture.scene)
            && self.object.is_none_or(|(object, kind)| {
                object == picture.object && (silent(kind) || kind == picture.kind)
            })
    }
}
