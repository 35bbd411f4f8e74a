//! One page with everything on it, pictures included.

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use images::{Filter, jpeg, read_photo, resize};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Report, best, metrics, runs};
use crate::{
    Result,
    scores::{ConceptScores, Metric, PromptScores, Scores, Summary},
    statistics::Estimate,
};

/// Pixels along the longer side of a picture on the page.
const SIDE: usize = 160;

/// The same for a sheet of masks.
const WIDE: usize = 640;

/// Quality of their JPEG, of 100.
const QUALITY: u8 = 80;

/// The most drawn pictures on a page; of more, each prompt shows its first.
const MOST: usize = 1500;

const STYLE: &str = include_str!("style.css");

/// A self-contained page: it names no other file and no address.
///
/// # Errors
/// If a picture cannot be read.
pub fn html(report: &Report) -> Result<String> {
    let Report { title, version, study, scores, .. } = report;
    let concepts = (0..study.concepts.len()).map(|index| concept(report, index));
    let concepts = concepts.collect::<Result<Vec<_>>>()?;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (title) }
                p.lead { (subject(report)) }
                (overall(scores))
                (meaning(scores))
                (runs::costs(report))
                (runs::curves(report))
                @for concept in concepts { (concept) }
                h2 { "How it came about" }
                (recipe(report))
                footer { "vico " (version) }
            }
        }
    };
    Ok(page.into_string())
}

fn subject(report: &Report) -> String {
    let study = &report.study;
    let count = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
    let prompts: usize = study.concepts.iter().map(|concept| concept.prompts.len()).sum();
    [
        count(study.samples.len(), "picture"),
        count(study.concepts.len(), "concept"),
        count(prompts, "prompt"),
        count(study.methods.len(), "method"),
    ]
    .join(" · ")
}

