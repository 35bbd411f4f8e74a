//! 3x3 convolutions of the U-Net at 512 pixels by every algorithm, beside a plain loop
//! and the plain level.
//!
//! `cargo bench -p kernels --bench conv`; elements are floating-point operations of
//! the direct way, so that the algorithms can be compared.

mod support;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kernels::{
    Algorithm, ConvOptions, ConvShape, Level, PackedConv3x3, Precision, Resize,
    conv3x3_weight_gradient, level,
};
use support::values;

/// `[side, inputs, outputs]`
const SHAPES: [[usize; 3]; 5] =
    [[64, 320, 320], [32, 640, 640], [16, 1280, 1280], [16, 2560, 1280], [8, 1280, 1280]];

/// A convolution that keeps the size, as one would write it down.
fn plain(side: usize, [inputs, outputs]: [usize; 2], x: &[f32], weight: &[f32], y: &mut [f32]) {
    for (pixel, y) in y.chunks_exact_mut(outputs).enumerate() {
        y.fill(0.0);
        for tap in 0..9 {
            let (row, column) = (pixel / side + tap / 3, pixel % side + tap % 3);
            if !(1..=side).contains(&row) || !(1..=side).contains(&column) {
                continue;
            }
            let x = &x[((row - 1) * side + column - 1) * inputs..][..inputs];
            for (kernels, y) in weight.chunks_exact(inputs * 9).zip(&mut *y) {
                let products = kernels.chunks_exact(9).zip(x).map(|(kernel, x)| kernel[tap] * x);
                *y += products.sum::<f32>();
            }
        }
    }
}

fn layers(criterion: &mut Criterion) {
    for [side, inputs, outputs] in SHAPES {
        let mut group = criterion.benchmark_group(format!("conv {side}x{side} {inputs}-{outputs}"));
        group.sample_size(10);
        let (pixels, size) = (side * side, [side; 2]);
        group.throughput(Throughput::Elements(2 * (pixels * inputs * outputs * 9) as u64));
        let shape = ConvShape { inputs, outputs, resize: Resize::Keep };
        let (x, dy) = (values(pixels * inputs), values(pixels * outputs));
        let weight = values(outputs * inputs * 9);
        let (mut y, mut dx, mut dw) =
            (vec![0.0; dy.len()], vec![0.0; x.len()], vec![0.0; weight.len()]);
        for (name, algorithm, level, precision) in [
            ("direct", Algorithm::Direct, level(), Precision::F32),
            ("F(2x2)", Algorithm::Winograd2, level(), Precision::F32),
            ("F(4x4)", Algorithm::Winograd4, level(), Precision::F32),
            ("F(4x4) portable", Algorithm::Winograd4, Level::Portable, Precision::F32),
            ("direct bf16", Algorithm::Direct, level(), Precision::Bf16),
            ("F(2x2) bf16", Algorithm::Winograd2, level(), Precision::Bf16),
        ] {
            let options = ConvOptions { algorithm, level, precision };
            let layer = PackedConv3x3::new(shape, &weight, None, options);
            group.bench_function(name, |bencher| {
                bencher.iter(|| layer.forward(1, size, &x, &mut y));
            });
            group.bench_function(format!("{name} backward"), |bencher| {
                bencher.iter(|| layer.backward_input(1, size, &dy, &mut dx));
            });
        }
        group.bench_function("weight gradient", |bencher| {
            bencher.iter(|| {
                conv3x3_weight_gradient(level(), shape, 1, size, &x, &dy, &mut dw, None);
            });
        });
        group.finish();
    }
}

fn loops(criterion: &mut Criterion) {
    let (side, channels) = (16, 64);
    let mut group = criterion.benchmark_group(format!("conv {side}x{side} {channels}-{channels}"));
    group.throughput(Throughput::Elements(2 * (side * side * channels * channels * 9) as u64));
    let (x, weight) = (values(side * side * channels), values(channels * channels * 9));
    let mut y = vec![0.0; x.len()];
    group.bench_function("plain loop", |bencher| {
        bencher.iter(|| plain(side, [channels; 2], &x, &weight, &mut y));
    });
    let shape = ConvShape { inputs: channels, outputs: channels, resize: Resize::Keep };
    let (level, precision) = (level(), Precision::F32);
    let options = ConvOptions { algorithm: Algorithm::Winograd4, level, precision };
    let layer = PackedConv3x3::new(shape, &weight, None, options);
    group.bench_function("F(4x4)", |bencher| {
        bencher.iter(|| layer.forward(1, [side; 2], &x, &mut y));
    });
    group.finish();
}

criterion_group!(benches, loops, layers);
criterion_main!(benches);
