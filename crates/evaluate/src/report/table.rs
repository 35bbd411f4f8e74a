//! A table for terminals.

use super::{best, metrics};
use crate::{encoder::Description, scores::Scores, statistics::Estimate};

/// A row for each method, and one for the photos among themselves: means with their
/// standard errors, the best of each column with a star. The last line names the
/// encoders.
pub fn lines(scores: &Scores) -> Vec<String> {
    let metrics = metrics(scores);
    let heading = metrics.iter().map(|metric| metric.name().to_owned());
    let mut rows = vec![["".to_owned()].into_iter().chain(heading).collect::<Vec<_>>()];
    for method in &scores.methods {
        let cell = |metric| {
            let top = best(scores.methods.iter().map(|m| &m.overall), metric);
            method.overall.get(&metric).map_or(String::new(), |e| cell(e, top))
        };
        let cells = metrics.iter().map(|&metric| cell(metric));
        rows.push([method.method.clone()].into_iter().chain(cells).collect());
    }
    let photos = metrics
        .iter()
        .map(|metric| scores.photos.get(metric).map_or(String::new(), |mean| format!("{mean:.4}")));
    rows.push(["photos among themselves".to_owned()].into_iter().chain(photos).collect());
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..=metrics.len()).map(|c| width(c).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let encoders: Vec<String> = scores.encoders.iter().map(Description::fingerprint).collect();
    let judges = format!("judged by {}", encoders.join(", "));
    rows.iter().map(line).chain([judges]).collect()
}

fn cell(estimate: &Estimate, top: Option<f64>) -> String {
    let star = if top == Some(estimate.mean) { " *" } else { "" };
    match estimate.standard_error {
        Some(error) => format!("{:.4} ± {error:.4}{star}", estimate.mean),
        None => format!("{:.4}{star}", estimate.mean),
    }
}
