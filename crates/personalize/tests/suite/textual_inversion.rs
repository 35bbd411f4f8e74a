use diffusion::unet::Plain;
use engine::{
    optim::{AdamW, AdamWConfig},
    replay::{Gradients, leaf},
};
use golden::{Golden, assert_close};
use personalize::{
    Recipe,
    methods::{self, Batch, Method, token::TOKEN},
};

use super::tiny::{Tiny, image, prompts, timesteps};

pub fn batch() -> Batch {
    let golden = Golden::open("vico_train_batched.safetensors");
    Batch {
        latents: image(&golden, "step0.x0"),
        references: image(&golden, "step0.xr"),
        masks: Vec::new(),
        noise: image(&golden, "step0.noise"),
        timesteps: timesteps(&golden, "step0.t"),
        prompts: prompts(&golden, "step0.ids"),
    }
}

fn fresh(tiny: &Tiny) -> Box<dyn Method> {
    let recipe = Recipe::textual_inversion("toy", 64);
    tiny.fresh(&recipe)
}

/// The same loss with one tape through text encoder and U-Net.
#[test]
fn the_gradient_is_that_of_the_whole_tape() {
    let (tiny, batch) = (Tiny::open(), batch());
    let method = fresh(&tiny);
    let evaluated = method.evaluate(&tiny.frozen(), &batch);

    let width = tiny.text.width();
    let token = leaf(&method.params().tensor(TOKEN, [1, width]));
    let context = tiny.text.forward(&batch.prompts, Some(token.clone()));
    let noisy =
        tiny.schedule.add_noise(batch.latents.clone(), batch.noise.clone(), &batch.timesteps);
    let times: Vec<f64> = batch.timesteps.iter().map(|&t| t as f64).collect();
    let error = tiny.unet.forward(noisy, &times, &context, &mut Plain) - batch.noise.clone();
    let loss = (error.clone() * error).mean();
    let value = engine::values(loss.clone())[0];
    assert_close("loss", &[evaluated.loss as f32], &[value], 1e-5);
    let wanted = Gradients::from(loss.backward()).take(&token).expect("it reaches the token");
    let got = evaluated.gradients.get(TOKEN).expect("the token has a gradient");
    assert_close("gradient", &engine::values(got.clone()), &engine::values(wanted), 1e-4);
}

#[test]
fn only_the_token_is_learned_and_the_loss_falls() {
    let (tiny, batch) = (Tiny::open(), batch());
    let mut method = fresh(&tiny);
    assert_eq!(method.params().count(), tiny.text.width());
    let mut optimizer = AdamW::new(AdamWConfig::default());
    let mut losses = Vec::new();
    for _ in 0..10 {
        let mut evaluated = method.evaluate(&tiny.frozen(), &batch);
        losses.push(evaluated.loss);
        optimizer.step(method.params_mut(), &mut evaluated.gradients, |_| 5e-3);
    }
    assert!(losses[9] < losses[0], "{losses:?}");
}

#[test]
fn parameters_of_another_method_are_refused() {
    let tiny = Tiny::open();
    let other = tiny.fresh(&Recipe::vico("toy", 64));
    let recipe = Recipe::textual_inversion("toy", 64);
    let params = other.params().clone();
    let refused = methods::learned(&recipe, tiny.base.configs(), params);
    assert!(refused.is_err());
}
