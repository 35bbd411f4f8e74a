//! What a study came to, for eyes and for programs.

mod chart;
mod html;
mod runs;
mod table;

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    Error, Result, Study,
    scores::{ConceptScores, MethodScores, Metric, PromptScores, SampleScores, Scores, Summary},
};

pub use html::html;
pub use runs::{Curve, Run};
pub use table::lines;

/// A study with its scores and how they came about: all that a report shows.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Report {
    /// The heading.
    pub title: String,
    /// Version of the program.
    pub version: String,
    /// What was done, as names and values.
    pub recipe: Vec<(String, String)>,
    /// Seconds of each part of the work.
    pub seconds: BTreeMap<String, f64>,
    /// What was judged.
    pub study: Study,
    /// The scores.
    pub scores: Scores,
    /// How the pictures came about, if that is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<Run>,
}

impl Report {
    /// Writes `scores.json`, `scores.csv` and `report.html` into a folder that exists.
    ///
    /// # Errors
    /// If a picture cannot be read again, or a file not be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let json = serde_json::to_string_pretty(self)
            .map_err(|e| Error::encoder(folder.join(JSON), format!("cannot be written: {e}")))?;
        let files = [(JSON, json.into_bytes()), (CSV, csv(self)), (HTML, html(self)?.into())];
        for (name, bytes) in files {
            formats::atomic_write(folder.join(name), |file| file.write_all(&bytes))?;
        }
        Ok(())
    }
}

/// Names of the files of a report.
pub const JSON: &str = "scores.json";
/// One line a score.
pub const CSV: &str = "scores.csv";
/// The page.
pub const HTML: &str = "report.html";

/// One line a score: of each method overall, of each of its concepts, their prompts and
/// their samples; one for each cost of a run, and for each step of a method's curves, which
/// are means over the concepts.
pub fn csv(report: &Report) -> Vec<u8> {
    let mut lines = Lines::new(&report.scores);
    for MethodScores { method, overall, concepts } in &report.scores.methods {
        lines.estimates(["overall", method, "", ""], overall);
        for ConceptScores { concept, overall, prompts, .. } in concepts {
            lines.estimates(["concept", method, concept, ""], overall);
            for PromptScores { prompt, overall, samples, .. } in prompts {
                lines.estimates(["prompt", method, concept, prompt], overall);
                for SampleScores { file, scores } in samples {
                    for (metric, mean) in scores {
                        let file = file.display().to_string();
                        let encoder = lines.encoder(*metric);
                        let mean = mean.to_string();
                        let value = [metric.name(), &mean, "", "", "", "1", &encoder, ""];
                        lines.put(&["sample", method, concept, prompt, &file], &value);
                    }
                }
            }
        }
    }
    let Report { study, runs, .. } = report;
    for run in runs {
        let (method, concept) = (&study.methods[run.method], &study.concepts[run.concept].name);
        for cost in &runs::COSTS {
            let Some(value) = (cost.of)(run) else { continue };
            let value = [cost.name, &value.to_string(), "", "", "", "1", "", ""];
            lines.put(&["run", method, concept, "", ""], &value);
        }
    }
    for name in runs::names(report) {
        for (index, method) in study.methods.iter().enumerate() {
            let (curve, count) = runs::mean(report, index, name);
            let count = count.to_string();
            for [step, mean] in curve.iter().map(|point| point.map(|value| value.to_string())) {
                let value = [name, &mean, "", "", "", &count, "", &step];
                lines.put(&["curve", method, "", "", ""], &value);
            }
        }
    }
    lines.text
}

/// Lines of a CSV (RFC 4180, but for line feeds alone at their ends).
struct Lines<'a> {
    scores: &'a Scores,
    writer: csv_core::Writer,
    text: Vec<u8>,
}

/// What the columns are: what is scored, and its score.
const WHAT: [&str; 5] = ["level", "method", "concept", "prompt", "file"];
const SCORE: [&str; 8] =
    ["metric", "mean", "standard_error", "low", "high", "count", "encoder", "step"];

impl<'a> Lines<'a> {
    fn new(scores: &'a Scores) -> Self {
        let mut lines = Self { scores, writer: csv_core::Writer::new(), text: Vec::new() };
        lines.put(&WHAT, &SCORE);
        lines
    }

    fn estimates(&mut self, [level, method, concept, prompt]: [&str; 4], summary: &Summary) {
        let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
        for (metric, estimate) in summary {
            let [low, high] = [0, 1].map(|end| estimate.interval.map(|interval| interval[end]));
            let numbers = [Some(estimate.mean), estimate.standard_error, low, high].map(number);
            let [mean, error, low, high] = &numbers;
            let (count, encoder) = (estimate.count.to_string(), self.encoder(*metric));
            let score = [metric.name(), mean, error, low, high, &count, &encoder, ""];
            self.put(&[level, method, concept, prompt, ""], &score);
        }
    }

    fn encoder(&self, metric: Metric) -> String {
        self.scores.encoder(metric).fingerprint()
    }

    fn put(&mut self, what: &[&str; 5], score: &[&str; 8]) {
        for (i, field) in what.iter().chain(score).enumerate() {
            // A quoted field is at most twice as long, with a quote at either end and what
            // separates it from the one before.
            let start = self.text.len();
            self.text.resize(start + 2 * field.len() + 4, 0);
            let mut room = &mut self.text[start..];
            let mut written = 0;
            if i > 0 {
                let (_, n) = self.writer.delimiter(room);
                (room, written) = (&mut room[n..], n);
            }
            let (_, _, n) = self.writer.field(field.as_bytes(), room);
            self.text.truncate(start + written + n);
        }
        let start = self.text.len();
        self.text.resize(start + 4, 0);
        let (_, n) = self.writer.terminator(&mut self.text[start..]);
        self.text.truncate(start + n);
    }
}

/// The metrics that were measured.
fn metrics(scores: &Scores) -> Vec<Metric> {
    let has = |metric: &Metric| scores.methods.iter().any(|m| m.overall.contains_key(metric));
    Metric::ALL.into_iter().filter(has).collect()
}

/// The largest mean of a metric among summaries, where there is a choice.
fn best<'a>(summaries: impl Iterator<Item = &'a Summary>, metric: Metric) -> Option<f64> {
    let means: Vec<f64> = summaries.filter_map(|s| Some(s.get(&metric)?.mean)).collect();
    let choice = metric.more_is_better() && means.len() > 1;
    means.into_iter().filter(|_| choice).reduce(f64::max)
}
