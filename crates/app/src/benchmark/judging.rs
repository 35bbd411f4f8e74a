//! Scores of what is drawn, and the report.

use std::{collections::BTreeMap, path::Path};

use evaluate::{
    Encoder, Features, Study,
    report::{self, Report},
    study::{Concept, Sample},
};
use personalize::PLACEHOLDER;

use super::{Options, cell::Cell, features, plan::Plan, runs};
use crate::{Compute, Error, Events, Result, VERSION, evaluate::Encoders};

/// Judges the cells that are done, writes the report, and answers the table of methods.
///
/// # Errors
/// If no cell is done, or something cannot be read or written.
pub(super) fn report(
    all: &[Cell],
    encoders: &Encoders,
    options: &Options,
    output: &Path,
    compute: &Compute,
    events: &mut dyn Events,
) -> Result<Vec<String>> {
    let done: Vec<&Cell> = all.iter().filter(|cell| cell.is_done()).collect();
    let Some(first) = done.first() else {
        return Err(Error::path(output, "no cell is done: there is nothing to judge yet"));
    };
    if done.len() < all.len() {
        events.note(format!(
            "the report is of the {} cells of {} that are done",
            done.len(),
            all.len()
        ));
    }
    let study = study(first.plan, &done);
    let mut seconds = costs(&done)?;
    let convention = first.plan.judging.convention;
    let look =
        |study: &Study, encoder: &Encoder, texts: &[Vec<String>], events: &mut dyn Events| {
            look(&done, study, encoder, texts, events)
        };
    let scores = encoders.score(&study, convention, &look, &mut seconds, compute, events)?;
    let lines = report::lines(&scores);
    let name = options.plan.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let report = Report {
        title: format!("Benchmark {name}"),
        version: VERSION.into(),
        recipe: recipe(&done, all.len()),
        seconds,
        runs: done.iter().map(|cell| runs::run(cell)).collect::<Result<_>>()?,
        study,
        scores,
    };
    report.write(output)?;
    let files = [report::JSON, report::CSV, report::HTML];
    files.iter().for_each(|name| events.wrote(&output.join(name)));
    Ok(lines)
}

/// What is judged. Concepts and methods are those of the plan, done or not.
fn study(plan: &Plan, done: &[&Cell]) -> Study {
    let concept = |concept: &super::plan::Concept| Concept {
        name: concept.name.clone(),
        photos: concept.photos.clone(),
        prompts: concept.prompts.clone(),
        placeholder: PLACEHOLDER.into(),
        class_word: Some(concept.class.clone()),
    };
    let samples = |cell: &&Cell| {
        let (concept, method) = cell.at;
        let files = cell.pictures().into_iter().enumerate();
        let files = files.flat_map(|(prompt, files)| files.into_iter().map(move |f| (prompt, f)));
        let sample = |(prompt, file)| Sample { concept, method, prompt, file };
        files.map(sample).collect::<Vec<_>>()
    };
    Study {
        concepts: plan.concepts.iter().map(concept).collect(),
        methods: plan.methods.iter().map(|method| method.name.clone()).collect(),
        samples: done.iter().flat_map(samples).collect(),
    }
}

/// Photos, pictures and texts in the space of an encoder.
fn look(
    done: &[&Cell],
    study: &Study,
    encoder: &Encoder,
    texts: &[Vec<String>],
    events: &mut dyn Events,
) -> Result<Features> {
    let samples = features::of_cells(done, encoder, events)?.into_iter().flatten().collect();
    Ok(Features::around(samples, study, encoder, texts)?)
}

/// Seconds of all cells together.
fn costs(done: &[&Cell]) -> Result<BTreeMap<String, f64>> {
    let (mut training, mut drawing) = (0.0, 0.0);
    for cell in done {
        let costs = cell.costs()?;
        training += costs.training_seconds;
        drawing += costs.drawing_seconds;
    }
    Ok(BTreeMap::from([("training".to_owned(), training), ("drawing".to_owned(), drawing)]))
}

/// What was done, as names and values.
fn recipe(done: &[&Cell], all: usize) -> Vec<(String, String)> {
    let plan = done[0].plan;
    let drawing = &plan.drawing;
    let mut rows = vec![
        ("cells".to_owned(), format!("{} of {all}", done.len())),
        ("base model".to_owned(), plan.base.display().to_string()),
        ("seed".to_owned(), plan.seed.to_string()),
        ("drawing".to_owned(), drawing.text()),
        ("prompts compared".to_owned(), plan.judging.convention.name().to_owned()),
    ];
    for method in &plan.methods {
        let Some(cell) = done.iter().find(|cell| cell.method().name == method.name) else {
            continue;
        };
        rows.push((method.name.clone(), cell.recipe_text()));
    }
    rows
}
