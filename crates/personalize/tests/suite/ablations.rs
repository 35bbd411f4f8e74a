//! ViCo's switches against `fixtures/ablations`, which the program beside it wrote.

use std::collections::BTreeMap;

use diffusion::Base;
use engine::{
    optim::{AdamW, AdamWConfig},
    params::{Param, Params},
};
use golden::{Golden, assert_close};
use personalize::{
    Error, FrozenWeights, Recipe, Reference,
    draw::Draw,
    generate::Job,
    methods::{
        self, Batch, Evaluated, Method, Request, Sources,
        vico::{
            Rates, TOKEN, Vico, block, parameter_count,
            variant::{Injection, Placement, Variant},
        },
    },
};
use serde_json::Value;

use super::{
    golden_gradients::assert_replay,
    tiny::{Tiny, alone, image, prompts_with, timesteps},
};

const TOLERANCE: f64 = 1e-4;

/// Id of `*`, the placeholder.
pub const PLACEHOLDER: u32 = 265;

/// The numbers were made on the model of this repository, whatever others there are.
pub fn tiny() -> Tiny {
    let device = super::tiny::device();
    let base = Base::open(&golden::fixture("golden/tiny-sd"), &device).unwrap();
    Tiny::of(base.kept(&FrozenWeights::default().on(&device)))
}

/// A batch of a golden file; the names of its tensors begin with `prefix`.
pub fn batch(file: &str, prefix: &str) -> Batch {
    let golden = Golden::fixture(&format!("golden/{file}"));
    let name = |part: &str| format!("{prefix}{part}");
    Batch {
        latents: image(&golden, &name("x0")),
        references: image(&golden, &name("xr")),
        masks: Vec::new(),
        noise: image(&golden, &name("noise")),
        timesteps: timesteps(&golden, &name("t")),
        prompts: prompts_with(&golden, &name("ids"), PLACEHOLDER),
    }
}

/// Values in -1..1 from a name: splitmix64 from the FNV-1a hash of the name.
fn made(name: &str, count: usize) -> Vec<f32> {
    let hash = |state: u64, byte: u8| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let state = name.bytes().fold(0xcbf2_9ce4_8422_2325, hash);
    let value = |i: u64| {
        let z = state.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let z = z ^ (z >> 31);
        2.0 * ((z >> 40) as f32 / (1 << 24) as f32) - 1.0
    };
    (1..=count as u64).map(value).collect()
}

const OUTPUTS: [&str; 4] = ["attn1.to_out.0.", "attn2.to_out.0.", "fuse.2.", "ff.net.2."];

fn weight(name: &str, shape: &[usize], zero_init: bool) -> Vec<f32> {
    let count = shape.iter().product();
    if zero_init && OUTPUTS.iter().any(|part| name.contains(part)) {
        return vec![0.0; count];
    }
    let bound = shape.get(1).map_or(0.1, |&inputs| (1.0 / (inputs as f64).sqrt()) as f32);
    let start = if name.contains(".norm") && name.ends_with("weight") { 1.0 } else { 0.0 };
    made(name, count).into_iter().map(|v| v * bound + start).collect()
}

/// A case of the fixture: ViCo with its switches, and made weights.
pub struct Case {
    pub name: String,
    pub variant: Variant,
    pub rates: Rates,
}

impl Case {
    /// The paper's choices.
    pub fn paper(name: &str) -> Self {
        let rates = Rates { token: 0.0, attention: 0.0, regulariser: 5e-4 };
        Self { name: name.into(), variant: Variant::default(), rates }
    }

    pub fn all(golden: &Golden, suffix: &str) -> Vec<Self> {
        let rates: Value = serde_json::from_str(golden.metadata("rates")).unwrap();
        let case = |name: String| {
            let text = golden.metadata(&format!("case.{name}"));
            let mut switches: Value = serde_json::from_str(text).unwrap();
            let weight = switches.as_object_mut().unwrap().remove("reg_weight");
            let rates = Rates {
                token: rates["token"].as_f64().unwrap(),
                attention: rates["attention"].as_f64().unwrap(),
                regulariser: weight.map_or(5e-4, |weight| weight.as_f64().unwrap()),
            };
            Self { name, variant: serde_json::from_value(switches).unwrap(), rates }
        };
        // "concat.trained" is no case, but a part of one; "drawn" has no switches.
        let is_case = |name: &String| !name.contains('.') && name != "drawn";
        let names = golden.cases(suffix).into_iter().filter(is_case);
        names.map(case).collect()
    }

