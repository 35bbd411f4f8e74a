//! Tapes that stay in memory from the pass forward to the way back.

use diffusion::unet::UNet;
use engine::nn::Precision;
use personalize::{
    FrozenWeights, Recipe,
    methods::{Batch, Frozen, Method, vico::TOKEN},
};

use super::{
    ablations, own_weights,
    textual_inversion::batch as any_batch,
    tiny::{Tiny, kept},
};

/// Loss and gradients are the same to the bit, whether tapes stay or not.
fn assert_same(tiny: &Tiny, method: &dyn Method, batch: &Batch, what: &str) {
    let evaluated = |unet: &UNet| {
        let evaluated = method.evaluate(&Frozen { unet, ..tiny.frozen() }, batch);
        let gradients = evaluated.gradients.iter();
        let gradients: Vec<(String, Vec<f32>)> =
            gradients.map(|(name, g)| (name.to_owned(), engine::values(g.clone()))).collect();
        (evaluated.loss, gradients)
    };
    let (loss, gradients) = evaluated(&tiny.unet);
    let (with, with_tapes) = evaluated(&tiny.unet.with_tapes(true));
    assert_eq!(loss, with, "{what}");
    assert!(!gradients.is_empty() && gradients.len() == with_tapes.len(), "{what}");
    for (a, b) in gradients.iter().zip(&with_tapes) {
        assert!(a == b, "{what}: {}", a.0);
    }
}

#[test]
fn every_variant_of_vico_learns_the_same() {
    let (golden, tiny) = (ablations::open(), ablations::tiny());
    let batch = ablations::batch("vico_grad.safetensors", "");
    for case in ablations::Case::all(&golden, ".losses") {
        assert_same(&tiny, &case.vico(&tiny, TOKEN), &batch, &case.name);
    }
}

#[test]
fn every_other_method_learns_the_same() {
    let tiny = Tiny::open();
    for recipe in [
        Recipe::textual_inversion("toy", 64),
        Recipe::custom_diffusion("toy", 64),
        Recipe::dreambooth_lora("toy", 64),
        Recipe::dreambooth("toy", 64),
    ] {
        let recipe = Recipe { caption: "a photo of {}".into(), ..recipe };
        let method = tiny.fresh(&recipe);
        let batch = own_weights::batch(&tiny, method.as_ref(), &recipe);
        assert_same(&tiny, method.as_ref(), &batch, &recipe.method);
    }
}

#[test]
fn in_bf16_too() {
    let precision = Precision::Bf16;
    let tiny = Tiny::of(kept(FrozenWeights { precision, ..FrozenWeights::default() }));
    let method = tiny.fresh(&Recipe::vico("toy", 64));
    assert_same(&tiny, method.as_ref(), &any_batch(), "bf16");
}
