//! Norms, activations and the optimiser's step at the sizes of Stable Diffusion 1.x at
//! 512 pixels, beside naive twins.
//!
//! `VICO_SIMD` lowers the level. On a busy machine compare the fastest samples.

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use kernels::{
    Activation, AdamWStep, GroupNorm, LayerNorm, add, geglu, geglu_backward, level,
    upsample_nearest, upsample_nearest_backward,
};

/// Pixels and channels of the first level, groups, and the width of its GEGLU.
const PIXELS: usize = 64 * 64;
const CHANNELS: usize = 320;
const GROUPS: usize = 32;
const WIDTH: usize = 1280;

fn values(len: usize, step: usize) -> Vec<f32> {
    (0..len).map(|i| (i * step % 1009) as f32 / 300.0 - 1.6).collect()
}

fn norms(c: &mut Criterion) {
    let mut group = c.benchmark_group("norm");
    group.sample_size(20).measurement_time(Duration::from_secs(1));
    let (x, dout) = (values(PIXELS * CHANNELS, 7919), values(PIXELS * CHANNELS, 31));
    let (weight, bias) = (values(CHANNELS, 3), values(CHANNELS, 5));
    let (level, weight, bias) = (level(), &weight[..], &bias[..]);
    let mut out = vec![0.0; x.len()];
    let (mut dweight, mut dbias) = (vec![0.0; CHANNELS], vec![0.0; CHANNELS]);

    let mut moments = vec![0.0; 2 * GROUPS];
    let norm = GroupNorm {
        level,
        pixels: PIXELS,
        groups: GROUPS,
        epsilon: 1e-5,
        silu: true,
        weight,
        bias,
    };
    group.bench_function("group norm, SiLU", |b| {
        b.iter(|| norm.forward(&x, &mut out, &mut moments));
    });
    group.bench_function("group norm, SiLU, backward", |b| {
        b.iter(|| norm.backward(&x, &moments, &dout, &mut out, None));
    });
    group.bench_function("group norm, SiLU, twin", |b| {
        b.iter(|| group_norm_twin(&x, weight, bias, &mut out));
    });

    let mut moments = vec![0.0; 2 * PIXELS];
    let norm = LayerNorm { level, epsilon: 1e-5, weight, bias };
    group.bench_function("layer norm", |b| {
        b.iter(|| norm.forward(&x, &mut out, &mut moments));
    });
    group.bench_function("layer norm, backward with weights", |b| {
        b.iter(|| {
            norm.backward(&x, &moments, &dout, &mut out, Some([&mut dweight, &mut dbias]));
        });
    });
    group.finish();
}

/// The textbook's group norm with SiLU, one thread.
fn group_norm_twin(x: &[f32], weight: &[f32], bias: &[f32], out: &mut [f32]) {
    let width = CHANNELS / GROUPS;
    for group in 0..GROUPS {
        let channels = group * width..(group + 1) * width;
        let members = || (0..PIXELS).flat_map(|p| channels.clone().map(move |c| p * CHANNELS + c));
        let count = (PIXELS * width) as f64;
        let mean = members().map(|i| f64::from(x[i])).sum::<f64>() / count;
        let variance = members().map(|i| (f64::from(x[i]) - mean).powi(2)).sum::<f64>() / count;
        let rstd = (variance + 1e-5).sqrt().recip() as f32;
        for i in members() {
            let y = (x[i] - mean as f32) * rstd * weight[i % CHANNELS] + bias[i % CHANNELS];
            out[i] = y / (1.0 + (-y).exp());
        }
    }
}

fn elementwise(c: &mut Criterion) {
    let mut group = c.benchmark_group("elementwise");
    group.sample_size(20).measurement_time(Duration::from_secs(1));
    let level = level();
    let (x, dout) = (values(PIXELS * 2 * WIDTH, 7919), values(PIXELS * WIDTH, 31));
    let (mut y, mut dx) = (vec![0.0; PIXELS * WIDTH], vec![0.0; PIXELS * 2 * WIDTH]);
    group.bench_function("GEGLU", |b| b.iter(|| geglu(level, WIDTH, &x, &mut y)));
    group.bench_function("GEGLU, backward", |b| {
        b.iter(|| geglu_backward(level, WIDTH, &x, &dout, &mut dx));
    });
    group.bench_function("GEGLU, twin", |b| b.iter(|| geglu_twin(&x, &mut y)));

    let len = PIXELS * CHANNELS;
    group.bench_function("SiLU", |b| {
        b.iter(|| Activation::Silu.forward(level, &x[..len], &mut y[..len]));
    });
    group.bench_function("sum", |b| {
        b.iter(|| add(level, &x[..len], &dout[..len], &mut y[..len]));
    });
    group.bench_function("upsampling", |b| {
        b.iter(|| upsample_nearest(64, CHANNELS, &x[..len], &mut y[..4 * len]));
    });
    group.bench_function("upsampling, backward", |b| {
        b.iter(|| {
            upsample_nearest_backward(level, 64, CHANNELS, &x[..4 * len], &mut y[..len]);
        });
    });
    group.finish();
}

/// The textbook's GEGLU, one thread.
fn geglu_twin(x: &[f32], y: &mut [f32]) {
    for (x, y) in x.chunks_exact(2 * WIDTH).zip(y.chunks_exact_mut(WIDTH)) {
        let (value, gate) = x.split_at(WIDTH);
        for (y, (value, gate)) in y.iter_mut().zip(value.iter().zip(gate)) {
            let normal = 0.5 * (1.0 + libm::erff(gate * std::f32::consts::FRAC_1_SQRT_2));
            *y = value * gate * normal;
        }
    }
}

fn optimiser(c: &mut Criterion) {
    let len = 1 << 22;
    let step = AdamWStep {
        keep: 0.99999,
        beta1: 0.9,
        one_minus_beta1: 0.1,
        beta2: 0.999,
        one_minus_beta2: 0.001,
        root_correction: 0.5,
        step_size: 1e-5,
        epsilon: 1e-8,
    };
    let (mut weights, gradient) = (values(len, 7919), values(len, 31));
    let (mut first, mut second) = (vec![0.0; len], vec![0.0; len]);
    c.bench_function("AdamW, 4M weights", |b| {
        b.iter(|| step.apply(level(), &mut weights, &gradient, &mut first, &mut second));
    });
}

criterion_group!(benches, norms, elementwise, optimiser);
criterion_main!(benches);