/// The table of methods.
fn overall(scores: &Scores) -> Markup {
    let rows = scores.methods.iter().map(|m| (m.method.as_str(), &m.overall)).collect::<Vec<_>>();
    html! {
        div.scroll {
            table {
                (heading("Method", &metrics(scores)))
                tbody {
                    (rows_of(&rows, &metrics(scores)))
                    @if !scores.photos.is_empty() {
                        tr.reference {
                            th scope="row" { "photos among themselves" }
                            @for metric in metrics(scores) {
                                td { @if let Some(mean) = scores.photos.get(&metric) { (three(*mean)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn heading(first: &str, metrics: &[Metric]) -> Markup {
    html! {
        thead {
            tr {
                th scope="col" { (first) }
                @for metric in metrics { th scope="col" { (metric.name()) } }
            }
        }
    }
}

/// A row for each summary, the best of each column marked.
fn rows_of(rows: &[(&str, &Summary)], metrics: &[Metric]) -> Markup {
    html! {
        @for (name, summary) in rows {
            tr {
                th scope="row" { (name) }
                @for &metric in metrics {
                    @let top = best(rows.iter().map(|(_, summary)| *summary), metric);
                    (cell(summary.get(&metric), top))
                }
            }
        }
    }
}

fn cell(estimate: Option<&Estimate>, top: Option<f64>) -> Markup {
    let Some(estimate) = estimate else { return html! { td {} } };
    let is_best = top == Some(estimate.mean);
    html! {
        td.best[is_best] {
            span.mean { (three(estimate.mean)) @if is_best { span aria-label="best" { " ★" } } }
            @if let Some(error) = estimate.standard_error { " " small { "± " (three(error)) } }
            @if let Some([low, high]) = estimate.interval {
                br; small { (three(low)) " to " (three(high)) }
            }
        }
    }
}

fn three(value: f64) -> String {
    format!("{value:.3}")
}

/// What the columns are.
fn meaning(scores: &Scores) -> Markup {
    let space = scores.space.name();
    let text = |metric: Metric| match metric {
        Metric::ClipImage => "likeness to the photos for CLIP: mean cosine over all pairs of a \
                              drawn picture and a photo"
            .to_owned(),
        Metric::DinoImage => {
            "the same for DINO, which tells individual things apart better".to_owned()
        }
        Metric::ClipText => format!(
            "likeness to the prompt for CLIP, {}",
            match scores.convention.name() {
                "class" => "the class word in place of the object (as in DreamBench)",
                _ => "the object left out (as ViCo does)",
            }
        ),
        Metric::Diversity => {
            format!("mean distance (one less the cosine) of two samples of a prompt, for {space}")
        }
        Metric::Copy => format!(
            "likeness to the one photo that is most alike, for {space}: near 1 a photo was copied"
        ),
    };
    html! {
        dl {
            @for metric in metrics(scores) { dt { (metric.name()) } dd { (text(metric)) } }
            dt { "± and range" } dd { "standard error; " (scores.intervals) }
        }
    }
}

/// What was drawn of a concept, beside its photos.
fn concept(report: &Report, index: usize) -> Result<Markup> {
    let Report { study, scores, .. } = report;
    let concept = &study.concepts[index];
    let photos = concept.photos.iter().map(|photo| picture(photo, &concept.name, None));
    let photos = photos.collect::<Result<Vec<_>>>()?;
    let methods: Vec<(&str, &ConceptScores)> = scores
        .methods
        .iter()
        .filter_map(|m| Some((m.method.as_str(), m.concepts.iter().find(|c| c.index == index)?)))
        .collect();
    let rows: Vec<_> = methods.iter().map(|(name, c)| (*name, &c.overall)).collect();
    let metrics = metrics(scores);
    let prompts = (0..concept.prompts.len()).map(|prompt| sheet(report, &methods, prompt));
    let prompts = prompts.collect::<Result<Vec<_>>>()?;
    let masks = masks(report, index)?;
    Ok(html! {
        section {
            h2 { (concept.name) }
            div.pictures.photos { @for photo in photos { (photo) } }
            // Of a single concept it would be the table of methods once more.
            @if study.concepts.len() > 1 {
                div.scroll {
                    table { (heading("Method", &metrics)) tbody { (rows_of(&rows, &metrics)) } }
                }
            }
            details {
                summary { "Scores of each prompt" }
                div.scroll {
                    table {
                        (heading("Prompt", &metrics))
                        tbody { (prompt_rows(&methods, concept.prompts.len(), &metrics)) }
                    }
                }
            }
            @for prompt in prompts { (prompt) }
            (masks)
        }
    })
}

fn find(concept: &ConceptScores, prompt: usize) -> Option<&PromptScores> {
    concept.prompts.iter().find(|scores| scores.index == prompt)
}

fn prompt_rows(methods: &[(&str, &ConceptScores)], prompts: usize, metrics: &[Metric]) -> Markup {
    let rows = |prompt: usize| {
        let row = |(method, concept): &(&str, &'_ ConceptScores)| {
            let scores = find(concept, prompt)?;
            let name = match methods.len() {
                1 => scores.prompt.clone(),
                _ => format!("{} · {method}", scores.prompt),
            };
            Some((name, scores.overall.clone()))
        };
        methods.iter().filter_map(row).collect::<Vec<_>>()
    };
    html! {
        @for prompt in 0..prompts {
            @let rows = rows(prompt);
            (rows_of(&rows.iter().map(|(n, s)| (n.as_str(), s)).collect::<Vec<_>>(), metrics))
        }
    }
}

/// The pictures of a prompt, method by method.
fn sheet(report: &Report, methods: &[(&str, &ConceptScores)], prompt: usize) -> Result<Markup> {
    let cells: usize =
        report.study.concepts.iter().map(|c| c.prompts.len()).sum::<usize>() * methods.len();
    let shown = (MOST / cells.max(1)).max(1);
    let mut strips = Vec::new();
    for (method, concept) in methods {
        let Some(scores) = find(concept, prompt) else { continue };
        let samples = scores.samples.iter().take(shown);
        let pictures = samples.map(|sample| {
            let caption: Vec<String> = sample
                .scores
                .iter()
                .map(|(metric, value)| format!("{} {value:.3}", metric.name()))
                .collect();
            picture(&sample.file, &scores.prompt, Some(&caption.join(", ")))
        });
        let left = scores.samples.len().saturating_sub(shown);
        strips.push((*method, pictures.collect::<Result<Vec<_>>>()?, left, &scores.prompt));
    }
    let Some((.., text)) = strips.first() else { return Ok(html! {}) };
    Ok(html! {
        h3 { (text) }
        div.strips {
            @for (method, pictures, left, _) in &strips {
                div {
                    @if report.study.methods.len() > 1 { h4 { (method) } }
                    div.pictures { @for picture in pictures { (picture) } }
                    @if *left > 0 { p.more { "and " (left) " more" } }
                }
            }
        }
    })
}

/// What each method took for the object.
fn masks(report: &Report, concept: usize) -> Result<Markup> {
    let runs = report.runs.iter().filter(|run| run.concept == concept);
    let shown =
        runs.filter_map(|run| Some((&report.study.methods[run.method], run.masks.as_ref()?)));
    let masks = shown.map(|(method, path)| Ok((method, small(path, "masks", None, WIDE)?)));
    let masks = masks.collect::<Result<Vec<_>>>()?;
    Ok(html! {
        @if !masks.is_empty() {
            details {
                summary { "What was taken for the object" }
                div.strips.masks {
                    @for (method, picture) in masks { div { h4 { (method) } (picture) } }
                }
            }
        }
    })
}

/// A picture on the page itself.
fn picture(path: &Path, what: &str, caption: Option<&str>) -> Result<Markup> {
    small(path, what, caption, SIDE)
}

/// A picture on the page itself, at most so many pixels wide and high.
fn small(path: &Path, what: &str, caption: Option<&str>, most: usize) -> Result<Markup> {
    let picture = read_photo(path)?;
    let (width, height) = (picture.width(), picture.height());
    let share = (most as f64 / width.max(height) as f64).min(1.0);
    let side = |old: usize| ((old as f64 * share).round() as usize).max(1);
    let small = resize(&picture, side(width), side(height), Filter::Lanczos);
    let data = format!("data:image/jpeg;base64,{}", STANDARD.encode(jpeg(&small, QUALITY)));
    Ok(html! {
        img src=(data) width=(small.width()) height=(small.height()) alt=(what) title=[caption] loading="lazy";
    })
}

fn recipe(report: &Report) -> Markup {
    let encoders = report.scores.encoders.iter().map(|encoder| {
        let file = format!("{} (SHA-256 {})", encoder.file.display(), encoder.sha256);
        (encoder.name.clone(), file)
    });
    let seconds = report.seconds.iter().map(|(part, s)| (part.clone(), format!("{s:.1} s")));
    let rows = report.recipe.iter().cloned().chain(encoders).chain(seconds);
    html! {
        div.scroll {
            table.recipe {
                tbody { @for (name, value) in rows { tr { th scope="row" { (name) } td { (value) } } } }
            }
        }
    }
}
