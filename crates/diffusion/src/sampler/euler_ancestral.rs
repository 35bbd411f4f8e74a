use engine::Tensor;

use super::run::Run;
use crate::Result;

/// Euler's method that goes below the next level and adds the rest as fresh
/// noise, as ancestral sampling (Ho et al. 2020) would.
pub(super) fn euler_ancestral(run: &mut Run, latents: Tensor<4>) -> Result<Tensor<4>> {
    let mut x = run.unscaled(latents);
    for (from, to) in run.steps() {
        let (high, low) = (from.sigma(), to.sigma());
        let fresh = low * (1.0 - (low / high).powi(2)).sqrt();
        let down = (low.powi(2) - fresh.powi(2)).sqrt();
        let slope = run.slope(&x, from)?;
        x = x + slope * (down - high);
        if fresh > 0.0 {
            x = x + run.fresh() * fresh;
        }
        run.show(&x)?;
    }
    Ok(x)
}
