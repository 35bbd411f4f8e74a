use golden::{Golden, assert_close};
use personalize::methods::vico::mask::otsu;

#[test]
fn golden_otsu() {
    let golden = Golden::open("otsu.safetensors");
    for case in golden.cases(".map") {
        let name = |part: &str| format!("{case}.{part}");
        let [rows, length] = golden.shape(&name("map"));
        let map = golden.f32(&name("map"));
        let scores = golden.f32(&name("scores"));
        let scaled = golden.f32(&name("scaled"));
        let value = golden.f32(&name("value"));
        let mask = golden.i64(&name("mask"));
        let threshold = golden.f32(&name("threshold"));
        for row in 0..rows {
            let what = format!("{case} row {row}");
            let span = row * length..(row + 1) * length;
            let got = otsu(&map[span.clone()]);
            assert_eq!(got.threshold, threshold[row], "threshold of {what}");
            let keep: Vec<i64> = got.keep.iter().map(|&k| i64::from(k)).collect();
            assert_eq!(keep, mask[span.clone()], "mask of {what}");
            assert_same(&format!("scaled of {what}"), &got.scaled, &scaled[span.clone()], 0.0);
            let want = &scores[row * got.scores.len()..][..got.scores.len()];
            assert_same(&format!("scores of {what}"), &got.scores, want, 1e-5);
            // The original thresholds in place; what is left of it is the mask.
            let kept: Vec<bool> = value[span].iter().map(|v| v.is_nan() || *v != 0.0).collect();
            assert_eq!(got.keep, kept, "value of {what}");
        }
    }
}

/// Close where numbers are, and not a number in the same places.
fn assert_same(what: &str, got: &[f32], want: &[f32], tolerance: f64) {
    let nan = |values: &[f32]| values.iter().map(|v| v.is_nan()).collect::<Vec<_>>();
    assert_eq!(nan(got), nan(want), "{what}: places without a number");
    let numbers =
        |values: &[f32]| values.iter().copied().filter(|v| !v.is_nan()).collect::<Vec<_>>();
    assert_close(what, &numbers(got), &numbers(want), tolerance);
}
