//! The scores of a study.
//!
//! Similarities are cosines of features. Those to photos are means over all pairs of a
//! drawn picture and a photo, as in DreamBooth (Ruiz et al. 2022, arXiv 2208.12242).

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    Result,
    encoder::{Description, Family},
    features::Features,
    prompts::Convention,
    statistics::{Estimate, RESAMPLES, Unit},
    study::{Concept, Study},
};

/// What is measured.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Metric {
    /// Likeness to the photos in CLIP's space.
    #[serde(rename = "I_CLIP")]
    ClipImage,
    /// Likeness to the photos in DINO's space.
    #[serde(rename = "I_DINO")]
    DinoImage,
    /// Likeness to the prompt in CLIP's space.
    #[serde(rename = "T_CLIP")]
    ClipText,
    /// Mean distance, one less the cosine, between two samples of a prompt.
    #[serde(rename = "diversity")]
    Diversity,
    /// Likeness to the one photo that is most alike.
    #[serde(rename = "copy")]
    Copy,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::ClipImage, Self::DinoImage, Self::ClipText, Self::Diversity, Self::Copy];

    /// As papers and files name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClipImage => "I_CLIP",
            Self::DinoImage => "I_DINO",
            Self::ClipText => "T_CLIP",
            Self::Diversity => "diversity",
            Self::Copy => "copy",
        }
    }

    /// More is better. A high likeness to one photo is neither good nor bad in itself:
    /// it may be the object, or a copied photo.
    pub fn more_is_better(self) -> bool {
        self != Self::Copy
    }
}

/// Means by metric.
pub type Summary = BTreeMap<Metric, Estimate>;

/// One number for likeness to the photos and to the prompts, from -1 to 1: the geometric
/// mean of I_DINO (of I_CLIP without a DINO) and T_CLIP; where one of them is below 0, the
/// lower one, so that it rises with both everywhere. `None` if one was not measured.
///
/// Either likeness alone is best where the other is worst: copies of a photo, or pictures
/// without the thing. DreamBench++ (Peng et al. 2024, arXiv 2406.16855) takes the product of
/// the two for its one number; the root ranks alike and reads as a similarity. In a product
/// both count by their relative change, although T_CLIP varies in a much smaller range.
pub fn balance(summary: &Summary) -> Option<f64> {
    let mean = |metric| summary.get(&metric).map(|estimate| estimate.mean);
    let photos = mean(Metric::DinoImage).or(mean(Metric::ClipImage))?;
    let prompts = mean(Metric::ClipText)?;
    let lower = photos.min(prompts);
    Some(if lower > 0.0 { (photos * prompts).sqrt() } else { lower })
}

/// All scores of a study.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Scores {
    /// The encoders.
    pub encoders: Vec<Description>,
    /// What of a prompt a picture is compared with.
    pub convention: Convention,
    /// The encoder in whose space diversity and likeness to one photo are measured.
    pub space: Family,
    /// What the intervals are.
    pub intervals: String,
    /// Likeness of the photos to each other, for comparison: the mean over concepts of the
    /// mean over pairs of different photos.
    pub photos: BTreeMap<Metric, f64>,
    /// By method, in the order of the study.
    pub methods: Vec<MethodScores>,
}

impl Scores {
    /// The encoder that a metric was measured with.
    ///
    /// # Panics
    /// If it was measured with none.
    pub fn encoder(&self, metric: Metric) -> &Description {
        let fits = |encoder: &&Description| match metric {
            Metric::ClipImage | Metric::ClipText => encoder.family == Family::Clip,
            Metric::DinoImage => encoder.family != Family::Clip,
            Metric::Diversity | Metric::Copy => encoder.family == self.space,
        };
        self.encoders.iter().find(fits).expect("a metric that was measured")
    }
}

/// Scores of a method.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct MethodScores {
    /// Its name.
    pub method: String,
    /// Over all concepts.
    pub overall: Summary,
    /// By concept, in the order of the study; without those it drew nothing of.
    pub concepts: Vec<ConceptScores>,
}

