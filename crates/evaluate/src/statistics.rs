//! How far a mean can be trusted.

use engine::rng::TorchRng;
use serde::{Deserialize, Serialize};

/// Something that would come out differently if all were done again: a sum over so many
/// values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unit {
    /// Sum of the values.
    pub sum: f64,
    /// Number of values.
    pub count: usize,
}

/// A mean and how far it can be trusted.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Its standard error, if there is more than one unit.
    pub standard_error: Option<f64>,
    /// The 95 % bootstrap interval (Efron 1979, by percentiles), if there is more than one
    /// unit.
    pub interval: Option<[f64; 2]>,
    /// Number of values it is the mean of.
    pub count: usize,
}

/// Resamples of a bootstrap.
pub const RESAMPLES: usize = 1000;

impl Estimate {
    /// Of groups of units: the mean over the groups of the mean over a group's values.
    ///
    /// The bootstrap draws groups with replacement, and units with replacement in each; of
    /// a single group, units. The standard error is that of the means of groups; of a
    /// single group, that of a mean over units of several values (a ratio estimate,
    /// Cochran 1977, chapter 2). The same `seed` and `name` give the same interval.
    ///
    /// `None` without any value.
    pub fn of(groups: &[Vec<Unit>], seed: u64, name: &str) -> Option<Self> {
        let groups: Vec<Vec<Unit>> = groups
            .iter()
            .map(|group| group.iter().copied().filter(|unit| unit.count > 0).collect())
            .filter(|group: &Vec<Unit>| !group.is_empty())
            .collect();
        let means: Vec<f64> = groups.iter().map(|group| mean(group)).collect();
        let standard_error = match groups.as_slice() {
            [] => return None,
            [only] => error_of_ratio(only),
            _ => error_of_mean(&means),
        };
        let interval = standard_error.map(|_| interval(&groups, &mut TorchRng::derive(seed, name)));
        Some(Self {
            mean: average(&means),
            standard_error,
            interval,
            count: groups.iter().flatten().map(|unit| unit.count).sum(),
        })
    }
}

fn average(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn mean(units: &[Unit]) -> f64 {
    let sum: f64 = units.iter().map(|unit| unit.sum).sum();
    sum / units.iter().map(|unit| unit.count).sum::<usize>() as f64
}

fn error_of_mean(values: &[f64]) -> Option<f64> {
    let units: Vec<Unit> = values.iter().map(|&sum| Unit { sum, count: 1 }).collect();
    error_of_ratio(&units)
}

fn error_of_ratio(units: &[Unit]) -> Option<f64> {
    let n = units.len() as f64;
    if units.len() < 2 {
        return None;
    }
    let mean = mean(units);
    let count: usize = units.iter().map(|unit| unit.count).sum();
    let squares = units.iter().map(|unit| (unit.sum - mean * unit.count as f64).powi(2));
    Some((squares.sum::<f64>() * n / (n - 1.0)).sqrt() / count as f64)
}

fn interval(groups: &[Vec<Unit>], rng: &mut TorchRng) -> [f64; 2] {
    let mut drawn = |count: usize| {
        rng.randint(0, count as i64, count).into_iter().map(|i| i as usize).collect::<Vec<_>>()
    };
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let chosen = if groups.len() > 1 { drawn(groups.len()) } else { vec![0] };
            let mut of_group = |&g: &usize| {
                let units: Vec<Unit> =
                    drawn(groups[g].len()).into_iter().map(|i| groups[g][i]).collect();
                mean(&units)
            };
            average(&chosen.iter().map(&mut of_group).collect::<Vec<_>>())
        })
        .collect();
    means.sort_by(f64::total_cmp);
    [percentile(&means, 0.025), percentile(&means, 0.975)]
}

/// Of sorted values, linear between neighbours.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ones(values: &[f64]) -> Vec<Unit> {
        values.iter().map(|&sum| Unit { sum, count: 1 }).collect()
    }

    #[test]
    fn of_plain_values_the_usual_error() {
        let values = [0.5, 0.7, 0.6, 0.9];
        let estimate = Estimate::of(&[ones(&values)], 0, "x").unwrap();
        // Standard deviation .1707825 over the square root of 4.
        assert!((estimate.mean - 0.675).abs() < 1e-12);
        assert!((estimate.standard_error.unwrap() - 0.0853913).abs() < 1e-6);
        let [low, high] = estimate.interval.unwrap();
        assert!((0.5..0.6).contains(&low) && (0.75..0.9).contains(&high), "{low} {high}");
        assert_eq!(estimate, Estimate::of(&[ones(&values)], 0, "x").unwrap());
        let many: Vec<f64> = (0..20).map(|i| f64::from(i * i)).collect();
        let other = |seed| Estimate::of(&[ones(&many)], seed, "x").unwrap().interval;
        assert_ne!(other(0), other(1));
    }

    #[test]
    fn values_weigh_the_same_in_a_group_and_groups_in_the_mean() {
        let group = vec![Unit { sum: 3.0, count: 3 }, Unit { sum: 0.0, count: 1 }];
        let alone = Estimate::of(std::slice::from_ref(&group), 0, "x").unwrap();
        assert_eq!((alone.mean, alone.count), (0.75, 4));
        let both = Estimate::of(&[group, ones(&[0.25])], 0, "x").unwrap();
        assert_eq!((both.mean, both.count), (0.5, 5));
        assert_eq!(both.standard_error, Some(0.25));
    }

    #[test]
    fn one_unit_tells_nothing_of_its_error() {
        let one = Estimate::of(&[ones(&[0.5])], 0, "x").unwrap();
        assert_eq!((one.standard_error, one.interval), (None, None));
        assert_eq!(Estimate::of(&[Vec::new()], 0, "x"), None);
    }

    /// Where two groups differ more than their units, the interval must show it.
    #[test]
    fn groups_are_drawn_too() {
        let groups = [ones(&[0.1, 0.1, 0.1]), ones(&[0.9, 0.9, 0.9])];
        let [low, high] = Estimate::of(&groups, 0, "x").unwrap().interval.unwrap();
        assert!((low - 0.1).abs() < 1e-9 && (high - 0.9).abs() < 1e-9, "{low} {high}");
    }
}
