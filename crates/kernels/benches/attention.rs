//! Attention at the sizes of Stable Diffusion 1.x at 512 pixels, beside a naive twin
//! that stores its scores.
//!
//! `VICO_SIMD` lowers the level. On a busy machine compare the fastest samples.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kernels::{Attention, AttentionGradients, AttentionSaved, Precision, level};

/// `(heads, queries, keys, width)`: self-attention from 64 x 64 down to 8 x 8 pixels,
/// cross-attention to a prompt, and the VAE's one head.
const SIZES: [(usize, usize, usize, usize); 7] = [
    (8, 4096, 4096, 40),
    (8, 1024, 1024, 80),
    (8, 256, 256, 160),
    (8, 64, 64, 160),
    (8, 4096, 77, 40),
    (8, 1024, 77, 80),
    (1, 4096, 4096, 512),
];

/// Where the twin is measured.
const TWIN: (usize, usize, usize, usize) = (8, 256, 256, 160);

fn values(len: usize, step: usize) -> Vec<f32> {
    (0..len).map(|i| (i * step % 1009) as f32 / 300.0 - 1.6).collect()
}

/// Everything that an attention reads and writes.
struct Buffers {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    out: Vec<f32>,
    lse: Vec<f32>,
    dout: Vec<f32>,
    dq: Vec<f32>,
    dk: Vec<f32>,
    dv: Vec<f32>,
}

impl Buffers {
    fn new((heads, queries, keys, width): (usize, usize, usize, usize)) -> Self {
        let (queries_len, keys_len) = (heads * width * queries, heads * width * keys);
        Self {
            q: values(queries_len, 7919),
            k: values(keys_len, 104_729),
            v: values(keys_len, 31),
            out: vec![0.0; queries_len],
            lse: vec![0.0; heads * queries],
            dout: values(queries_len, 523),
            dq: vec![0.0; queries_len],
            dk: vec![0.0; keys_len],
            dv: vec![0.0; keys_len],
        }
    }

    fn forward(&mut self, attention: &Attention<'_>) {
        attention.forward(&self.q, &self.k, &self.v, &mut self.out, &mut self.lse);
    }

    fn backward(&mut self, attention: &Attention<'_>) {
        let Self { q, k, v, out, lse, dout, dq, dk, dv } = self;
        let saved = AttentionSaved { q, k, v, out, lse };
        attention.backward(saved, dout, None, AttentionGradients { dq, dk, dv });
    }
}

fn attention(c: &mut Criterion) {
    let mut group = c.benchmark_group("attention");
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    for size in SIZES {
        let (heads, queries, keys, width) = size;
        let mut buffers = Buffers::new(size);
        for precision in [Precision::F32, Precision::Bf16] {
            let attention = Attention {
                level: level(),
                precision,
                batch: 1,
                queries,
                key_batch: 1,
                keys,
                heads,
                width,
                keep: None,
                causal: false,
            };
            let name = |pass| format!("{pass} {precision:?} {heads}x{queries}x{keys}x{width}");
            let product = (2 * heads * queries * keys * width) as u64;
            group.throughput(Throughput::Elements(2 * product));
            group.bench_function(name("forward"), |b| b.iter(|| buffers.forward(&attention)));
            group.throughput(Throughput::Elements(5 * product));
            group.bench_function(name("backward"), |b| b.iter(|| buffers.backward(&attention)));
        }
    }
    let mut buffers = Buffers::new(TWIN);
    let (heads, queries, keys, width) = TWIN;
    group.throughput(Throughput::Elements((4 * heads * queries * keys * width) as u64));
    group.bench_function("forward twin 8x256x256x160", |b| b.iter(|| twin(TWIN, &mut buffers)));
    group.finish();
}

/// The textbook's attention, one thread.
fn twin((heads, queries, keys, width): (usize, usize, usize, usize), buffers: &mut Buffers) {
    let channels = heads * width;
    let scale = (width as f32).powf(-0.5);
    let mut scores = vec![0.0; keys];
    for head in 0..heads {
        for query in 0..queries {
            let row = query * channels + head * width;
            let q = &buffers.q[row..][..width];
            for (key, score) in scores.iter_mut().enumerate() {
                let k = &buffers.k[key * channels + head * width..][..width];
                *score = scale * q.iter().zip(k).map(|(q, k)| q * k).sum::<f32>();
            }
            let top = scores.iter().copied().fold(f32::MIN, f32::max);
            scores.iter_mut().for_each(|score| *score = (*score - top).exp());
            let sum: f32 = scores.iter().sum();
            let out = &mut buffers.out[row..][..width];
            out.fill(0.0);
            for (key, p) in scores.iter().enumerate() {
                let v = &buffers.v[key * channels + head * width..][..width];
                out.iter_mut().zip(v).for_each(|(out, v)| *out += p / sum * v);
            }
        }
    }
}

criterion_group!(benches, attention);
criterion_main!(benches);
