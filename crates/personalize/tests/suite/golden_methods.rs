//! Custom Diffusion and DreamBooth against diffusers, see `fixtures/diffusers`.

use diffusion::{Base, Prompt};
use engine::{
    optim::{AdamW, AdamWConfig},
    params::{Param, Params},
};
use golden::{Golden, assert_close, relative_error};
use personalize::{
    Recipe,
    methods::{self, Batch, Method},
};

use super::tiny::{Tiny, image, timesteps};

/// Beside what PyTorch itself loses in f32.
const TOLERANCE: f64 = 2e-4;

fn golden() -> Golden {
    Golden::fixture("diffusers/methods.safetensors")
}

/// The small model of this repository, to which the numbers belong.
fn tiny() -> Tiny {
    Tiny::of(Base::open(&golden::fixture("golden/tiny-sd"), &super::tiny::device()).unwrap())
}

fn batch(golden: &Golden, step: usize, prompt: &Prompt) -> Batch {
    let part = |name: &str| format!("step{step}.{name}");
    let latents = image(golden, &part("latents"));
    Batch {
        references: latents.zeros_like(),
        masks: Vec::new(),
        latents,
        noise: image(golden, &part("noise")),
        timesteps: timesteps(golden, &part("timesteps")),
        prompts: vec![prompt.clone(); 2],
    }
}

/// A caption with the thing, whose ids must be those of the golden run.
fn prompt(golden: &Golden, tiny: &Tiny, method: &dyn Method, recipe: &Recipe) -> Prompt {
    let placeholder = methods::placeholder(method, recipe, 0);
    let caption = recipe.caption.replace("{}", &recipe.placeholder);
    let prompt = tiny.base.tokenizer().unwrap().encode(&caption, Some(placeholder)).unwrap();
    let ids = golden.i64(&format!("{}.ids", recipe.method));
    let [_, length] = golden.shape(&format!("{}.ids", recipe.method));
    let found: Vec<i64> = prompt.ids.iter().map(|&id| id.into()).collect();
    assert_eq!(found, ids[..length], "{caption}");
    prompt
}

/// The fixture's sample of a tensor: values spread over it, and its length.
fn sample(values: &[f32], count: usize) -> Vec<f32> {
    let places = (0..count - 1).map(|i| values[(7919 * i + 13) % values.len()]);
    let length = values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
    places.chain([length as f32]).collect()
}

/// Trains as the golden run did, and compares its losses and what became of each tensor.
/// Tensors that nothing depends on (biases before a norm, of keys) have gradients of mere
/// rounding, which AdamW blows up to full steps; `still` names them.
fn trajectory(
    name: &str,
    tiny: &Tiny,
    mut method: Box<dyn Method>,
    recipe: &Recipe,
    rate: f64,
    still: &dyn Fn(&str) -> bool,
) {
    let golden = golden();
    let prompt = prompt(&golden, tiny, method.as_ref(), recipe);
    let start = method.params().clone();
    let mut optimizer = AdamW::new(AdamWConfig::default());
    let mut losses = Vec::new();
    for step in 0..3 {
        let mut evaluated = method.evaluate(&tiny.frozen(), &batch(&golden, step, &prompt));
        losses.push(evaluated.loss as f32);
        optimizer.step(method.params_mut(), &mut evaluated.gradients, |_| rate);
    }
    assert_close("losses", &losses, &golden.f32(&format!("{name}.losses")), TOLERANCE);
    let [count, width] = golden.shape(&format!("{name}.changes"));
    let want = golden.f32(&format!("{name}.changes"));
    assert_eq!(method.params().len(), count);
    for ((name, param), want) in method.params().iter().zip(want.chunks(width)) {
        let before = start.get(name).unwrap().values();
        let change: Vec<f32> =
            param.values().iter().zip(&before).map(|(after, before)| after - before).collect();
        assert!(still(name) || change.iter().any(|&c| c != 0.0), "{name} does not learn");
        let error = relative_error(&sample(&change, width), want);
        assert!(still(name) || error < 0.05, "{name} changes otherwise by {error:.1e}");
    }
}

#[test]
fn golden_custom_diffusion() {
    let (golden, tiny) = (golden(), tiny());
    let recipe = Recipe::custom_diffusion("toy", 64);
    let method = tiny.fresh(&recipe);
    let prompt = prompt(&golden, &tiny, method.as_ref(), &recipe);
    let got = method.evaluate(&tiny.frozen(), &batch(&golden, 0, &prompt));
    assert_eq!(got.gradients.iter().count(), method.params().len());
    for (name, gradient) in got.gradients.iter() {
        let want = golden.f32(&format!("custom-diffusion.grad.{name}"));
        assert_close(name, &engine::values(gradient.clone()), &want, TOLERANCE);
    }
    trajectory("custom-diffusion", &tiny, method, &recipe, 1e-3, &|_| false);
}

/// Compares the first step's gradients with the samples of the fixture.
fn assert_samples(name: &str, tiny: &Tiny, method: &dyn Method, recipe: &Recipe) -> Vec<String> {
    let golden = golden();
    let prompt = prompt(&golden, tiny, method, recipe);
    let got = method.evaluate(&tiny.frozen(), &batch(&golden, 0, &prompt));
    let [count, width] = golden.shape(&format!("{name}.grads"));
    let want = golden.f32(&format!("{name}.grads"));
    assert_eq!(got.gradients.iter().count(), count, "every trained tensor has a gradient");
    let mut still = Vec::new();
    for ((name, gradient), want) in got.gradients.iter().zip(want.chunks(width)) {
        let found = sample(&engine::values(gradient.clone()), width);
        if want[width - 1] < 1e-6 {
            assert!(found[width - 1] < 1e-6, "{name}: {}", found[width - 1]);
            still.push(name.to_owned());
        } else {
            assert_close(name, &found, want, 1e-3);
        }
    }
    still
}

#[test]
fn golden_dreambooth_in_a_lora() {
    let (golden, tiny) = (golden(), tiny());
    let recipe = Recipe { lora_rank: 2, ..Recipe::dreambooth_lora("toy", 64) };
    let fresh = tiny.fresh(&recipe);
    let mut params = Params::default();
    for (name, param) in fresh.params().iter() {
        let values = golden.f32(&format!("lora.start.{name}"));
        params.insert(name, Param::new(values, param.shape(), &super::tiny::device()));
    }
    let method = methods::learned(&recipe, tiny.base.configs(), params).unwrap();
    let still = assert_samples("lora", &tiny, method.as_ref(), &recipe);
    assert!(still.is_empty(), "{still:?}");
    trajectory("lora", &tiny, method, &recipe, 1e-3, &|_| false);
}

#[test]
fn golden_dreambooth_of_everything() {
    let (golden, tiny) = (golden(), tiny());
    let recipe = Recipe { train_text_encoder: true, ..Recipe::dreambooth("toy", 64) };
    let method = tiny.fresh(&recipe);
    let names: Vec<String> = serde_json::from_str(golden.metadata("whole.names")).unwrap();
    let own: Vec<&str> = method.params().iter().map(|(name, _)| name).collect();
    assert_eq!(own, names);
    let still = assert_samples("whole", &tiny, method.as_ref(), &recipe);
    assert!(still.len() < names.len() / 10, "{still:?}");
    let still = |name: &str| still.iter().any(|n| n == name);
    trajectory("whole", &tiny, method, &recipe, 1e-5, &still);
}
