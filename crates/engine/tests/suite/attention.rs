//! Attention and its columns against their twins.

use engine::{
    Tensor,
    nn::Precision,
    ops::{self, Attention, KeyMask, twins},
    rng::TorchRng,
};

use super::twins::{assert_twins_within, flat};

/// Sizes of a case: batch, queries, key batch, keys, heads, width of a head.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    batch: usize,
    queries: usize,
    key_batch: usize,
    keys: usize,
    heads: usize,
    width: usize,
}

/// How the factors may be rounded, and the error that it costs.
/// In bf16 terms of about 1 are off by half a hundredth, also where they cancel to nothing.
const PRECISIONS: [(Precision, f64); 2] = [(Precision::F32, 1e-5), (Precision::Bf16, 6e-2)];

const SIZES: [Sizes; 5] = [
    Sizes { batch: 1, queries: 1, key_batch: 1, keys: 1, heads: 1, width: 1 },
    Sizes { batch: 2, queries: 7, key_batch: 2, keys: 5, heads: 3, width: 5 },
    Sizes { batch: 3, queries: 5, key_batch: 1, keys: 9, heads: 2, width: 8 },
    Sizes { batch: 4, queries: 33, key_batch: 2, keys: 50, heads: 2, width: 16 },
    Sizes { batch: 1, queries: 70, key_batch: 1, keys: 77, heads: 8, width: 40 },
];

impl Sizes {
    fn lengths(&self) -> [usize; 3] {
        let keys = self.key_batch * self.keys * self.heads * self.width;
        [self.batch * self.queries * self.heads * self.width, keys, keys]
    }

    fn inputs(&self, flat: &[Tensor<1>]) -> [Tensor<3>; 3] {
        let channels = self.heads * self.width;
        let shape = |i: usize| match i {
            0 => [self.batch, self.queries, channels],
            _ => [self.key_batch, self.keys, channels],
        };
        std::array::from_fn(|i| flat[i].clone().reshape(shape(i)))
    }

    /// Without a mask; with a random one, whose first row leaves no key; causal; both.
    fn ways(&self) -> Vec<Attention> {
        let plain = Attention::heads(self.heads);
        let count = self.key_batch * self.keys;
        let coins = TorchRng::new(3).rand(count).into_iter().enumerate();
        let keep = coins.map(|(i, coin)| i >= self.keys && coin < 0.5).collect();
        let mask = KeyMask { rows: self.key_batch, keys: self.keys, keep };
        let some: Vec<bool> = TorchRng::new(4).rand(count).iter().map(|c| *c < 0.5).collect();
        let some = KeyMask { keep: some.into(), ..mask.clone() };
        let masked = Attention { keep: Some(mask), ..plain.clone() };
        let partly = Attention { keep: Some(some), ..plain.clone() };
        let causal = |how: &Attention| Attention { causal: true, ..how.clone() };
        vec![causal(&plain), causal(&partly), plain, masked, partly]
    }
}

#[test]
fn attention() {
    for sizes in SIZES {
        for (how, (precision, tolerance)) in sizes.ways().into_iter().flat_map(in_precisions) {
            let pair = [ops::attention as fn(_, _, _, &Attention) -> _, twins::attention];
            let [kernel, twin] = pair.map(|f| {
                let how = Attention { precision, ..how.clone() };
                move |x: &[Tensor<1>]| {
                    let [q, k, v] = sizes.inputs(x);
                    flat(f(q, k, v, &how))
                }
            });
            let what = format!("{sizes:?} {precision:?} {how:?}");
            assert_twins_within(&what, &sizes.lengths(), &kernel, &twin, tolerance);
        }
    }
}

#[test]
fn attention_columns() {
    for sizes in SIZES {
        let column = |row: usize, j: usize| (7 * row + 5 * j) % sizes.keys;
        let columns: Vec<Vec<usize>> =
            (0..sizes.batch).map(|row| vec![column(row, 0), column(row, 1)]).collect();
        for (how, (precision, tolerance)) in sizes.ways().into_iter().flat_map(in_precisions) {
            let pair = [
                ops::attention_columns as fn(_, _, _, &Attention, &[Vec<usize>]) -> _,
                twins::attention_columns,
            ];
            let [kernel, twin] = pair.map(|f| {
                let (how, columns) = (Attention { precision, ..how.clone() }, columns.clone());
                move |x: &[Tensor<1>]| {
                    let [q, k, v] = sizes.inputs(x);
                    let (out, maps) = f(q, k, v, &how, &columns);
                    Tensor::cat(vec![flat(out), flat(maps)], 0)
                }
            });
            let what = format!("columns {sizes:?} {precision:?} {how:?}");
            assert_twins_within(&what, &sizes.lengths(), &kernel, &twin, tolerance);
        }
    }
}

fn in_precisions(how: Attention) -> [(Attention, (Precision, f64)); 2] {
    PRECISIONS.map(|precision| (how.clone(), precision))
}