/// Scores of a method on a concept.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ConceptScores {
    /// Index of the concept in the study.
    #[serde(skip)]
    pub index: usize,
    /// Its name.
    pub concept: String,
    /// Over all prompts.
    pub overall: Summary,
    /// By prompt.
    pub prompts: Vec<PromptScores>,
}

/// Scores of a method on a prompt of a concept.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct PromptScores {
    /// Index of the prompt in the study.
    #[serde(skip)]
    pub index: usize,
    /// The prompt.
    pub prompt: String,
    /// What the pictures were compared with.
    pub compared_with: String,
    /// Over all samples.
    pub overall: Summary,
    /// By sample.
    pub samples: Vec<SampleScores>,
}

/// Scores of a picture.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct SampleScores {
    /// The picture.
    pub file: PathBuf,
    /// Its scores; it has no diversity of its own.
    pub scores: BTreeMap<Metric, f64>,
}

/// An encoder's space with what lies in it.
pub struct Space<'a> {
    /// The encoder.
    pub encoder: &'a Description,
    /// The features.
    pub features: &'a Features,
}

/// The texts that the pictures are compared with, by concept and prompt.
///
/// # Errors
/// If a class word is wanted and not known.
pub fn texts(study: &Study, convention: Convention) -> Result<Vec<Vec<String>>> {
    let of = |concept: &Concept| {
        concept.prompts.iter().map(|prompt| convention.text(prompt, concept)).collect()
    };
    study.concepts.iter().map(of).collect()
}

/// Scores a study in the space of CLIP, of a DINO, or of both.
///
/// # Panics
/// If there is no space, or features are missing in one.
pub fn score(
    study: &Study,
    texts: &[Vec<String>],
    convention: Convention,
    clip: Option<&Space>,
    dino: Option<&Space>,
    seed: u64,
) -> Scores {
    let space = dino.or(clip).expect("at least one encoder");
    let judge = Judge { study, texts, clip, dino, space, seed };
    Scores {
        encoders: [clip, dino].into_iter().flatten().map(|s| s.encoder.clone()).collect(),
        convention,
        space: space.encoder.family,
        intervals: intervals(study.concepts.len(), seed),
        photos: judge.photos(),
        methods: (0..study.methods.len()).map(|method| judge.method(method)).collect(),
    }
}

fn intervals(concepts: usize, seed: u64) -> String {
    let drawn = match concepts {
        1 => "prompts",
        _ => "concepts and, within each, prompts",
    };
    format!(
        "95 % bootstrap by percentiles, {RESAMPLES} resamples of {drawn} (of a concept: prompts; of \
         a prompt: samples), seed {seed}"
    )
}

struct Judge<'a> {
    study: &'a Study,
    texts: &'a [Vec<String>],
    clip: Option<&'a Space<'a>>,
    dino: Option<&'a Space<'a>>,
    /// That of diversity and of likeness to one photo.
    space: &'a Space<'a>,
    seed: u64,
}

