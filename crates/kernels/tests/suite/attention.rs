use kernels::{Attention, AttentionGradients, AttentionSaved, ColumnGradient, Level, Precision};
use proptest::prelude::*;

use crate::support::{assert_close, values};

/// Sizes and mask of an attention, and which columns are asked for.
#[derive(Clone, Debug)]
struct Case {
    batch: usize,
    queries: usize,
    share: usize,
    keys: usize,
    heads: usize,
    width: usize,
    keep: Option<Vec<bool>>,
    causal: bool,
    /// Columns of each row of queries.
    columns: Vec<usize>,
}

impl Case {
    fn new(batch: usize, queries: usize, keys: usize, heads: usize, width: usize) -> Self {
        let columns = (0..2 * batch).map(|i| i * 5 % keys).collect();
        Self { batch, queries, share: 1, keys, heads, width, keep: None, causal: false, columns }
    }

    fn channels(&self) -> usize {
        self.heads * self.width
    }

    fn key_batch(&self) -> usize {
        self.batch / self.share
    }

    fn attention(&self, level: Level, precision: Precision) -> Attention<'_> {
        Attention {
            level,
            precision,
            batch: self.batch,
            queries: self.queries,
            key_batch: self.key_batch(),
            keys: self.keys,
            heads: self.heads,
            width: self.width,
            keep: self.keep.as_deref(),
            causal: self.causal,
        }
    }

    fn inputs(&self) -> Inputs {
        let queries = self.batch * self.queries * self.channels();
        let keys = self.key_batch() * self.keys * self.channels();
        // Scores of a few units, as trained models have them.
        let scaled = |len, seed| values(len, seed).iter().map(|v| 1.5 * v).collect();
        Inputs {
            q: scaled(queries, 1),
            k: scaled(keys, 2),
            v: values(keys, 3),
            dout: values(queries, 4),
            dcolumns: values(self.columns.len() * self.queries, 5),
        }
    }

    /// Whether a query may use a key of its row.
    fn may_use(&self, row: usize, query: usize, key: usize) -> bool {
        let kept = self.keep.as_ref().is_none_or(|keep| keep[row / self.share * self.keys + key]);
        kept && !(self.causal && key > query)
    }
}

struct Inputs {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    dout: Vec<f32>,
    dcolumns: Vec<f32>,
}

/// All results, in f64 or as the kernels give them.
#[derive(Clone, Debug, PartialEq)]
struct Results<T> {
    out: Vec<T>,
    columns: Vec<T>,
    dq: Vec<T>,
    dk: Vec<T>,
    dv: Vec<T>,
}

impl<T: Copy> Results<T> {
    fn new(case: &Case, zero: T) -> Self {
        let queries = case.batch * case.queries * case.channels();
        let keys = case.key_batch() * case.keys * case.channels();
        Self {
            out: vec![zero; queries],
            columns: vec![zero; case.columns.len() * case.queries],
            dq: vec![zero; queries],
            dk: vec![zero; keys],
            dv: vec![zero; keys],
        }
    }
}

/// The exact results.
struct Expected {
    results: Results<f64>,
    /// Sums of the squares of the terms that make `dq`.
    dq_terms: Vec<f64>,
    /// The same of `dk`.
    dk_terms: Vec<f64>,
}

/// One query of one head after the other, with its scores in full.
fn twin(case: &Case, inputs: &Inputs, with_columns: bool) -> Expected {
    let results = Results::new(case, 0.0);
    let (dq_terms, dk_terms) = (results.dq.clone(), results.dk.clone());
    let mut expected = Expected { results, dq_terms, dk_terms };
    for row in 0..case.batch {
        for query in 0..case.queries {
            for head in 0..case.heads {
                twin_of_query(case, inputs, with_columns, (row, query, head), &mut expected);
            }
        }
    }
    expected
}

