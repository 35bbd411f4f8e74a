use std::collections::VecDeque;

use engine::Tensor;

use super::{ddim::step, run::Run};
use crate::Result;

/// PNDM without its Runge-Kutta start (Liu et al. 2022), called PLMS: steps of
/// DDIM along a slope that is extrapolated from up to four predictions. The
/// first step is taken twice, the second time with the mean slope.
pub(super) fn pndm(run: &mut Run, latents: Tensor<4>) -> Result<Tensor<4>> {
    let mut x = latents;
    let mut past: VecDeque<Tensor<4>> = VecDeque::new();
    let corrected = run.plan.steps() > 1;
    for (i, (from, to)) in run.steps().enumerate() {
        past.push_front(run.noise_in(&x, from)?);
        past.truncate(4);
        let mut slope = extrapolated(&past);
        if i == 0 && corrected {
            let trial = step(x.clone(), slope.clone(), from, to, 0.0);
            run.show(&trial)?;
            slope = (run.noise_in(&trial, to)? + slope) / 2.0;
        }
        x = step(x, slope, from, to, 0.0);
        run.show(&x)?;
    }
    Ok(x)
}

/// The Adams-Bashforth formula of as many predictions as there are, newest first.
fn extrapolated(past: &VecDeque<Tensor<4>>) -> Tensor<4> {
    let weights: &[f64] = match past.len() {
        1 => &[1.0],
        2 => &[3.0 / 2.0, -1.0 / 2.0],
        3 => &[23.0 / 12.0, -16.0 / 12.0, 5.0 / 12.0],
        _ => &[55.0 / 24.0, -59.0 / 24.0, 37.0 / 24.0, -9.0 / 24.0],
    };
    let terms = past.iter().zip(weights).map(|(noise, &weight)| noise.clone() * weight);
    terms.reduce(|sum, term| sum + term).expect("at least one prediction")
}
