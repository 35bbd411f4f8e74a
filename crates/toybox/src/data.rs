//! Pictures of the world in the form that models take.

use engine::Tensor;
use rayon::prelude::*;
use toyworld::{Rendering, Scene, World};

/// Renders in parallel, one picture a number.
pub fn render(numbers: &[u64], draw: impl Fn(u64) -> Rendering + Sync) -> Vec<Rendering> {
    numbers.par_iter().map(|&number| draw(number)).collect()
}

/// The numbers of a step's pictures.
pub fn numbers(step: u64, batch: usize) -> Vec<u64> {
    let batch = batch as u64;
    (step * batch..(step + 1) * batch).collect()
}

/// Pixels of pictures as a tensor `[pictures, side, side, 3]` in -1..1.
pub fn tensor(pictures: &[Rendering], side: usize) -> Tensor<4> {
    let values: Vec<f32> =
        pictures.iter().flat_map(|p| &p.pixels).map(|&v| f32::from(v) / 127.5 - 1.0).collect();
    engine::tensor(values, [pictures.len(), side, side, 3], &engine::cpu())
}

/// A plain picture of any object, held out or not, in any scene, all three drawn from a
/// number.
pub fn any(world: &World, number: u64, side: usize) -> Rendering {
    let mut rng = engine::rng::TorchRng::derive(number, "object and scene");
    let object = rng.randint(0, world.objects().len() as i64, 1)[0] as usize;
    let scene = Scene::ALL[rng.randint(0, Scene::ALL.len() as i64, 1)[0] as usize];
    world.plain(object, scene, number, side)
}

/// Pictures for measuring: numbers that no training reaches.
pub const FRESH: u64 = 1 << 40;
