use super::{DeviceName, block::results, guarded};
use crate::{
    Result, cpu,
    nn::{Frozen, Precision},
};

/// How a device did in its [`self_test`].
#[derive(Clone, Debug)]
pub struct SelfTest {
    /// Every result that was compared.
    pub differences: Vec<Difference>,
    /// What the factors of products were rounded to.
    pub precision: Precision,
}

/// How far a result is from the processor's.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The result, such as `gradient of image.to_q.weight`.
    pub what: String,
    /// The largest difference, relative to the largest value; infinite for a result that
    /// is missing or no number.
    pub error: f64,
}

impl SelfTest {
    /// The most that rounding in a precision explains. In f32 it is the tolerance of the
    /// golden numbers. What it finds is worse: with the factors of products rounded to
    /// the ten bits of TF32 the block is off by several times as much. In the others it
    /// is about twice as much as without kernels the processor is off.
    pub fn most(precision: Precision) -> f64 {
        match precision {
            Precision::F32 => 1e-4,
            Precision::F16 | Precision::Tf32 => 3e-3,
            Precision::Bf16 => 2e-2,
        }
    }

    /// The result that is farthest off.
    ///
    /// # Panics
    /// If nothing was compared.
    pub fn worst(&self) -> &Difference {
        let by_error = |a: &&Difference, b: &&Difference| a.error.total_cmp(&b.error);
        self.differences.iter().max_by(by_error).expect("results are compared")
    }

    /// True if the device computes what the processor does.
    pub fn passes(&self) -> bool {
        self.worst().error <= Self::most(self.precision)
    }

    /// The figures, in a sentence without its end.
    pub fn figures(&self) -> String {
        let Difference { what, error } = self.worst();
        let most = Self::most(self.precision);
        let off = self.differences.iter().filter(|d| d.error > most).count();
        let count = self.differences.len();
        match (off, error.is_finite()) {
            (0, _) => format!("{count} results differ by {error:.1e} at most ({what})"),
            (_, true) => format!(
                "{off} of {count} results differ from the processor's by more than {most:.0e}, the {what} by \
                 {error:.1e} of its largest value"
            ),
            (_, false) => format!(
                "{off} of {count} results differ from the processor's by more than {most:.0e}, and the {what} \
                 is missing or no number"
            ),
        }
    }
}

/// Computes a block as the models have them on a device, with frozen layers kept in this
/// way, and on the processor in f32: its
/// results, and the gradients of all that is learned in it and of its inputs, through
/// frozen layers.
///
/// A device need not pass: drivers have given NaN, or no gradient where most weights are
/// frozen, and some libraries round the factors of f32 products to TF32 without being
/// asked.
///
/// # Errors
/// If the device fails altogether.
pub fn self_test(name: DeviceName, kept: &Frozen) -> Result<SelfTest> {
    let found = guarded(name, || results(kept))?;
    let differences = results(&Frozen::new(&cpu()))
        .into_iter()
        .zip(found)
        .map(|((what, want), (_, got))| Difference { error: relative_error(&got, &want), what })
        .collect();
    Ok(SelfTest { differences, precision: kept.precision })
}

/// The largest difference, relative to the largest value that is wanted.
fn relative_error(got: &[f32], want: &[f32]) -> f64 {
    if got.len() != want.len() || got.iter().any(|v| !v.is_finite()) {
        return f64::INFINITY;
    }
    let scale = want.iter().fold(0.0_f32, |scale, v| scale.max(v.abs()));
    let off = got.iter().zip(want).fold(0.0_f32, |off, (a, b)| off.max((a - b).abs()));
    f64::from(off) / f64::from(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_agrees_with_itself() {
        let test = self_test(DeviceName::default(), &Frozen::new(&cpu())).unwrap();
        assert_eq!(test.worst().error, 0.0);
        assert!(test.passes());
        assert!(test.figures().contains("differ by 0"), "{}", test.figures());
    }

    /// What passes in bf16 and f16 would not in f32, where it is what a device does that
    /// rounds the factors of its products unasked.
    #[test]
    fn rounded_products_pass_only_where_they_were_asked_for() {
        let test = |precision| {
            // Streamed, they are plain tensors as on other devices.
            let kept = Frozen { precision, streamed: true, ..Frozen::new(&cpu()) };
            self_test(DeviceName::default(), &kept).unwrap()
        };
        for precision in [Precision::F32, Precision::F16, Precision::Bf16] {
            let test = test(precision);
            assert!(test.passes(), "{}", test.figures());
        }
        let rounds = |precision| test(precision).worst().error > SelfTest::most(precision) / 5.0;
        assert!(rounds(Precision::F16) && rounds(Precision::Bf16));
        let asked = test(Precision::Bf16);
        let test = SelfTest { precision: Precision::F32, ..asked };
        assert!(!test.passes());
        let most = SelfTest::most(Precision::F32);
        assert!(test.differences.iter().all(|d| d.error > most), "{test:?}");
        let (count, figures) = (test.differences.len(), test.figures());
        let said = format!("{count} of {count} results differ from the processor's");
        assert!(figures.contains(&said), "{figures}");
    }

    #[test]
    fn what_is_wrong_is_said_with_figures() {
        let of = |what: &str, error| Difference { what: what.into(), error };
        let test = |error| SelfTest {
            differences: vec![of("prediction", 2e-6), of("gradient", error)],
            precision: Precision::F32,
        };
        assert!(test(9e-5).passes());
        let rounded = test(6.2e-4);
        assert!(!rounded.passes());
        assert_eq!(
            rounded.figures(),
            "1 of 2 results differ from the processor's by more than 1e-4, the gradient by 6.2e-4 of \
             its largest value"
        );
        let missing = test(f64::INFINITY);
        assert!(!missing.passes() && missing.figures().contains("the gradient is missing"));
    }

    #[test]
    fn zeros_and_nan_are_noticed() {
        let want = [1.0, -2.0];
        assert_eq!(relative_error(&[1.0, -2.5], &want), 0.25);
        assert_eq!(relative_error(&[0.0, 0.0], &want), 1.0);
        assert_eq!(relative_error(&[1.0, f32::NAN], &want), f64::INFINITY);
        assert_eq!(relative_error(&[], &want), f64::INFINITY);
    }
}
