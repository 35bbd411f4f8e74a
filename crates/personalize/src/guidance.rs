//! How strongly pictures are led.

use std::ops::RangeInclusive;

use crate::methods;

/// What a scale of guidance may be.
pub const SCALES: RangeInclusive<f64> = 0.0..=100.0;

/// How strongly pictures are led to the prompt and to the references: with `e(text, photos)`
/// the prediction from both, 0 standing for neither,
///
/// `e(0, 0) + reference (e(0, photos) - e(0, 0)) + text (e(text, photos) - e(0, photos))`
///
/// as InstructPix2Pix (Brooks et al. 2023, equation 3) has two scales. At `reference` 1, which
/// is ViCo's own guidance, `e(0, 0)` drops out; where both are the same it is
/// `e(0, photos)` that does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guidance {
    /// Scale of the prompt; 1 is none.
    pub text: f64,
    /// Scale of the references, for methods that look at some.
    pub reference: f64,
}

impl Guidance {
    /// The same for a method, which may look at no references.
    pub fn of(self, method: &str) -> Self {
        match methods::looks_at_references(method) {
            true => self,
            false => Self { reference: 1.0, ..self },
        }
    }

    /// Whether anything is predicted without the prompt.
    pub fn is_on(&self) -> bool {
        self.text != 1.0 || self.reference != 1.0
    }

    /// Predictions for a step of sampling with references.
    pub fn predictions(&self) -> usize {
        match *self {
            Self { text: 1.0, reference: 1.0 } => 1,
            Self { text, reference } if reference == 1.0 || reference == text => 2,
            _ => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predictions_that_drop_out_are_not_made() {
        for (text, reference, expected) in [
            (1.0, 1.0, 1),
            (7.5, 1.0, 2),
            (7.5, 7.5, 2),
            (7.5, 2.0, 3),
            (1.0, 2.0, 3),
            (0.0, 0.0, 2),
        ] {
            let guidance = Guidance { text, reference };
            assert_eq!(guidance.predictions(), expected, "{guidance:?}");
            assert_eq!(guidance.is_on(), expected > 1, "{guidance:?}");
        }
        let scales = Guidance { text: 3.0, reference: 2.0 };
        assert_eq!(scales.of("vico"), scales);
        assert_eq!(scales.of("dreambooth"), Guidance { reference: 1.0, ..scales });
    }
}