    /// `token` names its first value in the golden weights.
    pub fn vico(&self, tiny: &Tiny, token: &str) -> Vico {
        let device = super::tiny::device();
        let mut params = Params::default();
        for site in self.variant.image_attention.sites(tiny.unet.sites()) {
            for (name, shape) in block::weights(&site, self.variant.injection) {
                let values = weight(&name, &shape, self.variant.zero_init);
                params.insert(name, Param::new(values, &shape, &device));
            }
        }
        let weights = Golden::fixture("golden/vico_weights.safetensors");
        let width = tiny.text.width();
        params.insert(TOKEN, Param::new(weights.f32(token), &[1, width], &device));
        let how = (self.rates, self.variant);
        Vico::from_params(tiny.unet.sites(), width, params, how).unwrap()
    }
}

pub fn open() -> Golden {
    Golden::fixture("ablations/ablations.safetensors")
}

/// The length of a tensor, and the values of it that the fixture holds.
fn assert_few(what: &str, values: &[f32], want: &[f32], tolerance: f64) {
    let count = want.len() - 1;
    let few: Vec<f32> = (0..count).map(|i| values[i * values.len() / count]).collect();
    let length = values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
    assert_close(&format!("length of {what}"), &[length as f32], &want[..1], tolerance);
    // Relative to the whole tensor: what happens to be stored may be small.
    let scale = length / (values.len() as f64).sqrt();
    for (i, (got, want)) in few.iter().zip(&want[1..]).enumerate() {
        let error = f64::from((got - want).abs());
        assert!(error <= 4.0 * tolerance * scale, "{what}: value {i} is {got}, not {want}");
    }
}

const BLOCK: &str = "image_cross_attention";

/// The last thing before the small model's last norm, whose groups are single channels:
/// a constant added there is taken away again, and the gradient is rounding alone.
const WITHOUT_EFFECT: &str = "output_blocks.11.1.image_cross_attention.ff.net.2.bias";

/// Compares the tensors of all blocks, by name, with a part of the fixture that holds
/// a row for each of a block, in the order of their names.
fn assert_blocks(
    part: &str,
    tensors: &BTreeMap<String, Vec<f32>>,
    golden: &Golden,
    tolerance: f64,
) {
    let blocks = golden.cases_between(&format!("{part}."), BLOCK);
    let mut compared = 0;
    for block in blocks {
        let name = format!("{part}.{block}{BLOCK}");
        let [rows, length] = golden.shape(&name);
        let of_block =
            tensors.iter().filter(|(name, _)| name.starts_with(&format!("{block}{BLOCK}.")));
        let of_block: Vec<_> = of_block.collect();
        assert_eq!(of_block.len(), rows, "{name}");
        for ((name, values), want) in of_block.into_iter().zip(golden.f32(&name).chunks(length)) {
            if !name.ends_with(WITHOUT_EFFECT) {
                assert_few(&format!("{part}.{name}"), values, want, tolerance);
            }
            compared += 1;
        }
    }
    assert_eq!(compared, tensors.len(), "{part}: number of tensors");
}

/// Compares losses and all gradients with those of a case.
pub fn assert_evaluated(name: &str, vico: &Vico, got: &Evaluated, golden: &Golden) {
    let losses: Vec<f32> = [got.loss, got.parts[0].1, got.parts[1].1].map(|v| v as f32).into();
    let what = format!("{name}.losses");
    assert_close(&what, &losses, &golden.f32(&what), TOLERANCE);
    let gradient = |parameter: &str| {
        let gradient = got.gradients.get(parameter);
        let gradient = gradient.unwrap_or_else(|| panic!("{name}: no gradient of {parameter}"));
        (parameter.to_owned(), engine::values(gradient.clone()))
    };
    let mut gradients: BTreeMap<_, _> = vico.params().iter().map(|(p, _)| gradient(p)).collect();
    let token = gradients.remove(TOKEN).unwrap();
    let what = format!("{name}.grad.{TOKEN}");
    assert_few(&what, &token, &golden.f32(&what), TOLERANCE);
    assert_blocks(&format!("{name}.grad"), &gradients, golden, TOLERANCE);
}

