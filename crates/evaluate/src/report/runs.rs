//! How the pictures of a benchmark came about: costs, curves and masks.

use std::{collections::BTreeMap, path::PathBuf};

use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use super::{Report, chart::chart};
use crate::scores::Metric;

/// Steps with values.
pub type Curve = Vec<[f64; 2]>;

/// One concept learned by one method.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Run {
    /// Index of the concept in the study.
    pub concept: usize,
    /// Index of the method.
    pub method: usize,
    /// Seconds of its training, if something was learned.
    pub training_seconds: Option<f64>,
    /// The most memory of the training, bytes, where that is known.
    pub training_bytes: Option<u64>,
    /// Seconds of drawing a picture.
    pub picture_seconds: Option<f64>,
    /// The most memory of drawing, bytes.
    pub drawing_bytes: Option<u64>,
    /// By name, what was measured on the way, such as `loss`.
    pub curves: BTreeMap<String, Curve>,
    /// A picture of what was taken for the object.
    pub masks: Option<PathBuf>,
}

/// A cost of a run: its name in files, its heading, and where it stands.
pub(super) struct Cost {
    pub name: &'static str,
    heading: &'static str,
    pub of: fn(&Run) -> Option<f64>,
    /// Of several runs the largest counts, not the mean.
    most: bool,
    text: fn(f64) -> String,
}

/// All of them.
pub(super) const COSTS: [Cost; 4] = [
    Cost {
        name: "training_seconds",
        heading: "Training",
        of: |run| run.training_seconds,
        most: false,
        text: seconds,
    },
    Cost {
        name: "training_bytes",
        heading: "Memory, at most",
        of: |run| run.training_bytes.map(|bytes| bytes as f64),
        most: true,
        text: bytes,
    },
    Cost {
        name: "picture_seconds",
        heading: "A picture",
        of: |run| run.picture_seconds,
        most: false,
        text: seconds,
    },
    Cost {
        name: "drawing_bytes",
        heading: "Memory, at most",
        of: |run| run.drawing_bytes.map(|bytes| bytes as f64),
        most: true,
        text: bytes,
    },
];

/// What each method takes, means over the concepts.
pub(super) fn costs(report: &Report) -> Markup {
    let known = COSTS.iter().any(|cost| report.runs.iter().any(|run| (cost.of)(run).is_some()));
    if !known {
        return html! {};
    }
    html! {
        h2 { "What it takes" }
        div.scroll {
            table {
                thead {
                    tr {
                        th scope="col" { "Method" }
                        @for cost in &COSTS { th scope="col" { (cost.heading) } }
                    }
                }
                tbody {
                    @for (index, method) in report.study.methods.iter().enumerate() {
                        tr {
                            th scope="row" { (method) }
                            @for cost in &COSTS { td { (over(report, index, cost)) } }
                        }
                    }
                }
            }
        }
        p.more { "Means over the concepts; of memory, all that the process had." }
    }
}

fn over(report: &Report, method: usize, cost: &Cost) -> String {
    let runs = report.runs.iter().filter(|run| run.method == method);
    let values: Vec<f64> = runs.filter_map(cost.of).collect();
    let all = match cost.most {
        true => values.iter().copied().reduce(f64::max),
        false => (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64),
    };
    all.map_or("–".to_owned(), cost.text)
}

