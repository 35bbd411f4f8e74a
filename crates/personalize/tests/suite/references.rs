//! Drawn masks, several references and several subjects.

use diffusion::{Placeholder, Tokenizer, unet::Plain};
use engine::Tensor;
use golden::{Golden, assert_close, relative_error};
use images::Picture;
use personalize::{
    ObjectMask, Recipe, Reference,
    generate::{Guidance, Job, Prompts},
    methods::{
        Method, Request, Sources,
        vico::{TOKEN, Vico, several::Other, variant::Variant},
    },
};

use super::{
    ablations::{Case, PLACEHOLDER, assert_evaluated, batch, fresh, open, tiny},
    golden_gradients::assert_replay,
    tiny::{Tiny, alone, image, prompts_with, values},
};

/// The left half but for one latent, as the fixture has it.
fn left_half() -> ObjectMask {
    let inside = |i: usize| i % 16 < 8 && i != 3 * 16 + 3;
    ObjectMask::new(16, 16, (0..256).map(|i| f32::from(inside(i))).collect()).unwrap()
}

#[test]
fn golden_gradients_with_a_drawn_mask() {
    let (golden, tiny) = (open(), tiny());
    let vico = Case::paper("drawn").vico(&tiny, TOKEN);
    let mut batch = batch("vico_grad.safetensors", "");
    batch.masks = vec![Some(left_half()), None];
    assert_evaluated("drawn", &vico, &vico.evaluate(&tiny.frozen(), &batch), &golden);
    assert_replay(&tiny, &vico, Variant::default(), &batch, 2e-5);
}

/// One prediction for the first prompt of the gradients' batch at timestep 300.
fn predicted(tiny: &Tiny, method: &dyn Method, prompts: &Prompts, sources: Sources) -> Vec<f32> {
    guided(tiny, method, prompts, sources, Guidance { text: 1.0, reference: 1.0 })
}

/// The same with guidance.
fn guided(
    tiny: &Tiny,
    method: &dyn Method,
    prompts: &Prompts,
    sources: Sources,
    Guidance { text: guidance, reference: reference_guidance }: Guidance,
) -> Vec<f32> {
    let golden = Golden::fixture("golden/vico_grad.safetensors");
    let latents = image(&golden, "x0").narrow(0, 0, 1);
    let job = Job { guidance, reference_guidance, ..Job::new("", 128) };
    let (unet, text, job) = (&tiny.unet, &tiny.text, &job);
    let request = Request { unet, text, prompts, job, sources, latents: [16, 16] };
    let mut denoiser = method.denoiser(&request).unwrap();
    values(denoiser.predict(latents, tiny.schedule.level(300)).unwrap())
}

fn photos() -> [Reference; 2] {
    let golden = Golden::fixture("golden/vico_grad.safetensors");
    [0, 1].map(|row| Reference::new(image(&golden, "xr").narrow(0, row, 1)))
}

fn first_prompt() -> Prompts {
    let golden = Golden::fixture("golden/vico_grad.safetensors");
    let positive = prompts_with(&golden, "ids", PLACEHOLDER).swap_remove(0);
    alone(positive)
}

#[test]
fn golden_prediction_with_two_references() {
    let (golden, tiny) = (open(), tiny());
    let vico = Case::paper("two").vico(&tiny, TOKEN);
    let draw = |photos: &[Reference]| {
        predicted(&tiny, &vico, &first_prompt(), Sources::references(photos))
    };
    let [a, b] = photos();
    let both = draw(&[a.clone(), b.clone()]);
    assert_close("two.eps", &both, &golden.f32("two.eps"), 1e-4);
    assert!(relative_error(&draw(&[b, a.clone()]), &both) < 1e-5, "their order does not matter");
    // The same photo twice is as good as once: the softmax is over equals.
    assert!(relative_error(&draw(&[a.clone(), a.clone()]), &draw(&[a])) < 1e-5);
}

#[test]
fn a_drawn_mask_of_everything_is_no_mask() {
    let tiny = tiny();
    let whole = ObjectMask::drawn(&Picture::filled(64, 64, [255; 3]), 16, 16);
    let [photo, _] = photos();
    let draw = |mask: bool, drawn: Option<ObjectMask>| {
        let variant = Variant { mask, ..Variant::default() };
        let vico = Case { variant, ..Case::paper("whole") }.vico(&tiny, TOKEN);
        let photo = [Reference { mask: drawn, ..photo.clone() }];
        predicted(&tiny, &vico, &first_prompt(), Sources::references(&photo))
    };
    assert_eq!(draw(true, whole.clone()), draw(false, None));
    assert_eq!(draw(false, whole), draw(false, None), "nothing is masked then");
    assert_ne!(draw(true, None), draw(false, None));
}