#[test]
fn golden_gradients_of_every_switch() {
    let (golden, tiny) = (open(), tiny());
    let batch = batch("vico_grad.safetensors", "");
    for case in Case::all(&golden, ".losses") {
        let vico = case.vico(&tiny, TOKEN);
        assert_evaluated(&case.name, &vico, &vico.evaluate(&tiny.frozen(), &batch), &golden);
    }
}

#[test]
fn golden_trainings_with_switches() {
    let (golden, tiny) = (open(), tiny());
    let batches: Vec<usize> = serde_json::from_str(golden.metadata("batches")).unwrap();
    for case in Case::all(&golden, ".trained.losses") {
        let mut vico = case.vico(&tiny, "init_word_embedding");
        let mut optimizer = AdamW::new(AdamWConfig::default());
        let losses = golden.f32(&format!("{}.trained.losses", case.name));
        for (step, number) in batches.iter().enumerate() {
            let batch = batch("vico_train_batched.safetensors", &format!("step{number}."));
            let mut got = vico.evaluate(&tiny.frozen(), &batch);
            let row: Vec<f32> = [got.loss, got.parts[0].1, got.parts[1].1].map(|v| v as f32).into();
            let what = format!("{}.step{step}", case.name);
            assert_close(&what, &row, &losses[3 * step..][..3], TOLERANCE);
            let rates = case.rates;
            let rate = |name: &str| if name == TOKEN { rates.token } else { rates.attention };
            optimizer.step(vico.params_mut(), &mut got.gradients, rate);
            let what = format!("{what}.token");
            assert_close(&what, &engine::values(vico.token()), &golden.f32(&what), 5e-4);
        }
        let weights = vico.params().iter().filter(|(name, _)| *name != TOKEN);
        let weights = weights.map(|(name, param)| (name.to_owned(), param.values())).collect();
        assert_blocks(&format!("{}.trained", case.name), &weights, &golden, 5e-4);
    }
}

#[test]
fn replay_gives_the_gradients_of_the_whole_tape_with_every_switch() {
    let (golden, tiny) = (open(), tiny());
    let batch = batch("vico_grad.safetensors", "");
    for case in Case::all(&golden, ".losses") {
        assert_replay(&tiny, &case.vico(&tiny, TOKEN), case.variant, &batch, 2e-5);
    }
}

pub fn fresh(tiny: &Tiny, recipe: &Recipe) -> Box<dyn Method> {
    tiny.fresh(recipe)
}

/// One prediction of a method, as it draws.
fn predicted(tiny: &Tiny, method: &dyn Method, reference: [usize; 2]) -> Result<Vec<f32>, Error> {
    let draw = Draw::new(7);
    let latents = |name: &str, [h, w]: [usize; 2]| {
        engine::tensor(draw.normal(name, 4 * h * w), [1, h, w, 4], &super::tiny::device())
    };
    let golden = Golden::fixture("golden/vico_grad.safetensors");
    let prompt = prompts_with(&golden, "ids", PLACEHOLDER).swap_remove(0);
    let prompts = alone(prompt);
    let job = Job { guidance: 1.0, ..Job::new("", 128) };
    let reference = latents("reference", reference);
    let (unet, text) = (&tiny.unet, &tiny.text);
    let references = [Reference::new(reference)];
    let (prompts, job, sources) = (&prompts, &job, Sources::references(&references));
    let request = Request { unet, text, prompts, job, sources, latents: [16, 16] };
    let mut denoiser = method.denoiser(&request)?;
    let noise = latents("noise", [16, 16]);
    Ok(engine::values(denoiser.predict(noise, tiny.schedule.level(300))?))
}