fn twin_of_query(
    case: &Case,
    inputs: &Inputs,
    with_columns: bool,
    (row, query, head): (usize, usize, usize),
    expected: &mut Expected,
) {
    let results = &mut expected.results;
    let (width, channels, keys) = (case.width, case.channels(), case.keys);
    let scale = (width as f64).powf(-0.5);
    let q0 = (row * case.queries + query) * channels + head * width;
    let k0 = |key: usize| (row / case.share * keys + key) * channels + head * width;
    let at = |values: &[f32], i: usize| f64::from(values[i]);
    let dot = |a: &[f32], i: usize, b: &[f32], j: usize| {
        (0..width).map(|c| at(a, i + c) * at(b, j + c)).sum::<f64>()
    };
    let masked: Vec<bool> = (0..keys).map(|key| !case.may_use(row, query, key)).collect();
    let scores: Vec<f64> = (0..keys)
        .map(|key| match masked[key] {
            true => f64::from(f32::MIN),
            false => scale * dot(&inputs.q, q0, &inputs.k, k0(key)),
        })
        .collect();
    let top = scores.iter().copied().fold(f64::MIN, f64::max);
    let sum: f64 = scores.iter().map(|score| (score - top).exp()).sum();
    let p: Vec<f64> = scores.iter().map(|score| (score - top).exp() / sum).collect();

    let mut dp: Vec<f64> = (0..keys).map(|key| dot(&inputs.dout, q0, &inputs.v, k0(key))).collect();
    let each = case.columns.len() / case.batch;
    for (j, &key) in case.columns[row * each..][..each].iter().enumerate() {
        let column = (row * each + j) * case.queries + query;
        results.columns[column] += p[key] / case.heads as f64;
        if with_columns {
            dp[key] += at(&inputs.dcolumns, column) / case.heads as f64;
        }
    }
    let delta: f64 = p.iter().zip(&dp).map(|(p, dp)| p * dp).sum();
    for key in 0..keys {
        // A masked score is a constant.
        let ds = if masked[key] { 0.0 } else { p[key] * (dp[key] - delta) * scale };
        let size = p[key] * (dp[key].abs() + delta.abs()) * scale;
        for c in 0..width {
            let (query, key_) = (q0 + c, k0(key) + c);
            results.out[query] += p[key] * at(&inputs.v, key_);
            results.dq[query] += ds * at(&inputs.k, key_);
            results.dk[key_] += ds * at(&inputs.q, query);
            results.dv[key_] += p[key] * at(&inputs.dout, query);
            expected.dq_terms[query] += (size * at(&inputs.k, key_)).powi(2);
            expected.dk_terms[key_] += (size * at(&inputs.q, query)).powi(2);
        }
    }
}

/// Forward, columns and backward of one level.
fn computed(
    case: &Case,
    inputs: &Inputs,
    with_columns: bool,
    level: Level,
    precision: Precision,
) -> Results<f32> {
    let attention = case.attention(level, precision);
    let Inputs { q, k, v, dout, dcolumns } = inputs;
    let mut results = Results::new(case, f32::NAN);
    let mut lse = vec![f32::NAN; case.batch * case.heads * case.queries];
    attention.forward(q, k, v, &mut results.out, &mut lse);
    attention.columns(q, k, &lse, &case.columns, &mut results.columns);
    let saved = AttentionSaved { q, k, v, out: &results.out, lse: &lse };
    let gradient = ColumnGradient { columns: &case.columns, gradient: dcolumns };
    let (dq, dk, dv) = (&mut results.dq[..], &mut results.dk[..], &mut results.dv[..]);
    let gradients = AttentionGradients { dq, dk, dv };
    attention.backward(saved, dout, with_columns.then_some(gradient), gradients);
    results
}

/// Errors of the scores, of one or two units in the last place of values up to about
/// ten, are relative errors of the probabilities.
const BOUND: f64 = 3e-5;

#[track_caller]
fn assert_results(
    actual: &Results<f32>,
    expected: &Expected,
    bound: f64,
    what: &dyn std::fmt::Debug,
) {
    let Expected { results, dq_terms, dk_terms } = expected;
    assert_close(&actual.out, &results.out, bound, &("out", what));
    assert_close(&actual.columns, &results.columns, bound, &("columns", what));
    assert_close(&actual.dv, &results.dv, bound, &("dv", what));
    assert_sums(&actual.dq, &results.dq, dq_terms, bound, &("dq", what));
    assert_sums(&actual.dk, &results.dk, dk_terms, bound, &("dk", what));
}

