//! Methods that train weights of the base model: what they touch, and what they leave.

use diffusion::{
    Placeholder,
    base::Configs,
    unet::{Plain, UNet},
};
use engine::{
    Tensor,
    optim::{AdamW, AdamWConfig},
    params::Params,
};
use golden::assert_close;
use personalize::{
    Recipe,
    generate::{Job, Prompts},
    methods::{self, Batch, Method, Request, Sources, custom_diffusion, dreambooth},
};

use super::{
    textual_inversion::batch as any_batch,
    tiny::{Tiny, values},
};

/// The recipes of all methods that train weights of the base.
fn recipes() -> Vec<Recipe> {
    let text = |recipe| Recipe { train_text_encoder: true, ..recipe };
    vec![
        Recipe::custom_diffusion("toy", 64),
        Recipe::dreambooth_lora("toy", 64),
        text(Recipe::dreambooth_lora("toy", 64)),
        Recipe::dreambooth("toy", 64),
        text(Recipe::dreambooth("toy", 64)),
    ]
}

/// A batch whose captions are the recipe's own.
pub fn batch(tiny: &Tiny, method: &dyn Method, recipe: &Recipe) -> Batch {
    let placeholder = methods::placeholder(method, recipe, 0);
    let caption = recipe.caption.replace("{}", &recipe.placeholder);
    let prompt = tiny.base.tokenizer().unwrap().encode(&caption, Some(placeholder)).unwrap();
    let any = any_batch();
    Batch { prompts: vec![prompt; any.prompts.len()], ..any }
}

/// What the frozen model makes of something.
fn frozen_outputs(tiny: &Tiny) -> Vec<f32> {
    let batch = any_batch();
    let prompt = tiny.base.tokenizer().unwrap().encode("a photo of a toy", None).unwrap();
    let context = tiny.text.forward(&[prompt], None);
    let out = tiny.unet.forward(batch.latents, &[500.0], &context, &mut Plain);
    [values(out), engine::values(context)].concat()
}

#[test]
fn the_loss_falls_and_the_frozen_model_stays_as_it_is() {
    let tiny = Tiny::open();
    let before = frozen_outputs(&tiny);
    for recipe in recipes() {
        let mut method = tiny.fresh(&recipe);
        let batch = batch(&tiny, method.as_ref(), &recipe);
        let mut optimizer = AdamW::new(AdamWConfig::default());
        let mut losses = Vec::new();
        for _ in 0..4 {
            let mut evaluated = method.evaluate(&tiny.frozen(), &batch);
            losses.push(evaluated.loss);
            optimizer.step(method.params_mut(), &mut evaluated.gradients, |_| 1e-3);
        }
        assert!(losses[3] < losses[0], "{}: {losses:?}", recipe.method);
        let known: Vec<&str> = optimizer.moments().map(|(name, _)| name).collect();
        let learned: Vec<&str> = method.params().iter().map(|(name, _)| name).collect();
        assert_eq!(known, learned, "the optimizer sees what is learned, and nothing else");
    }
    assert_eq!(before, frozen_outputs(&tiny));
}

/// Predicts noise with what a method learned.
fn drawn(tiny: &Tiny, method: &dyn Method, prompt: &str, placeholder: Placeholder) -> Vec<f32> {
    let tokenizer = tiny.base.tokenizer().unwrap();
    let job = Job { guidance: 3.0, ..Job::new(prompt, 64) };
    let prompts: Prompts = job.prompts(&tokenizer, Some(placeholder), false).unwrap();
    let (unet, text) = (&tiny.unet, &tiny.text);
    let latents = any_batch().latents;
    let [_, h, w, _] = latents.dims();
    let (sources, size) = (Sources::default(), [h, w]);
    let request = Request { unet, text, prompts: &prompts, job: &job, sources, latents: size };
    let mut denoiser = method.denoiser(&request).unwrap();
    values(denoiser.predict(latents, tiny.schedule.level(500)).unwrap())
}

/// Before the first step the base draws as it does without the method; the rare word is
/// part of the prompt.
#[test]
fn nothing_learned_changes_nothing() {
    let tiny = Tiny::open();
    let plain = Placeholder { text: "*", vectors: 0, words: "sks toy" };
    let whole = tiny.fresh(&Recipe::dreambooth("toy", 64));
    let want = drawn(&tiny, whole.as_ref(), "a * here", plain);
    for recipe in &recipes()[1..] {
        let method = tiny.fresh(recipe);
        let placeholder = methods::placeholder(method.as_ref(), recipe, 0);
        let got = drawn(&tiny, method.as_ref(), "a * here", placeholder);
        assert_close(&recipe.method, &got, &want, 1e-5);
    }
}

