//! Scores of features that are easy to reckon with.

use std::path::PathBuf;

use evaluate::{
    Features, Study,
    encoder::{Description, Family, Preprocess},
    prompts::Convention,
    scores::{Metric, Scores, Space, balance, score, texts},
    study::{Concept, Sample},
};

/// The direction at an angle in degrees.
fn at(degrees: f32) -> Vec<f32> {
    let (sin, cos) = degrees.to_radians().sin_cos();
    vec![cos, sin]
}

fn cos(degrees: f64) -> f64 {
    degrees.to_radians().cos()
}

fn description(family: Family) -> Description {
    Description {
        name: format!("{} ViT-S/16", family.name()),
        family,
        file: PathBuf::from("model.safetensors"),
        sha256: "0".into(),
        preprocess: Preprocess::of(family, 224),
    }
}

/// Two concepts with a prompt each; of the first the second method drew nothing.
fn study() -> Study {
    let concept = |name: &str| Concept {
        name: name.into(),
        photos: vec!["a.png".into(), "b.png".into()],
        prompts: vec!["a photo of *".into()],
        placeholder: "*".into(),
        class_word: Some("toy".into()),
    };
    let sample =
        |concept, method, file: &str| Sample { concept, method, prompt: 0, file: file.into() };
    Study {
        concepts: vec![concept("duck"), concept("bear")],
        methods: vec!["vico".into(), "none".into()],
        samples: vec![
            sample(0, 0, "0.png"),
            sample(0, 0, "1.png"),
            sample(1, 0, "2.png"),
            sample(1, 1, "3.png"),
        ],
    }
}

fn scores() -> Scores {
    let study = study();
    let texts = texts(&study, Convention::Omit).unwrap();
    assert_eq!(texts, [["a photo of"], ["a photo of"]]);
    let clip = Features {
        photos: vec![vec![at(0.0), at(30.0)], vec![at(0.0), at(0.0)]],
        samples: vec![at(0.0), at(60.0), at(20.0), at(50.0)],
        texts: vec![vec![at(90.0)], vec![at(20.0)]],
    };
    let dino = Features {
        photos: vec![vec![at(0.0), at(90.0)], vec![at(0.0), at(0.0)]],
        samples: vec![at(10.0), at(70.0), at(0.0), at(90.0)],
        texts: Vec::new(),
    };
    let (clip_encoder, dino_encoder) = (description(Family::Clip), description(Family::Dino));
    let clip = Space { encoder: &clip_encoder, features: &clip };
    let dino = Space { encoder: &dino_encoder, features: &dino };
    score(&study, &texts, Convention::Omit, Some(&clip), Some(&dino), 0)
}

fn assert_near(got: f64, want: f64) {
    assert!((got - want).abs() < 1e-6, "{got}, expected {want}");
}

#[test]
fn likeness_is_the_mean_over_all_pairs() {
    let scores = scores();
    let vico = &scores.methods[0];
    let duck = &vico.concepts[0];
    let pairs = (cos(0.0) + cos(30.0) + cos(60.0) + cos(30.0)) / 4.0;
    assert_near(duck.overall[&Metric::ClipImage].mean, pairs);
    assert_eq!(duck.overall[&Metric::ClipImage].count, 2);
    let bear = cos(20.0);
    assert_near(vico.concepts[1].overall[&Metric::ClipImage].mean, bear);
    assert_near(vico.overall[&Metric::ClipImage].mean, (pairs + bear) / 2.0);
    assert_near(duck.overall[&Metric::ClipText].mean, (cos(90.0) + cos(30.0)) / 2.0);
}

#[test]
fn diversity_and_copies_are_dinos() {
    let scores = scores();
    assert_eq!(scores.space, Family::Dino);
    let duck = &scores.methods[0].concepts[0];
    assert_near(duck.overall[&Metric::Diversity].mean, 1.0 - cos(60.0));
    assert_near(duck.prompts[0].samples[0].scores[&Metric::Copy], cos(10.0));
    assert_near(duck.overall[&Metric::Copy].mean, (cos(10.0) + cos(20.0)) / 2.0);
    let bear = &scores.methods[0].concepts[1];
    assert!(!bear.overall.contains_key(&Metric::Diversity), "one sample has no diversity");
}

#[test]
fn what_a_method_did_not_draw_is_left_out() {
    let scores = scores();
    let none = &scores.methods[1];
    assert_eq!(none.concepts.len(), 1);
    assert_eq!(none.concepts[0].concept, "bear");
    assert_eq!(none.overall[&Metric::DinoImage].standard_error, None);
    assert_near(none.overall[&Metric::DinoImage].mean, 0.0);
}

#[test]
fn photos_are_compared_among_themselves() {
    let scores = scores();
    assert_near(scores.photos[&Metric::ClipImage], (cos(30.0) + 1.0) / 2.0);
    assert_near(scores.photos[&Metric::DinoImage], 0.5);
}

#[test]
fn the_balance_is_the_geometric_mean_of_two_likenesses() {
    let scores = scores();
    let mut summary = scores.methods[0].concepts[0].overall.clone();
    let mean = |metric| scores.methods[0].concepts[0].overall[&metric].mean;
    let prompts = mean(Metric::ClipText);
    let root = (mean(Metric::DinoImage) * prompts).sqrt();
    assert_near(balance(&summary).unwrap(), root);
    summary.remove(&Metric::DinoImage);
    assert_near(balance(&summary).unwrap(), (mean(Metric::ClipImage) * prompts).sqrt());
    for metric in [Metric::ClipImage, Metric::ClipText] {
        let mut other = summary.clone();
        other.get_mut(&metric).unwrap().mean = -0.1;
        assert_eq!(balance(&other), Some(-0.1), "{metric:?} is below 0");
        other.remove(&metric);
        assert_eq!(balance(&other), None, "without {metric:?}");
    }
}
