use golden::{Golden, assert_close};
use personalize::methods::vico::{
    inject::Inject,
    loss::distance,
    reference::{Capture, Layers},
};

use super::tiny::{STILL, Tiny, context, flags, image, positions, timesteps, values};

const TOLERANCE: f64 = 1e-4;

/// Checks maps, masks and thresholds of every layer.
pub fn assert_layers(golden: &Golden, case: &str, layers: &Layers) {
    let wanted = golden.cases_between(&format!("{case}.layer"), ".map_p");
    assert_eq!(wanted.len(), layers.len(), "{case}: number of layers");
    for index in wanted {
        let layer = &layers[&index.parse().unwrap()];
        let name = |part: &str| format!("{case}.layer{index}.{part}");
        for (row, part) in ["map_p", "map_e"].into_iter().enumerate() {
            let got = engine::values(layer.maps.clone().narrow(1, row, 1));
            assert_close(&name(part), &got, &golden.f32(&name(part)), TOLERANCE);
        }
        let keep: Vec<i64> = flags(layer).iter().map(|&k| i64::from(k)).collect();
        assert_eq!(keep, golden.i64(&name("mask")), "{}", name("mask"));
        let threshold: Vec<f32> = layer.masks.iter().map(|m| m.threshold).collect();
        assert_eq!(threshold, golden.f32(&name("threshold")), "{}", name("threshold"));
    }
}

#[test]
fn golden_forward() {
    let golden = Golden::open("vico_forward.safetensors");
    let tiny = Tiny::open();
    let vico = tiny.vico("placeholder_embedding", STILL);
    let blocks = vico.blocks();
    for case in golden.cases(".eps") {
        let name = |part: &str| format!("{case}.{part}");
        let context = context(&golden, &name("context"));
        let times: Vec<f64> =
            timesteps(&golden, &name("t")).into_iter().map(|t| t as f64).collect();
        let positions = positions(&golden, &name("p"), &name("e"));
        let reference = image(&golden, &name("xr"));
        let mut capture = Capture::new(vico.sites(), &positions, true);
        capture.run(&tiny.unet, reference, &times, &context);
        let layers = capture.layers;
        assert_layers(&golden, &case, &layers);
        let regulariser: f32 =
            layers.values().map(|layer| engine::values(distance(&layer.maps))[0]).sum();
        assert_close(&name("reg"), &[regulariser], &golden.f32(&name("reg")), TOLERANCE);
        let mut inject = Inject { blocks: &blocks, layers: &layers };
        let got = tiny.unet.forward(image(&golden, &name("x")), &times, &context, &mut inject);
        assert_close(&name("eps"), &values(got), &golden.f32(&name("eps")), TOLERANCE);
    }
}

#[test]
fn golden_context_of_the_learned_token() {
    let golden = Golden::open("vico_forward.safetensors");
    let tiny = Tiny::open();
    let vico = tiny.vico("placeholder_embedding", STILL);
    for case in golden.cases(".eps") {
        let name = |part: &str| format!("{case}.{part}");
        let prompts = super::tiny::prompts(&golden, &name("ids"));
        let got = engine::values(tiny.text.forward(&prompts, Some(vico.token())));
        assert_close(&name("context"), &got, &golden.f32(&name("context")), TOLERANCE);
    }
}