#[test]
fn parameters_that_do_not_fit_are_refused() {
    let tiny = Tiny::open();
    let all: Vec<(Recipe, Params)> =
        recipes().into_iter().map(|r| (r.clone(), tiny.fresh(&r).params().clone())).collect();
    for (i, (recipe, _)) in all.iter().enumerate() {
        for (j, (_, params)) in all.iter().enumerate() {
            let learned = methods::learned(recipe, tiny.base.configs(), params.clone());
            assert_eq!(learned.is_ok(), i == j, "parameters of {j} for {i}");
        }
    }
}

#[test]
fn counts_are_those_of_what_is_learned() {
    let tiny = Tiny::open();
    let token = [Recipe::vico("toy", 64), Recipe::textual_inversion("toy", 64)];
    for recipe in recipes().into_iter().chain(token) {
        let counted = methods::parameter_count(&recipe, &tiny.base);
        assert_eq!(counted, tiny.fresh(&recipe).params().count(), "{}", recipe.method);
    }
}

/// Stable Diffusion 1.5's configurations.
fn full_size(tiny: &Tiny) -> Configs {
    let mut configs = tiny.base.configs().clone();
    configs.unet.block_out_channels = vec![320, 640, 1280, 1280];
    configs.unet.cross_attention_dim = 768;
    configs.text.hidden_size = 768;
    configs.text.intermediate_size = 3072;
    configs.text.num_hidden_layers = 12;
    configs
}

#[test]
fn counts_at_full_size() {
    let configs = full_size(&Tiny::open());
    let custom = Recipe::custom_diffusion("toy", 512);
    assert_eq!(custom_diffusion::parameter_count(&custom, &configs), 19_169_280 + 768);
    let lora = Recipe::dreambooth_lora("toy", 512);
    // What diffusers' own LoRA of rank 4 has.
    assert_eq!(dreambooth::lora_parameter_count(&lora, &configs), 797_184);
    let count = |shapes: Vec<(String, Vec<usize>)>| {
        shapes.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum::<usize>()
    };
    let unet = count(diffusion::weights::shapes(|s| UNet::build(&configs.unet, s)));
    let text = count(diffusion::weights::shapes(|s| {
        diffusion::text::TextEncoder::build(&configs.text, s)
    }));
    assert_eq!((unet, unet + text), (859_520_964, 982_581_444));
}

/// Of several concepts each has vectors of its own.
#[test]
fn concepts_have_their_own_vectors() {
    let tiny = Tiny::open();
    let concept =
        personalize::recipe::Concept { placeholder: "<b>".into(), init_word: "dog".into() };
    let recipe =
        Recipe { vectors: 2, concepts: vec![concept], ..Recipe::custom_diffusion("toy", 64) };
    let method = tiny.fresh(&recipe);
    let token = method.params().get(methods::token::TOKEN).unwrap();
    assert_eq!(token.shape(), [4, tiny.text.width()]);
    let second = methods::placeholder(method.as_ref(), &recipe, 1);
    assert_eq!((second.text, second.vectors, second.words), ("<b>", 2, "dog"));

    let mut batch = batch(&tiny, method.as_ref(), &recipe);
    let tokenizer = tiny.base.tokenizer().unwrap();
    let mut prompt = tokenizer.encode("photo of a <b>", Some(second)).unwrap();
    prompt.placeholders.iter_mut().for_each(|(_, vector)| *vector += 2);
    batch.prompts.fill(prompt);
    let got = method.evaluate(&tiny.frozen(), &batch).gradients;
    let rows: Tensor<1> = got.get(methods::token::TOKEN).unwrap().clone();
    let rows = engine::values(rows);
    let (first, second) = rows.split_at(rows.len() / 2);
    assert!(first.iter().all(|&g| g == 0.0) && second.iter().all(|&g| g != 0.0));
}

/// Of Stable Diffusion 2 the U-Net predicts v, and that is what is learned.
#[test]
fn a_model_that_predicts_v_learns_v() {
    let path = golden::fixture("diffusers/tiny-sd2");
    let tiny = Tiny::of(diffusion::Base::open(&path, &super::tiny::device()).unwrap());
    for recipe in &recipes()[1..] {
        let recipe = Recipe { init_word: "a".into(), ..recipe.clone() };
        let method = tiny.fresh(&recipe);
        let batch = batch(&tiny, method.as_ref(), &recipe);
        let context = tiny.text.forward(&batch.prompts, None);
        let times: Vec<f64> = batch.timesteps.iter().map(|&t| t as f64).collect();
        let (latents, noise) = (batch.latents.clone(), batch.noise.clone());
        let noisy = tiny.schedule.add_noise(latents.clone(), noise.clone(), &batch.timesteps);
        let v = tiny.schedule.target(latents, noise, &batch.timesteps);
        let error = tiny.unet.forward(noisy, &times, &context, &mut Plain) - v;
        let loss = engine::values((error.clone() * error).mean())[0];
        let got = method.evaluate(&tiny.frozen(), &batch);
        assert_close(&recipe.method, &[got.loss as f32], &[loss], 1e-5);
        assert_eq!(got.gradients.iter().count(), method.params().len());
    }
}
