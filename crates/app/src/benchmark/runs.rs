//! How the pictures of a cell came about, for the report.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use evaluate::report::{Curve, Run};
use serde_json::{Map, Value};

use super::cell::Cell;
use crate::{Error, Result, run_folder::METRICS};

/// Values of a step that are no curve of interest.
const LEFT_OUT: [&str; 2] = ["step", "gradient_norm"];

/// Points of a curve over all steps of a recipe; of more, means are taken.
const POINTS: u64 = 50;

/// Costs, curves and masks of a cell.
pub(super) fn run(cell: &Cell) -> Result<Run> {
    let costs = cell.costs()?;
    let run_dir = cell.run_dir();
    let learned = !cell.method().untrained;
    let drawn = costs.pictures > 0;
    Ok(Run {
        concept: cell.at.0,
        method: cell.at.1,
        training_seconds: Some(costs.training_seconds).filter(|_| learned),
        training_bytes: costs.training_bytes.filter(|_| learned),
        picture_seconds: drawn.then(|| costs.drawing_seconds / costs.pictures as f64),
        drawing_bytes: costs.drawing_bytes,
        curves: curves(&run_dir.join(METRICS), cell.recipe.steps)?,
        masks: newest(&run_dir.join("masks")),
    })
}

/// The values by name in a file with a line of JSON for each step and evaluation, of a
/// training of so many steps.
fn curves(path: &Path, steps: u64) -> Result<BTreeMap<String, Curve>> {
    let mut curves: BTreeMap<String, Curve> = BTreeMap::new();
    if !path.exists() {
        return Ok(curves);
    }
    let text = fs::read_to_string(path).map_err(|e| Error::path(path, e))?;
    for line in text.lines() {
        // The last line may be half written, if the run was killed.
        let Ok(values) = serde_json::from_str::<Map<String, Value>>(line) else { break };
        let Some(step) = values.get("step").and_then(Value::as_f64) else { continue };
        for (name, value) in &values {
            if let (false, Some(value)) = (LEFT_OUT.contains(&name.as_str()), value.as_f64()) {
                curves.entry(name.clone()).or_default().push([step, value]);
            }
        }
    }
    let share = steps.div_ceil(POINTS).max(1) as f64;
    curves.values_mut().for_each(|curve| *curve = coarse(curve, share));
    Ok(curves)
}

/// A curve with one point for each so many steps, the mean of what lies there: of two
/// trainings by one recipe points are of the same steps, even if one ended early.
fn coarse(curve: &[[f64; 2]], share: f64) -> Curve {
    let part = |point: &[f64; 2]| ((point[0] - 1.0) / share).floor();
    let mean = |points: &[[f64; 2]]| {
        let mean = |i: usize| points.iter().map(|p| p[i]).sum::<f64>() / points.len() as f64;
        [mean(0), mean(1)]
    };
    curve.chunk_by(|a, b| part(a) == part(b)).map(mean).collect()
}

/// The last file of a folder by name.
fn newest(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "png"))
        .max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_are_means_of_neighbouring_steps() {
        let curve: Curve = (1..=5).map(|i| [f64::from(i), f64::from(i * i)]).collect();
        assert_eq!(coarse(&curve, 1.0), curve);
        assert_eq!(coarse(&curve, 2.0), [[1.5, 2.5], [3.5, 12.5], [5.0, 25.0]]);
        let scores = vec![[50.0, 0.1], [100.0, 0.2]];
        assert_eq!(coarse(&scores, 8.0), scores);
        assert!(coarse(&[], 3.0).is_empty());
    }

    #[test]
    fn a_line_that_was_cut_off_ends_the_curves() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        fs::write(&path, "{\"step\":1,\"loss\":2.0,\"gradient_norm\":3.0}\n{\"step\":2,\"lo")
            .unwrap();
        let expected = BTreeMap::from([("loss".to_owned(), vec![[1.0, 2.0]])]);
        assert_eq!(curves(&path, 9).unwrap(), expected);
        assert!(curves(&dir.path().join("none"), 9).unwrap().is_empty());
    }
}
