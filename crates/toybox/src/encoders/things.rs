//! Pictures alone, so that two of one thing are alike: where the evaluation has a DINO.
//!
//! Two views of a thing are two renderings: the same object and colour in another place,
//! size and turn, and in another scene.

use engine::{Device, Tensor, params::Params, rng::TorchRng};
use evaluate::encoder::{Vit, VitConfig};
use toyworld::{Rendering, Scene, Tint, World};

use super::{contrast::contrast, pixels};
use crate::{Fresh, Result, data};

/// What cosines are multiplied by: a temperature of 0.1, as SimCLR's (Chen et al. 2020,
/// arXiv 2002.05709).
const SCALE: f32 = 10.0;

/// The part of things that are dyed: each object then is eight things, which differ by
/// colour alone.
const DYED: f32 = 0.3;

/// Random parameters.
pub fn fresh(config: &VitConfig, seed: u64, device: &Device) -> Params {
    let source = Fresh::new(seed, device);
    let Ok(_) = Vit::build(config.clone(), &source);
    source.into_params()
}

/// One training step's loss.
pub struct Step<'a> {
    /// What the encoder is like.
    pub config: &'a VitConfig,
    /// The world.
    pub world: &'a World,
    /// Side of pictures.
    pub side: usize,
    /// Seed of the run.
    pub seed: u64,
    /// Things in a step, each seen twice.
    pub batch: usize,
}

impl Step<'_> {
    /// The loss of finding the other view of each thing among those of the step.
    pub fn loss(&self, leaves: &Params, step: u64) -> Result<Tensor<1>> {
        let mut rng = TorchRng::derive(self.seed, &format!("step {step}"));
        let objects: Vec<usize> = self.world.trained().collect();
        let numbers = data::numbers(step, self.batch);
        let things: Vec<Thing> = numbers.iter().map(|&n| Thing::drawn(n, &objects)).collect();
        let views = [0, 1].map(|view| {
            data::render(&numbers, |n| {
                let thing = &things[(n - numbers[0]) as usize];
                thing.view(self.world, 2 * n + view as u64, view, self.side)
            })
        });
        let Ok(vit) = Vit::build(self.config.clone(), leaves);
        let pixels = pixels(views.iter().flatten(), self.side, &mut rng);
        let seen = vit.forward(&pixels, [self.side; 2]);
        let [a, b] = [0, 1].map(|view| seen.clone().narrow(0, view * self.batch, self.batch));
        let scale = engine::tensor(vec![SCALE], [1], &seen.device());
        Ok(contrast(a, b, scale, |i, j| things[i].is(&things[j])))
    }
}

/// A thing, and where it is seen.
struct Thing {
    object: usize,
    tint: Option<Tint>,
    scenes: [Scene; 2],
}

impl Thing {
    /// One that is drawn from a number.
    fn drawn(number: u64, objects: &[usize]) -> Self {
        let mut rng = TorchRng::derive(number, "thing");
        let mut pick = |count: usize| rng.randint(0, count as i64, 1)[0] as usize;
        let (object, tint) = (objects[pick(objects.len())], Tint::ALL[pick(Tint::ALL.len())]);
        let first = pick(Scene::ALL.len());
        let second = (first + 1 + pick(Scene::ALL.len() - 1)) % Scene::ALL.len();
        let dyed = rng.rand(1)[0] < DYED;
        Self { object, tint: dyed.then_some(tint), scenes: [first, second].map(|i| Scene::ALL[i]) }
    }

    fn view(&self, world: &World, seed: u64, view: usize, side: usize) -> Rendering {
        world.dyed(self.object, self.tint, self.scenes[view], seed, side)
    }

    fn is(&self, other: &Self) -> bool {
        (self.object, self.tint) == (other.object, other.tint)
    }
}