/// As [`assert_close`], but where the terms of the sums cancel, relative to the root
/// mean square of sums of as large terms that do not: their errors do not cancel.
#[track_caller]
fn assert_sums(
    actual: &[f32],
    expected: &[f64],
    squares: &[f64],
    bound: f64,
    what: &dyn std::fmt::Debug,
) {
    let square: f64 = expected.iter().map(|v| v * v).sum();
    let rms = (square.max(squares.iter().sum()) / expected.len().max(1) as f64).sqrt();
    for (actual, expected) in actual.iter().zip(expected) {
        let difference = (f64::from(*actual) - expected).abs();
        assert!(difference <= bound * rms, "{what:?}: {actual} for {expected}, rms {rms:.2e}");
    }
}

#[track_caller]
fn check(case: &Case) {
    let inputs = case.inputs();
    for with_columns in [false, true] {
        let expected = twin(case, &inputs, with_columns);
        for level in Level::available() {
            let what = (level, case, with_columns);
            let actual = computed(case, &inputs, with_columns, level, Precision::F32);
            assert_results(&actual, &expected, BOUND, &what);
        }
    }
}

#[test]
fn the_sizes_of_stable_diffusion_in_small() {
    check(&Case::new(1, 300, 300, 2, 40));
    check(&Case::new(2, 64, 64, 1, 160));
    check(&Case::new(1, 130, 77, 2, 80));
    check(&Case::new(2, 77, 77, 2, 64));
}

/// Where the processor multiplies pairs of bf16, their 8 bits show; elsewhere the
/// computation is that of f32.
#[test]
fn factors_rounded_to_bf16() {
    let keep: Vec<bool> = (0..61).map(|i| i % 3 != 1).collect();
    let cases = [
        Case::new(1, 140, 140, 2, 40),
        Case { causal: true, ..Case::new(2, 77, 77, 1, 7) },
        Case { keep: Some(keep), ..Case::new(1, 33, 61, 1, 24) },
        Case::new(1, 1, 1, 1, 1),
    ];
    for case in cases {
        let inputs = case.inputs();
        let expected = twin(&case, &inputs, true);
        for level in Level::available() {
            let actual = computed(&case, &inputs, true, level, Precision::Bf16);
            assert_results(&actual, &expected, 8e-2, &(level, &case));
        }
    }
}

/// What `Attention` promises, relative to the greatest value of each result.
#[test]
fn stated_errors() {
    for case in [Case::new(1, 256, 256, 1, 40), Case::new(1, 128, 77, 1, 160)] {
        let inputs = case.inputs();
        let expected = twin(&case, &inputs, true).results;
        for level in Level::available() {
            for (precision, bound) in [(Precision::F32, 1.5e-6), (Precision::Bf16, 1e-2)] {
                let actual = computed(&case, &inputs, true, level, precision);
                let results = [
                    (&actual.out, &expected.out),
                    (&actual.columns, &expected.columns),
                    (&actual.dq, &expected.dq),
                    (&actual.dk, &expected.dk),
                    (&actual.dv, &expected.dv),
                ];
                for (i, (actual, expected)) in results.into_iter().enumerate() {
                    let greatest = expected.iter().fold(0.0, |m: f64, e| m.max(e.abs()));
                    for (a, e) in actual.iter().zip(expected) {
                        let error = (f64::from(*a) - e).abs() / greatest;
                        let bound = if i < 2 { bound } else { 2.0 * bound };
                        assert!(error <= bound, "{level:?} {precision:?} {i}: {error:.1e}");
                    }
                }
            }
        }
    }
}

