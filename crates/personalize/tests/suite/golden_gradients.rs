use std::collections::BTreeMap;

use engine::{
    Tensor,
    params::Gradients,
    replay::{Seeds, leaf},
};
use golden::{Golden, assert_close, relative_error};
use personalize::methods::{
    Batch, Method,
    vico::{
        self, TOKEN, Vico,
        block::ImageBlock,
        inject::{Blocks, Inject},
        loss::{self, Inputs, distance},
        reference::Capture,
        variant::Variant,
    },
};

use super::{
    golden_forward::assert_layers,
    tiny::{STILL, Tiny, image, positions, prompts, timesteps, values},
};

const TOLERANCE: f64 = 1e-4;

pub fn batch(golden: &Golden) -> Batch {
    Batch {
        latents: image(golden, "x0"),
        references: image(golden, "xr"),
        masks: Vec::new(),
        noise: image(golden, "noise"),
        timesteps: timesteps(golden, "t"),
        prompts: prompts(golden, "ids"),
    }
}

/// What the loss sees of a batch, with a given text context.
fn inputs(tiny: &Tiny, batch: &Batch, context: Tensor<3>) -> Inputs {
    let (latents, noise) = (batch.latents.clone(), batch.noise.clone());
    Inputs {
        target: tiny.schedule.target(latents.clone(), noise.clone(), &batch.timesteps),
        noisy: tiny.schedule.add_noise(latents, noise, &batch.timesteps),
        reference: batch.references.clone(),
        masks: batch.masks.clone(),
        timesteps: batch.timesteps.iter().map(|&t| t as f64).collect(),
        context,
        positions: batch.prompts.iter().map(vico::positions).collect(),
    }
}

#[test]
fn golden_loss_and_gradients() {
    let golden = Golden::open("vico_grad.safetensors");
    let tiny = Tiny::open();
    let vico = tiny.vico("placeholder_embedding", STILL);
    let batch = batch(&golden);
    assert_eq!(
        batch.prompts.iter().map(vico::positions).collect::<Vec<_>>(),
        positions(&golden, "p", "e")
    );
    let context = tiny.text.forward(&batch.prompts, Some(vico.token()));
    let inputs = inputs(&tiny, &batch, context);
    let got = loss::evaluate(&tiny.unet, &vico, &inputs);

    assert_layers(&golden, "grad", &got.layers);
    assert_close("eps", &values(got.predicted), &golden.f32("eps"), TOLERANCE);
    let parts = [got.parts.denoising as f32, got.parts.regulariser as f32];
    assert_close("simple", &parts[..1], &golden.f32("simple"), TOLERANCE);
    assert_close("reg", &parts[1..], &golden.f32("reg"), TOLERANCE);
    let want = golden.f32("grad.context");
    assert_close("grad.context", &engine::values(got.context), &want, TOLERANCE);
}

#[test]
fn golden_gradient_of_every_trained_tensor() {
    let golden = Golden::open("vico_grad.safetensors");
    let tiny = Tiny::open();
    let vico = tiny.vico("placeholder_embedding", STILL);
    let got = vico.evaluate(&tiny.frozen(), &batch(&golden));
    assert_close("loss", &[got.loss as f32], &golden.f32("loss"), TOLERANCE);
    for (name, param) in vico.params().iter() {
        let gradient = got.gradients.get(name).unwrap_or_else(|| panic!("no gradient of {name}"));
        let want = golden.f32(&format!("grad.{name}"));
        assert_eq!(param.len(), want.len(), "{name}");
        assert_close(name, &engine::values(gradient.clone()), &want, TOLERANCE);
    }
}

