//! A training that diverges stops before it spoils what was learned.

use std::{cell::Cell, path::Path};

use diffusion::{Base, Prompt, denoise::Denoiser};
use engine::params::{Gradients, Param, Params};
use images::Picture;
use personalize::{
    Error, Recipe, Reference, Result,
    dataset::{Dataset, Encoded},
    masks::MaskView,
    methods::{Batch, Evaluated, Frozen, Method, Request},
    trainer::{Report, Trainer},
};

use super::tiny::Tiny;

const WEIGHT: &str = "weight";

/// A method of one weight that yields what it is told, batch after batch.
struct Told {
    params: Params,
    batches: Vec<(f64, f32)>,
    at: Cell<usize>,
}

impl Told {
    fn new(batches: &[(f64, f32)]) -> Self {
        let mut params = Params::default();
        params.insert(WEIGHT, Param::new(vec![0.5], &[1], &super::tiny::device()));
        Self { params, batches: batches.to_vec(), at: Cell::new(0) }
    }
}

impl Method for Told {
    fn name(&self) -> &'static str {
        "told"
    }

    fn params(&self) -> &Params {
        &self.params
    }

    fn params_mut(&mut self) -> &mut Params {
        &mut self.params
    }

    fn learning_rate(&self, _: &str) -> f64 {
        0.1
    }

    fn token_vectors(&self) -> usize {
        1
    }

    fn evaluate(&self, _: &Frozen, _: &Batch) -> Evaluated {
        let (loss, gradient) = self.batches[self.at.replace(self.at.get() + 1)];
        let mut gradients = Gradients::default();
        gradients.add(WEIGHT, engine::tensor([gradient], [1], &super::tiny::device()));
        Evaluated { loss, parts: Vec::new(), gradients }
    }

    fn denoiser<'a>(&'a self, _: &Request<'a>) -> Result<Box<dyn Denoiser + 'a>> {
        unreachable!("nothing is drawn here")
    }

    fn masks(&self, _: &Frozen, _: &Prompt, _: &Reference, _: f64) -> Vec<MaskView> {
        Vec::new()
    }
}

/// Trains on these losses and gradients, two batches a step, until one fails;
/// what is learned and the number of steps taken come with the failure.
fn train(batches: &[(f64, f32)]) -> (Result<Report>, f32, u64) {
    let base = Base::open(&golden::path("tiny-sd"), &super::tiny::device()).unwrap();
    let (tiny, tokenizer) = (Tiny::open(), base.tokenizer().unwrap());
    let photo = Picture::from_rgb(8, 8, vec![128; 8 * 8 * 3]);
    let (vae, size) = (base.vae_encoder().unwrap(), base.default_size());
    let photo =
        Encoded::new(Path::new("x"), &photo, (size, size), &vae, 1.0, &super::tiny::device());
    let dataset = Dataset { photos: vec![photo], ..Default::default() };
    let recipe = Recipe { batch: 1, accumulate: 2, ..Recipe::vico("toy", size) };
    let method = Box::new(Told::new(batches));
    let mut trainer = Trainer::new(tiny.frozen(), &tokenizer, &dataset, &recipe, method);
    let mut last = trainer.advance();
    for _ in 1..batches.len() / 2 {
        last.unwrap();
        last = trainer.advance();
    }
    let weight = trainer.method.params().get(WEIGHT).unwrap().values()[0];
    (last, weight, trainer.steps())
}

#[test]
fn finite_numbers_go_on() {
    let (report, weight, steps) = train(&[(1.0, 1.0), (2.0, 3.0)]);
    let report = report.unwrap();
    assert_eq!((report.loss, report.gradient_norm, steps), (1.5, 2.0, 1));
    assert!(weight < 0.5);
}

#[test]
fn a_loss_or_gradient_that_is_not_finite_stops_before_the_update() {
    let (_, after_one_step, _) = train(&[(1.0, 1.0), (1.0, 1.0)]);
    for (loss, gradient, tensor) in [
        (f64::NAN, 1.0, "the loss"),
        (f64::INFINITY, 1.0, "the loss"),
        (1.0, f32::NAN, "the gradient of weight"),
        (1.0, f32::NEG_INFINITY, "the gradient of weight"),
    ] {
        let batches = [(1.0, 1.0), (1.0, 1.0), (1.0, 1.0), (loss, gradient)];
        let (report, weight, steps) = train(&batches);
        let Err(Error::NotFinite { tensor: found, place, advice }) = report else {
            panic!("{loss} and {gradient} passed: {report:?}")
        };
        assert_eq!(found, tensor);
        assert!(place.contains("step 2") && advice.contains("--lr-token"), "{place}: {advice}");
        assert_eq!((weight, steps), (after_one_step, 1), "as the first step left it");
    }
}