/// Against the sum of its parts, each predicted alone.
#[test]
fn references_have_a_guidance_scale_of_their_own() {
    let tiny = tiny();
    let vico = Case::paper("scales").vico(&tiny, TOKEN);
    let golden = Golden::fixture("golden/vico_grad.safetensors");
    let mut rows = prompts_with(&golden, "ids", PLACEHOLDER);
    let (negative, positive) = (rows.swap_remove(1), rows.swap_remove(0));
    let prompts = Prompts { negative: negative.into(), ..alone(positive) };
    let photos = photos();
    let at = |text: f64, reference: f64| {
        let guidance = Guidance { text, reference };
        guided(&tiny, &vico, &prompts, Sources::references(&photos[..1]), guidance)
    };
    let (both, photo) = (at(1.0, 1.0), at(0.0, 1.0));
    let context = tiny.text.contexts(&prompts.rows(true)[..1], Some(vico.token()));
    let latents = image(&golden, "x0").narrow(0, 0, 1);
    let neither = values(tiny.unet.forward(latents, &[300.0], &context, &mut Plain));
    for (text, reference) in [(3.0, 1.0), (3.0, 3.0), (3.0, 2.0), (1.0, 2.0), (2.0, 0.0)] {
        let (s, r) = (text as f32, reference as f32);
        let sum = |i: usize| neither[i] + r * (photo[i] - neither[i]) + s * (both[i] - photo[i]);
        let expected: Vec<f32> = (0..both.len()).map(sum).collect();
        assert_close(&format!("{text}, {reference}"), &at(text, reference), &expected, 1e-5);
    }
    assert!(relative_error(&photo, &neither) > 0.01, "the reference changes something");
}

/// A text encoder that knows a second word, and where that stands in a prompt.
fn with_word(tiny: &mut Tiny, vico: &Vico, prompt: &str) -> (Prompts, usize) {
    let mut tokenizer = Tokenizer::clip(77).unwrap();
    let ids = tiny.text.add_tokens(engine::values(vico.token()));
    tokenizer.add_word("+", ids.clone());
    let placeholder = Placeholder { text: "*", vectors: 1, words: "" };
    let positive = tokenizer.encode(prompt, Some(placeholder)).unwrap();
    let position = positive.ids.iter().position(|&id| id == ids.start).unwrap();
    (alone(positive), position)
}

#[test]
fn two_subjects_of_zero_initialised_attention_are_two_words() {
    let mut tiny = tiny();
    let vico = Variant { zero_init: true, ..Variant::default() };
    let recipe = Recipe { vico, ..Recipe::vico("toy", 128) };
    let first = fresh(&tiny, &recipe);
    let second = Case { variant: vico, ..Case::paper("second") }.vico(&tiny, TOKEN);
    let (prompts, position) = with_word(&mut tiny, &second, "a * beside a +");
    let [a, b] = photos();
    let others = [Other { vico: &second, references: &[b], position }];
    let sources = Sources { references: &[a], others: &others };
    let got = predicted(&tiny, first.as_ref(), &prompts, sources);

    let token = first.params().tensor(TOKEN, [1, tiny.text.width()]);
    let context: Tensor<3> = tiny.text.contexts(&[prompts.positive], Some(token));
    let golden = Golden::fixture("golden/vico_grad.safetensors");
    let latents = image(&golden, "x0").narrow(0, 0, 1);
    assert_eq!(got, values(tiny.unet.forward(latents, &[300.0], &context, &mut Plain)));
}

#[test]
fn each_subject_has_its_own_part_of_the_picture() {
    let mut tiny = tiny();
    let first = Case::paper("first").vico(&tiny, TOKEN);
    let second = Case::paper("second").vico(&tiny, "init_word_embedding");
    let (prompts, position) = with_word(&mut tiny, &second, "a * beside a +");
    let [a, b] = photos();
    let draw = |reference: &Reference, others: &[Other]| {
        let references = std::slice::from_ref(reference);
        predicted(&tiny, &first, &prompts, Sources { references, others })
    };
    let other =
        |reference| Other { vico: &second, references: std::slice::from_ref(reference), position };
    let both = draw(&a, &[other(&b)]);
    for (what, changed) in [
        ("the first alone", draw(&a, &[])),
        ("another photo of the first", draw(&b, &[other(&b)])),
        ("another photo of the second", draw(&a, &[other(&a)])),
    ] {
        assert!(both.iter().all(|v| v.is_finite()));
        assert_ne!(both, changed, "{what}");
    }
}