#[test]
fn golden_gradient_of_the_bare_regulariser() {
    let golden = Golden::open("vico_grad.safetensors");
    let tiny = Tiny::open();
    let vico = tiny.vico("placeholder_embedding", STILL);
    let batch = batch(&golden);
    let token = leaf(&vico.token());
    let context = tiny.text.forward(&batch.prompts, Some(token.clone()));
    // The whole tape at once: nothing of the replay takes part in this test.
    let text = leaf(&context);
    let inputs = inputs(&tiny, &batch, text.clone());
    let mut capture = Capture::new(vico.sites(), &inputs.positions, true);
    capture.run(&tiny.unet, inputs.reference, &inputs.timesteps, &text);
    let total =
        capture.layers.values().map(|layer| distance(&layer.maps)).reduce(|a, b| a + b).unwrap();
    let mut seeds = Seeds::default();
    seeds.add(total.clone(), total.ones_like());
    let gradient = seeds.backward().take(&text).unwrap();
    let want = golden.f32("reg_only.grad.context");
    assert_close("reg_only.grad.context", &engine::values(gradient.clone()), &want, TOLERANCE);
    let mut seeds = Seeds::default();
    seeds.add(context, gradient);
    let got = engine::values(seeds.backward().take(&token).unwrap());
    let want = golden.f32("reg_only.grad.placeholder_embedding");
    assert_close("reg_only.grad.placeholder_embedding", &got, &want, TOLERANCE);
}

/// All gradients by one tape over the whole computation.
pub fn whole_tape(tiny: &Tiny, vico: &Vico, variant: Variant, batch: &Batch) -> Gradients {
    let leaves = vico.params().leaves();
    let shape = leaves.get(TOKEN).unwrap().shape().to_vec();
    let token = leaves.tensor(TOKEN, [shape[0], shape[1]]);
    let context = tiny.text.forward(&batch.prompts, Some(token));
    let build = |site: &diffusion::unet::Site| {
        let Ok(block) = ImageBlock::build(&leaves, site, variant.injection);
        (site.index, block)
    };
    let blocks: Blocks = vico.sites().iter().map(build).collect();
    let Inputs { noisy, target, reference, masks, timesteps, context, positions } =
        inputs(tiny, batch, context);
    let mut capture = Capture::new(vico.sites(), &positions, variant.mask).drawn(&masks);
    capture.run(&tiny.unet, reference, &timesteps, &context);
    let mut layers = capture.layers;
    if variant.detach_reference {
        layers.values_mut().for_each(|layer| {
            layer.tokens = layer.tokens.clone().detach();
            layer.maps = layer.maps.clone().detach();
        });
    }
    let mut inject = Inject { blocks: &blocks, layers: &layers };
    let predicted = tiny.unet.forward(noisy, &timesteps, &context, &mut inject);
    let error = (predicted - target).square().mean();
    let regulariser =
        layers.values().map(|layer| distance(&layer.maps)).reduce(|a, b| a + b).unwrap();
    let loss = error + regulariser * vico.rates().regulariser;
    let mut seeds = Seeds::default();
    seeds.add(loss.clone(), loss.ones_like());
    let mut sums = Gradients::default();
    leaves.collect(&mut seeds.backward(), &mut sums);
    sums
}

#[test]
fn replay_gives_the_gradients_of_the_whole_tape() {
    assert_replay_as_whole(&Tiny::open(), 2e-5);
}

/// Checks the paper's ViCo as [`assert_replay`] does.
pub fn assert_replay_as_whole(tiny: &Tiny, most: f64) {
    let golden = Golden::open("vico_grad.safetensors");
    let vico = tiny.vico("placeholder_embedding", STILL);
    assert_replay(tiny, &vico, Variant::default(), &batch(&golden), most);
}

/// Checks that no gradient by replay differs from that of the whole tape by more than
/// `most` of its largest value.
pub fn assert_replay(tiny: &Tiny, vico: &Vico, variant: Variant, batch: &Batch, most: f64) {
    let replayed = vico.evaluate(&tiny.frozen(), batch).gradients;
    let whole = whole_tape(tiny, vico, variant, batch);
    let names = |g: &Gradients| g.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
    let trained: Vec<String> = vico.params().iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names(&replayed), trained, "every trained tensor has a gradient by replay");
    assert_eq!(names(&whole), trained, "every trained tensor has a gradient by the whole tape");
    let errors: BTreeMap<String, f64> = trained
        .iter()
        .map(|name| {
            let of = |g: &Gradients| engine::values(g.get(name).unwrap().clone());
            (name.clone(), relative_error(&of(&replayed), &of(&whole)))
        })
        .collect();
    let worst = errors.iter().max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
    assert!(*worst.1 < most, "{variant:?}: {} differs by {:.1e}", worst.0, worst.1);
}
