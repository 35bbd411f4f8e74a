//! Small encoders of the world, which judge pictures of it as CLIP and DINO judge photos:
//! the evaluation's own towers, trained from nothing.

pub mod clip;
pub mod contrast;
pub mod export;
pub mod measure;
pub mod things;

use engine::rng::TorchRng;
use evaluate::encoder::{Crop, Interpolation, Preprocess, Resample, Resize, VitConfig};
use images::{Filter, Picture, resize};
use toyworld::Rendering;

use crate::score::to_picture;

/// The vision transformer of pictures of a side; with a projection to so many features
/// as CLIP has it, without one as DINO.
pub fn vit(side: usize, projection: Option<usize>) -> VitConfig {
    let (patch, clip) = (8, projection.is_some());
    VitConfig {
        width: 192,
        inner: 768,
        layers: 4,
        heads: 3,
        patch,
        grid: side / patch,
        epsilon: if clip { 1e-5 } else { 1e-6 },
        quick_gelu: clip,
        patch_bias: !clip,
        norm_first: clip,
        layer_scale: false,
        projection,
        interpolation: Interpolation::Sides,
    }
}

/// How pictures are made ready for an encoder of a side.
pub fn preprocess(side: usize) -> Preprocess {
    Preprocess {
        resize: Resize::ShortestEdge(side),
        resample: Resample::Bicubic,
        crop: Some([side, side]),
        middle: Crop::Down,
        scale: 1.0 / 255.0,
        mean: [0.5; 3],
        std: [0.5; 3],
    }
}

/// The part of the pictures that are softened: what a model draws is softer than what
/// the world renders, and is to be judged too.
const SOFT: f32 = 0.3;

/// The values of renderings as an encoder sees them in training, `[pictures, 3, side,
/// side]`; which of them are soft, and how much, is drawn from `rng`.
fn pixels<'a>(
    renderings: impl IntoIterator<Item = &'a Rendering>,
    side: usize,
    rng: &mut TorchRng,
) -> Vec<f32> {
    let preprocess = preprocess(side);
    let mut values = Vec::new();
    for rendering in renderings {
        let picture = to_picture(rendering, side);
        let draw = rng.rand(2);
        let small = side / 2 + (draw[1] * (side / 2) as f32) as usize;
        let picture = if draw[0] < SOFT { softened(&picture, small) } else { picture };
        values.extend(preprocess.pixels(&picture));
    }
    values
}

/// A square picture made so many pixels small and large again.
fn softened(picture: &Picture, small: usize) -> Picture {
    let side = picture.width();
    resize(&resize(picture, small, small, Filter::Bicubic), side, side, Filter::Bicubic)
}
