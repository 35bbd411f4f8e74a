use engine::Tensor;

use super::run::{Run, log_ratio};
use crate::{Result, schedule::Level};

/// A picture found on the way, and where.
struct Past {
    picture: Tensor<4>,
    level: Level,
}

/// UniPC (Zhao et al. 2023) of order 2 in its form `B_2(h)`: a predictor as
/// DPM-Solver++ has it, and once the picture at the step's end is known, a
/// corrector of the latents there that needs no evaluation of its own.
pub(super) fn unipc(run: &mut Run, latents: Tensor<4>) -> Result<Tensor<4>> {
    let mut x = run.unscaled(latents);
    // Newest last.
    let mut past: Vec<Past> = Vec::new();
    let mut start = x.clone();
    for (from, to) in run.steps() {
        let picture = run.denoised(&x, from)?;
        if !past.is_empty() {
            x = corrected(start, &past, &picture, from);
        }
        past.push(Past { picture, level: from });
        if past.len() > 2 {
            past.remove(0);
        }
        start = x.clone();
        x = predicted(x, &past, to);
        run.show(&x)?;
    }
    Ok(x)
}

/// Latents at `to` with the picture held still since the newest one.
fn held(x: Tensor<4>, newest: &Past, to: Level) -> Tensor<4> {
    let width = log_ratio(newest.level, to);
    x * (-width).exp() - newest.picture.clone() * (-width).exp_m1()
}

/// How the picture changed between the two last ones, as a share of a step from
/// the newest to `to`: the quotient of their difference and of `ratio`, which is
/// negative.
fn change(past: &[Past], to: Level) -> Option<(Tensor<4>, f64)> {
    let [old, newest] = past else { return None };
    let ratio = -log_ratio(old.level, newest.level) / log_ratio(newest.level, to);
    Some(((old.picture.clone() - newest.picture.clone()) / ratio, ratio))
}

fn predicted(x: Tensor<4>, past: &[Past], to: Level) -> Tensor<4> {
    let newest = &past[past.len() - 1];
    let next = held(x, newest, to);
    match change(past, to) {
        Some((change, _)) if to.sigma() > 0.0 => {
            next - change * (0.5 * (-log_ratio(newest.level, to)).exp_m1())
        }
        _ => next,
    }
}

/// The latents at `to` again, from the ones where the step began, now that the
/// picture there is known.
fn corrected(start: Tensor<4>, past: &[Past], picture: &Tensor<4>, to: Level) -> Tensor<4> {
    let newest = &past[past.len() - 1];
    let h = -log_ratio(newest.level, to);
    let b = h.exp_m1();
    let arrived = picture.clone() - newest.picture.clone();
    let change = match change(past, to) {
        None => arrived * 0.5,
        Some((change, ratio)) => {
            // Weights that make the formula exact to second order.
            let first = b / h - 1.0;
            let second = first / h - 0.5;
            let (first, second) = (first / b, 2.0 * second / b);
            let weight = (first - second) / (1.0 - ratio);
            change * weight + arrived * (first - weight)
        }
    };
    held(start, newest, to) - change * b
}