fn seconds(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{seconds:.2} s"),
        10..100 => format!("{seconds:.0} s"),
        100..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

fn bytes(bytes: f64) -> String {
    match bytes {
        ..1e9 => format!("{:.0} MB", bytes / 1e6),
        _ => format!("{:.1} GB", bytes / 1e9),
    }
}

/// The names of all curves, sorted.
pub(super) fn names(report: &Report) -> Vec<&String> {
    let mut names: Vec<&String> = report.runs.iter().flat_map(|run| run.curves.keys()).collect();
    names.sort();
    names.dedup();
    names
}

/// A drawing for each thing that was measured on the way, a line for each method.
pub(super) fn curves(report: &Report) -> Markup {
    let names = names(report);
    if names.is_empty() {
        return html! {};
    }
    let lines = |name: &String| {
        let methods = report.study.methods.iter().enumerate();
        let line = |(i, method): (usize, &'_ String)| {
            let (curve, _) = mean(report, i, name);
            (!curve.is_empty()).then(|| (i, method.clone(), curve))
        };
        methods.filter_map(line).collect::<Vec<_>>()
    };
    let scored = Metric::ALL.iter().any(|m| names.iter().any(|name| *name == m.name()));
    html! {
        h2 { "On the way" }
        p.more {
            "Means over the concepts, by step of the training, as far as all of a method's trainings \
             went."
            @if scored {
                " Scores on the way are those of a few pictures, by the encoders that the trainings \
                 had."
            }
        }
        div.charts {
            @for name in names {
                @let lines = lines(name);
                (chart(name, &lines.iter().map(|(i, m, c)| (*i, m.as_str(), c.clone())).collect::<Vec<_>>()))
            }
        }
    }
}

/// The mean over the concepts of a method's curve, step by step, and over how many. It ends
/// where the first of them does: a mean over those that went on would be of other concepts.
pub(super) fn mean(report: &Report, method: usize, name: &str) -> (Curve, usize) {
    let runs = report.runs.iter().filter(|run| run.method == method);
    let curves: Vec<&Curve> = runs.filter_map(|run| run.curves.get(name)).collect();
    let shortest = curves.iter().map(|curve| curve.len()).min().unwrap_or(0);
    let point = |i: usize| {
        let sum = |axis: usize| curves.iter().map(|curve| curve[i][axis]).sum::<f64>();
        [0, 1].map(|axis| sum(axis) / curves.len() as f64)
    };
    ((0..shortest).map(point).collect(), curves.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Study, prompts::Convention, scores::Scores};

    fn report(runs: Vec<Run>) -> Report {
        let scores = Scores {
            encoders: Vec::new(),
            convention: Convention::Omit,
            space: crate::encoder::Family::Clip,
            intervals: String::new(),
            photos: BTreeMap::new(),
            methods: Vec::new(),
        };
        let study = Study { methods: vec!["a".into(), "b".into()], ..Study::default() };
        Report {
            title: String::new(),
            version: String::new(),
            recipe: Vec::new(),
            seconds: BTreeMap::new(),
            study,
            scores,
            runs,
        }
    }

    fn run(method: usize, seconds: f64, bytes: u64, last: f64) -> Run {
        Run {
            method,
            training_seconds: Some(seconds),
            training_bytes: Some(bytes),
            curves: BTreeMap::from([("loss".to_owned(), vec![[1.0, 1.0], [2.0, last]])]),
            ..Run::default()
        }
    }

    #[test]
    fn seconds_are_means_and_memory_is_the_most() {
        let report = report(vec![run(1, 100.0, 3_000_000, 3.0), run(1, 140.0, 2_000_000_000, 5.0)]);
        assert_eq!(over(&report, 1, &COSTS[0]), "2 min 00 s");
        assert_eq!(over(&report, 1, &COSTS[1]), "2.0 GB");
        assert_eq!(over(&report, 0, &COSTS[0]), "–");
        assert_eq!(mean(&report, 1, "loss"), (vec![[1.0, 1.0], [2.0, 4.0]], 2));
        assert_eq!(mean(&report, 0, "loss"), (Vec::new(), 0));
        let page = costs(&report).into_string() + &curves(&report).into_string();
        assert_eq!(page.matches("<polyline").count(), 1);
        assert!(!page.contains("Scores on the way"), "{page}");
    }

    #[test]
    fn a_mean_ends_with_the_shortest_of_its_curves() {
        let with = |scores: &[f64]| {
            let points =
                scores.iter().enumerate().map(|(i, score)| [10.0 * (i + 1) as f64, *score]);
            let curves = BTreeMap::from([("T_CLIP".to_owned(), points.collect())]);
            Run { curves, ..run(0, 1.0, 1, 1.0) }
        };
        let report = report(vec![with(&[0.1, 0.2, 0.9]), with(&[0.3, 0.4])]);
        let (curve, count) = mean(&report, 0, "T_CLIP");
        assert_eq!((curve.len(), count), (2, 2));
        assert!(
            curve
                .iter()
                .zip([[10.0, 0.2], [20.0, 0.3]])
                .all(|(a, b)| { a[0] == b[0] && (a[1] - b[1]).abs() < 1e-12 })
        );
        assert!(curves(&report).into_string().contains("Scores on the way"));
    }

    #[test]
    fn without_runs_nothing_is_said() {
        let report = report(Vec::new());
        assert_eq!(costs(&report).into_string() + &curves(&report).into_string(), "");
    }
}