impl Judge<'_> {
    fn method(&self, method: usize) -> MethodScores {
        let concepts = (0..self.study.concepts.len()).map(|c| self.concept(method, c));
        let concepts: Vec<ConceptScores> =
            concepts.filter(|concept| !concept.prompts.is_empty()).collect();
        let name = self.study.methods[method].clone();
        let groups = |metric| concepts.iter().map(|c| prompt_units(&c.prompts, metric)).collect();
        MethodScores { overall: self.summary(&name, groups), method: name, concepts }
    }

    fn concept(&self, method: usize, index: usize) -> ConceptScores {
        let concept = &self.study.concepts[index];
        let prompts = (0..concept.prompts.len()).filter_map(|p| self.prompt(method, index, p));
        let prompts: Vec<PromptScores> = prompts.collect();
        let groups = |metric| vec![prompt_units(&prompts, metric)];
        let name = format!("{}/{}", self.study.methods[method], concept.name);
        let overall = self.summary(&name, groups);
        ConceptScores { index, concept: concept.name.clone(), overall, prompts }
    }

    fn prompt(&self, method: usize, concept: usize, index: usize) -> Option<PromptScores> {
        let cell = self.study.cell(concept, method, index);
        if cell.is_empty() {
            return None;
        }
        let samples: Vec<SampleScores> =
            cell.iter().map(|&sample| self.sample(sample, concept, index)).collect();
        let groups = |metric| match metric {
            Metric::Diversity => vec![diversity(&cell, self.space.features).into_iter().collect()],
            other => {
                let values = samples.iter().filter_map(|sample| sample.scores.get(&other).copied());
                vec![values.map(|sum| Unit { sum, count: 1 }).collect()]
            }
        };
        let Self { study, texts, .. } = self;
        let prompt = study.concepts[concept].prompts[index].clone();
        let name = format!("{}/{}/{prompt}", study.methods[method], study.concepts[concept].name);
        let overall = self.summary(&name, groups);
        let compared_with = texts[concept][index].clone();
        Some(PromptScores { index, prompt, compared_with, overall, samples })
    }

    fn sample(&self, index: usize, concept: usize, prompt: usize) -> SampleScores {
        let likeness = |space: &Space| {
            let Features { photos, samples, .. } = space.features;
            let cosines: Vec<f64> =
                photos[concept].iter().map(|photo| cosine(photo, &samples[index])).collect();
            cosines
        };
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        let mut scores = BTreeMap::new();
        if let Some(clip) = self.clip {
            let Features { samples, texts, .. } = clip.features;
            scores.insert(Metric::ClipImage, mean(likeness(clip)));
            scores.insert(Metric::ClipText, cosine(&samples[index], &texts[concept][prompt]));
        }
        if let Some(dino) = self.dino {
            scores.insert(Metric::DinoImage, mean(likeness(dino)));
        }
        let nearest = likeness(self.space).into_iter().fold(-1.0, f64::max);
        scores.insert(Metric::Copy, nearest);
        SampleScores { file: self.study.samples[index].file.clone(), scores }
    }

    fn summary(&self, name: &str, groups: impl Fn(Metric) -> Vec<Vec<Unit>>) -> Summary {
        let of = |metric: Metric| {
            let name = format!("{}/{name}", metric.name());
            Some((metric, Estimate::of(&groups(metric), self.seed, &name)?))
        };
        Metric::ALL.into_iter().filter_map(of).collect()
    }

    fn photos(&self) -> BTreeMap<Metric, f64> {
        let spaces = [(Metric::ClipImage, self.clip), (Metric::DinoImage, self.dino)];
        let of = |(metric, space): (Metric, Option<&Space>)| {
            let concepts = space?.features.photos.iter();
            let means: Vec<f64> = concepts.filter_map(|photos| mean_of_pairs(photos)).collect();
            let mean = means.iter().sum::<f64>() / means.len() as f64;
            (!means.is_empty()).then_some((metric, mean))
        };
        spaces.into_iter().filter_map(of).collect()
    }
}

/// A unit for each prompt.
fn prompt_units(prompts: &[PromptScores], metric: Metric) -> Vec<Unit> {
    let unit = |prompt: &PromptScores| {
        let Estimate { mean, count, .. } = *prompt.overall.get(&metric)?;
        Some(Unit { sum: mean * count as f64, count })
    };
    prompts.iter().filter_map(unit).collect()
}

/// The mean distance of two samples, as one value.
fn diversity(cell: &[usize], features: &Features) -> Option<Unit> {
    let rows: Vec<Vec<f32>> = cell.iter().map(|&i| features.samples[i].clone()).collect();
    mean_of_pairs(&rows).map(|cosine| Unit { sum: 1.0 - cosine, count: 1 })
}

/// The mean cosine of two different rows.
fn mean_of_pairs(rows: &[Vec<f32>]) -> Option<f64> {
    let pairs = rows.iter().enumerate().flat_map(|(i, a)| rows[..i].iter().map(move |b| (a, b)));
    let cosines: Vec<f64> = pairs.map(|(a, b)| cosine(a, b)).collect();
    (!cosines.is_empty()).then(|| cosines.iter().sum::<f64>() / cosines.len() as f64)
}

/// The cosine of two rows of length 1.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}
