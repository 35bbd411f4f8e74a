use engine::Tensor;

use super::run::Run;
use crate::Result;

/// Heun's method over sigma (Karras et al. 2022, algorithm 1): each step is
/// tried, and taken again with the mean of the slopes at both ends. The last
/// step, which leads to no noise, is Euler's.
pub(super) fn heun(run: &mut Run, latents: Tensor<4>) -> Result<Tensor<4>> {
    let mut x = run.unscaled(latents);
    for (from, to) in run.steps() {
        let width = to.sigma() - from.sigma();
        let slope = run.slope(&x, from)?;
        let mut next = x.clone() + slope.clone() * width;
        run.show(&next)?;
        if to.sigma() > 0.0 {
            let mean = (slope + run.slope(&next, to)?) / 2.0;
            next = x + mean * width;
            run.show(&next)?;
        }
        x = next;
    }
    Ok(x)
}
