//! Linear layers of the U-Net at 512 pixels beside a plain loop and the plain level.
//!
//! `cargo bench -p kernels --bench linear`; elements are floating-point operations.

mod support;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kernels::{Level, PackedLinear, Precision, level, linear, linear_weight_gradient};
use support::values;

/// `[rows, inputs, outputs]`: projections and feed-forward layers from 64x64 to 8x8 tokens.
const SHAPES: [[usize; 3]; 6] = [
    [4096, 320, 320],
    [4096, 320, 2560],
    [1024, 640, 640],
    [1024, 2560, 640],
    [256, 1280, 10240],
    [64, 5120, 1280],
];

/// `y = x weight^T` as one would write it down.
fn plain(x: &[f32], weight: &[f32], inputs: usize, y: &mut [f32]) {
    let outputs = weight.len() / inputs;
    for (x, y) in x.chunks_exact(inputs).zip(y.chunks_exact_mut(outputs)) {
        for (weight, y) in weight.chunks_exact(inputs).zip(y) {
            *y = x.iter().zip(weight).map(|(x, w)| x * w).sum();
        }
    }
}

fn layers(criterion: &mut Criterion) {
    for [rows, inputs, outputs] in SHAPES {
        let mut group = criterion.benchmark_group(format!("linear {rows}x{inputs}x{outputs}"));
        group.sample_size(10);
        group.throughput(Throughput::Elements(2 * (rows * inputs * outputs) as u64));
        let (x, weight, dy) =
            (values(rows * inputs), values(outputs * inputs), values(rows * outputs));
        let (mut y, mut dx, mut dw) =
            (vec![0.0; dy.len()], vec![0.0; x.len()], vec![0.0; weight.len()]);
        for (name, level, precision) in [
            ("f32", level(), Precision::F32),
            ("bf16", level(), Precision::Bf16),
            ("f32 portable", Level::Portable, Precision::F32),
        ] {
            let layer = PackedLinear::new(&weight, None, inputs, outputs, level, precision);
            group.bench_function(name, |bencher| bencher.iter(|| layer.forward(&x, &mut y)));
            group.bench_function(format!("{name} backward"), |bencher| {
                bencher.iter(|| layer.backward_input(&dy, &mut dx));
            });
        }
        group.bench_function("not packed", |bencher| {
            bencher.iter(|| linear(level(), &x, &weight, None, inputs, &mut y));
        });
        group.bench_function("weight gradient", |bencher| {
            bencher.iter(|| linear_weight_gradient(level(), &x, &dy, inputs, &mut dw, None));
        });
        group.finish();
    }
}

fn loops(criterion: &mut Criterion) {
    let (rows, inputs, outputs) = (64, 320, 320);
    let mut group = criterion.benchmark_group(format!("linear {rows}x{inputs}x{outputs}"));
    group.throughput(Throughput::Elements(2 * (rows * inputs * outputs) as u64));
    let (x, weight) = (values(rows * inputs), values(outputs * inputs));
    let mut y = vec![0.0; rows * outputs];
    group.bench_function("plain loop", |bencher| {
        bencher.iter(|| plain(&x, &weight, inputs, &mut y));
    });
    let layer = PackedLinear::new(&weight, None, inputs, outputs, level(), Precision::F32);
    group.bench_function("f32", |bencher| bencher.iter(|| layer.forward(&x, &mut y)));
    group.finish();
}

criterion_group!(benches, loops, layers);
criterion_main!(benches);
