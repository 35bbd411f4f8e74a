use diffusion::{Prompt, unet::Plain};
use golden::{Golden, assert_close};

use super::{context, image, open, timesteps, tiny, tiny_files, values};

const TOLERANCE: f64 = 1e-4;

/// Prompts from golden ids; `token` is the placeholder's id there.
fn prompts(golden: &Golden, name: &str, token: Option<i64>) -> Vec<Prompt> {
    let [_, positions] = golden.shape(name);
    let ids = golden.i64(name);
    let prompt = |ids: &[i64]| {
        let at = |id: Option<i64>| {
            ids.iter().enumerate().filter(move |(_, i)| Some(**i) == id).map(|(at, _)| (at, 0))
        };
        Prompt {
            ids: ids.iter().map(|&i| i as u32).collect(),
            placeholders: at(token).collect(),
            end_of_text: 0,
            dropped: None,
        }
    };
    ids.chunks(positions).map(prompt).collect()
}

#[test]
fn golden_text_encoder() {
    let golden = Golden::open("text.safetensors");
    let text = tiny().text_encoder().unwrap();
    let plain = text.forward(&prompts(&golden, "ids", None), None);
    let want = golden.f32("last_hidden_state");
    assert_close("last_hidden_state", &engine::values(plain), &want, TOLERANCE);

    let without = text.forward(&prompts(&golden, "placeholder.ids", None), None);
    let want = golden.f32("placeholder.plain");
    assert_close("placeholder.plain", &engine::values(without), &want, TOLERANCE);
}

#[test]
fn golden_text_encoder_with_learned_token() {
    let golden = Golden::open("text.safetensors");
    let token = golden::manifest()["placeholder_token"].as_i64().unwrap();
    let text = tiny().text_encoder().unwrap();
    let learned = engine::tensor(
        golden.f32("placeholder.embedding"),
        golden.shape("placeholder.embedding"),
        &super::device(),
    );
    let prompts = prompts(&golden, "placeholder.ids", Some(token));
    let got = engine::values(text.forward(&prompts, Some(learned)));
    let want = golden.f32("placeholder.last_hidden_state");
    assert_close("placeholder.last_hidden_state", &got, &want, TOLERANCE);
}

#[test]
fn golden_unet() {
    let golden = Golden::open("unet.safetensors");
    for file in tiny_files() {
        let unet = open(&file).unet().unwrap();
        for case in golden.cases(".eps") {
            let name = |part: &str| format!("{case}.{part}");
            let got = unet.forward(
                image(&golden, &name("x")),
                &timesteps(&golden, &name("t")),
                &context(&golden, &name("context")),
                &mut Plain,
            );
            let what = format!("{} of {}", name("eps"), file.display());
            assert_close(&what, &values(got), &golden.f32(&name("eps")), TOLERANCE);
        }
    }
}

#[test]
fn golden_vae() {
    let golden = Golden::open("vae.safetensors");
    for file in tiny_files() {
        let base = open(&file);
        let (encoder, decoder) = (base.vae_encoder().unwrap(), base.vae_decoder().unwrap());
        let scale = base.configs().vae.scaling_factor;
        for case in golden.cases(".image") {
            let name = |part: &str| format!("{case}.{part}");
            let check = |part: &str, got: Vec<f32>| {
                let what = format!("{} of {}", name(part), file.display());
                assert_close(&what, &got, &golden.f32(&name(part)), TOLERANCE);
            };
            let posterior = encoder.forward(image(&golden, &name("image")));
            check("moments", values(posterior.moments()));
            check("mean", values(posterior.mean()));
            check("std", values(posterior.std()));
            check("decoded", values(decoder.forward(image(&golden, &name("z")) * scale)));
        }
    }
}

#[test]
fn posterior_samples_are_scaled() {
    let golden = Golden::open("vae.safetensors");
    let base = tiny();
    let case = &golden.cases(".image")[0];
    let posterior = base.vae_encoder().unwrap().forward(image(&golden, &format!("{case}.image")));
    let scale = base.configs().vae.scaling_factor;
    let noise = posterior.mean().ones_like();
    let want = (posterior.mean() + posterior.std()) * scale;
    assert_close("sample", &values(posterior.sample(noise)), &values(want), 1e-6);
    assert_close("mode", &values(posterior.mode()), &values(posterior.mean() * scale), 1e-6);
}