#[test]
fn odd_sizes() {
    check(&Case::new(1, 1, 1, 1, 1));
    check(&Case::new(2, 7, 3, 3, 4));
    check(&Case::new(1, 33, 97, 1, 7));
    check(&Case::new(1, 140, 50, 1, 33));
    check(&Case::new(1, 5, 101, 1, 513));
}

#[test]
fn keys_that_rows_share() {
    check(&Case { share: 3, ..Case::new(6, 35, 20, 2, 8) });
    check(&Case { share: 2, causal: true, ..Case::new(2, 20, 20, 1, 16) });
}

#[test]
fn no_later_keys() {
    check(&Case { causal: true, ..Case::new(2, 77, 77, 2, 64) });
    check(&Case { causal: true, ..Case::new(1, 200, 150, 1, 12) });
    check(&Case { causal: true, ..Case::new(1, 10, 120, 1, 12) });
}

#[test]
fn dropped_keys() {
    let case = Case { share: 2, ..Case::new(4, 40, 61, 2, 24) };
    let some = (0..122).map(|i| i % 3 == 1 || i > 90).collect();
    check(&Case { keep: Some(some), ..case.clone() });
    // The second row has none.
    let one_row = (0..122).map(|i| i < 61 && i % 2 == 0).collect();
    check(&Case { keep: Some(one_row), ..case.clone() });
    check(&Case { keep: Some(vec![false; 122]), ..case.clone() });
    // The first queries have none.
    let late: Vec<bool> = (0..122).map(|i| i % 61 > 9 && i % 4 != 0).collect();
    check(&Case { keep: Some(late), causal: true, ..case.clone() });
    check(&Case { keep: Some(vec![false; 122]), causal: true, ..case });
}

#[test]
fn columns_asked_for_twice_or_not_at_all() {
    check(&Case { columns: vec![3, 3, 0, 3, 70, 69], ..Case::new(2, 40, 71, 2, 8) });
    check(&Case { columns: vec![], ..Case::new(2, 40, 71, 2, 8) });
}

#[test]
fn nothing_to_do() {
    let case = Case { columns: vec![], ..Case::new(0, 5, 5, 1, 4) };
    computed(&case, &case.inputs(), true, Level::Portable, Precision::F32);
    let case = Case::new(1, 0, 5, 1, 4);
    let results = computed(&case, &case.inputs(), true, Level::Portable, Precision::F32);
    assert!(results.dk.iter().chain(&results.dv).all(|&d| d == 0.0));
}

#[test]
fn large_scores() {
    let case = Case::new(1, 50, 90, 1, 16);
    let mut inputs = case.inputs();
    inputs.q.iter_mut().for_each(|q| *q *= 100.0);
    let expected = twin(&case, &inputs, true);
    for level in Level::available() {
        let actual = computed(&case, &inputs, true, level, Precision::F32);
        // Scores of a thousand have errors of 1e-4.
        assert_results(&actual, &expected, 2e-3, &level);
    }
}

#[test]
fn threads_do_not_change_the_result() {
    let case = Case { share: 2, causal: true, ..Case::new(4, 300, 150, 2, 24) };
    let inputs = case.inputs();
    let level = kernels::level();
    let with_threads = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| computed(&case, &inputs, true, level, Precision::F32))
    };
    assert_eq!(with_threads(1), with_threads(5));
}

fn cases() -> impl Strategy<Value = Case> {
    let sizes = (1..4usize, 1..3usize, 1..150usize, 1..150usize, 1..4usize, 1..50usize);
    (sizes, any::<bool>(), 0..3usize, any::<u64>()).prop_map(
        |((rows, share, queries, keys, heads, width), causal, mask, seed)| {
            let flag = |i: usize| values(1, seed ^ i as u64)[0] > [-9.0, 0.0, 1.5][mask];
            let batch = rows * share;
            Case {
                share,
                keep: (mask > 0).then(|| (0..rows * keys).map(flag).collect()),
                causal,
                columns: (0..3 * batch).map(|i| (seed as usize % 1000 + 7 * i) % keys).collect(),
                ..Case::new(batch, queries, keys, heads, width)
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_shape(case in cases()) {
        check(&case);
    }
}
