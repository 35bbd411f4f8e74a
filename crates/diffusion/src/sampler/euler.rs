use engine::Tensor;

use super::run::Run;
use crate::Result;

/// Euler's method over sigma (Karras et al. 2022, algorithm 2 without churn).
pub(super) fn euler(run: &mut Run, latents: Tensor<4>) -> Result<Tensor<4>> {
    let mut x = run.unscaled(latents);
    for (from, to) in run.steps() {
        let slope = run.slope(&x, from)?;
        x = x + slope * (to.sigma() - from.sigma());
        run.show(&x)?;
    }
    Ok(x)
}