#[test]
fn zero_initialised_image_attention_leaves_the_first_picture_as_the_bases() {
    let tiny = tiny();
    let base =
        predicted(&tiny, fresh(&tiny, &Recipe::textual_inversion("toy", 128)).as_ref(), [16; 2]);
    let base = base.unwrap();
    for injection in [Injection::Attention, Injection::Concat, Injection::Add] {
        for (zero_init, same) in [(true, true), (false, false)] {
            let vico = Variant { injection, zero_init, ..Variant::default() };
            let recipe = Recipe { vico, ..Recipe::vico("toy", 128) };
            let got = predicted(&tiny, fresh(&tiny, &recipe).as_ref(), [16; 2]).unwrap();
            assert_eq!(got == base, same, "{injection:?}, zero_init {zero_init}");
        }
    }
}

/// Attention reads a reference of any size.
#[test]
fn joining_patch_by_patch_needs_a_reference_of_the_pictures_size() {
    let tiny = tiny();
    for (injection, fits) in [(Injection::Attention, true), (Injection::Concat, false)] {
        let vico = Variant { injection, ..Variant::default() };
        let method = fresh(&tiny, &Recipe { vico, ..Recipe::vico("toy", 128) });
        let got = predicted(&tiny, method.as_ref(), [16, 24]);
        assert_eq!(got.is_ok(), fits, "{injection:?}");
        let said = got.err().map(|e| e.to_string()).unwrap_or_default();
        assert_eq!(said.contains("16x16") && said.contains("24x16"), !fits, "{said}");
    }
}

/// At the size of Stable Diffusion 1.x.
#[test]
fn numbers_of_learned_values() {
    let device = super::tiny::device();
    let base = Base::open(&golden::fixture("golden/tiny-sd"), &device).unwrap();
    let mut unet = base.configs().unet.clone();
    unet.block_out_channels = vec![320, 640, 1280, 1280];
    let count = |variant: Variant| parameter_count(&unet, variant);
    let paper = Variant::default();
    for (image_attention, values) in [
        (Placement::DecoderAlternate, 51_248_960),
        (Placement::Decoder, 129_138_240),
        (Placement::Encoder, 86_092_160),
        (Placement::All, 248_020_160),
    ] {
        assert_eq!(count(Variant { image_attention, ..paper }), values, "{image_attention:?}");
    }
    for (injection, values) in [(Injection::Concat, 51_256_962), (Injection::Add, 51_254_720)] {
        assert_eq!(count(Variant { injection, ..paper }), values, "{injection:?}");
    }
}

#[test]
fn switches_that_make_no_sense_are_refused() {
    let vico = Variant { detach_reference: true, ..Variant::default() };
    let recipe = Recipe { vico, ..Recipe::vico("toy", 512) };
    let refused = recipe.check().unwrap_err().to_string();
    assert!(refused.contains("--reg-weight is 0.0005, expected 0"), "{refused}");
    Recipe { reg_weight: 0.0, ..recipe }.check().unwrap();

    let vico = Variant { mask: false, ..Variant::default() };
    let recipe = Recipe { vico, ..Recipe::textual_inversion("toy", 512) };
    let refused = recipe.check().unwrap_err().to_string();
    assert!(refused.contains("no mask") && refused.contains("textual-inversion"), "{refused}");
}

/// An adapter of one kind does not pass for another.
#[test]
fn weights_of_another_variant_are_refused() {
    let tiny = tiny();
    let params = fresh(&tiny, &Recipe::vico("toy", 128)).params().clone();
    for vico in [
        Variant { injection: Injection::Add, ..Variant::default() },
        Variant { image_attention: Placement::All, ..Variant::default() },
    ] {
        let recipe = Recipe { vico, ..Recipe::vico("toy", 128) };
        let refused = methods::learned(&recipe, tiny.base.configs(), params.clone());
        assert!(matches!(refused, Err(Error::Parameter { .. })), "{vico:?}");
    }
}
