//! What is inside a pass, against the golden numbers.

use golden::{Golden, assert_close};

use super::*;
use crate::{
    Base,
    layout::{from_nchw, to_nchw},
};

/// Number of steps up to the end of each named part, in order.
fn ends(base: &Base) -> Vec<(String, usize)> {
    let config = &base.configs().unet;
    let levels = config.block_out_channels.len();
    let mut ends = vec![("conv_in".to_owned(), 1)];
    let mut at = 1;
    for level in 0..levels {
        at += config.layers_per_block + usize::from(level + 1 < levels);
        ends.push((format!("down{level}"), at));
    }
    at += 1;
    ends.push(("mid".to_owned(), at));
    for level in 0..levels {
        at += config.layers_per_block + 1 + usize::from(level + 1 < levels);
        ends.push((format!("up{level}"), at));
    }
    ends
}

#[test]
fn golden_inside_of_a_pass() {
    let golden = Golden::open("unet.safetensors");
    let device = engine::cpu();
    let base = Base::open(&golden::path("tiny-sd"), &device).unwrap();
    let unet = base.unet().unwrap();
    for case in golden.cases(".inner.conv_in") {
        let name = |part: &str| format!("{case}.{part}");
        let x = from_nchw(golden.f32(&name("x")), golden.shape(&name("x")), &device);
        let timesteps: Vec<f64> = golden.i64(&name("t")).into_iter().map(|t| t as f64).collect();
        let shape = golden.shape(&name("context"));
        let context = engine::tensor(golden.f32(&name("context")), shape, &device);

        let time = engine::values(unet.time.forward(&timesteps[..1], &device));
        let want = golden.f32(&name("inner.time_embedding"));
        assert_close("time_embedding", &time, &want, 1e-4);

        let mut inputs = Vec::new();
        let clock = unet.time_rows(&timesteps, x.dims()[0], &device);
        unet.walk(unet.steps.len(), x, &mut |i, h, skip| {
            inputs.push(h.clone());
            unet.steps[i].forward(h, skip, &clock, &context, &mut Plain)
        });
        for (part, end) in ends(&base) {
            let first_sample = inputs[end].clone().narrow(0, 0, 1);
            let what = name(&format!("inner.{part}"));
            assert_close(&what, &to_nchw(first_sample).0, &golden.f32(&what), 1e-4);
        }
    }
}

#[test]
fn tapes_stay_from_the_first_transformer_on() {
    let device = engine::cpu();
    let base = Base::open(&golden::fixture("golden/tiny-sd"), &device).unwrap();
    let config = &base.configs().unet;
    let context = Tensor::ones([1, 3, config.cross_attention_dim], &device);
    let x = Tensor::ones([1, config.sample_size, config.sample_size, config.in_channels], &device);
    let kept = |unet: &UNet| {
        let (out, recording) = unet.record(x.clone(), &[3.0], &context, &mut Plain, None);
        (engine::values(out), recording.tapes.into_keys().collect::<Vec<_>>())
    };
    let unet = base.unet().unwrap();
    let (plain, none) = kept(&unet);
    let (out, tapes) = kept(&unet.with_tapes(true));
    assert!(none.is_empty());
    assert_eq!(out, plain, "the same to the bit");
    let expected: Vec<usize> = (unet.first_transformer()..unet.steps.len()).collect();
    assert_eq!(tapes, expected);
}
