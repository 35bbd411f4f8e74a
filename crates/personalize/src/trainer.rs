//! The training loop's one step, the same for every method.

use diffusion::{Prompt, Tokenizer, layout::from_nchw};
use engine::{
    Tensor,
    optim::{AdamW, AdamWConfig},
    params::Gradients,
};
use serde::Serialize;

use crate::{
    Error, ObjectMask, Recipe, Result,
    captions::{self, TEMPLATES},
    dataset::{Dataset, Encoded, pair},
    draw::Draw,
    methods::{self, Batch, Evaluated, Frozen, Method},
};

/// A training under way.
pub struct Trainer<'a> {
    frozen: Frozen<'a>,
    tokenizer: &'a Tokenizer,
    dataset: &'a Dataset,
    recipe: &'a Recipe,
    draw: Draw,
    /// What is learned.
    pub method: Box<dyn Method>,
    /// AdamW with its state.
    pub optimizer: AdamW,
}

/// What one optimizer step reports; also a line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Steps taken, counting this one.
    pub step: u64,
    /// The loss before the update.
    pub loss: f64,
    /// Its parts by name.
    #[serde(flatten)]
    pub parts: std::collections::BTreeMap<&'static str, f64>,
    /// Length of the gradient over all parameters.
    pub gradient_norm: f64,
}

impl<'a> Trainer<'a> {
    /// Before the first step.
    pub fn new(
        frozen: Frozen<'a>,
        tokenizer: &'a Tokenizer,
        dataset: &'a Dataset,
        recipe: &'a Recipe,
        method: Box<dyn Method>,
    ) -> Self {
        let optimizer = AdamW::new(optimizer_config(recipe));
        let draw = Draw::new(recipe.seed);
        Self { frozen, tokenizer, dataset, recipe, draw, method, optimizer }
    }

    /// Steps taken so far.
    pub fn steps(&self) -> u64 {
        self.optimizer.steps()
    }

    /// One optimizer step over `accumulate` batches.
    ///
    /// # Errors
    /// If the loss or a gradient is not finite; nothing was updated then.
    pub fn advance(&mut self) -> Result<Report> {
        let step = self.steps() + 1;
        let mut gradients = Gradients::default();
        let mut report = Report { step, loss: 0.0, parts: Default::default(), gradient_norm: 0.0 };
        let share = 1.0 / self.recipe.accumulate as f64;
        for index in 0..self.recipe.accumulate {
            let mut evaluated = self.evaluate(step, index, Kind::Photos)?;
            if self.recipe.prior_weight > 0.0 {
                let class = self.evaluate(step, index, Kind::Class)?;
                evaluated.add("prior", class, self.recipe.prior_weight);
            }
            report.loss += evaluated.loss * share;
            for (name, value) in evaluated.parts {
                *report.parts.entry(name).or_default() += value * share;
            }
            gradients.merge(evaluated.gradients);
        }
        if self.recipe.accumulate > 1 {
            gradients.scale(share);
        }
        report.gradient_norm = finite_norm(&gradients, step)?;
        let rates: Vec<(String, f64)> = self
            .method
            .params()
            .iter()
            .map(|(name, _)| (name.to_owned(), self.method.learning_rate(name)))
            .collect();
        let rate = |name: &str| rates.iter().find(|(n, _)| n == name).map_or(0.0, |(_, r)| *r);
        self.optimizer.step(self.method.params_mut(), &mut gradients, rate);
        Ok(report)
    }

    /// Loss and gradients of a batch, after the loss was found finite.
    fn evaluate(&self, step: u64, index: usize, kind: Kind) -> Result<Evaluated> {
        let batch = self.batch(step, index, kind)?;
        let evaluated = self.method.evaluate(&self.frozen, &batch);
        finite_loss(evaluated.loss, step, &batch)?;
        Ok(evaluated)
    }

    /// The samples of a batch; each draws from streams of its own name.
    fn batch(&self, step: u64, index: usize, kind: Kind) -> Result<Batch> {
        let mut rows = Vec::new();
        for sample in 0..self.recipe.batch {
            let number = index * self.recipe.batch + sample;
            let name = format!("train step {step} {} {number}", kind.word());
            rows.push(self.sample(&name, kind)?);
        }
        let all = |f: fn(&Row) -> &Tensor<4>| {
            Tensor::cat(rows.iter().map(|row| f(row).clone()).collect(), 0)
        };
        Ok(Batch {
            latents: all(|r| &r.latents),
            references: all(|r| &r.reference),
            noise: all(|r| &r.noise),
            masks: rows.iter().map(|r| r.mask.clone()).collect(),
            timesteps: rows.iter().map(|r| r.timestep).collect(),
            prompts: rows.into_iter().map(|r| r.prompt).collect(),
        })
    }

    fn sample(&self, name: &str, kind: Kind) -> Result<Row> {
        let draw = &self.draw;
        let (concept, photos) = match kind {
            Kind::Photos => self.dataset.thing(draw, name),
            Kind::Class => self.dataset.class(draw, name),
        };
        let (photo, reference) = pair(photos, draw, name, self.method.same_reference());
        let photo = self.mirrored(photo, name);
        let normal = |what: &str, count| draw.normal(&format!("{name} {what}"), count);
        let latents = photo.sample(normal("latents", photo.len()));
        let [_, h, w, c] = latents.dims();
        let noise = from_nchw(normal("noise", photo.len()), [1, c, h, w], &latents.device());
        Ok(Row {
            latents,
            reference: reference.sample(normal("reference latents", reference.len())),
            mask: reference.mask().cloned(),
            noise,
            timestep: draw.below(&format!("{name} timestep"), self.frozen.schedule.len()),
            prompt: match kind {
                Kind::Photos => self.prompt(name, concept)?,
                Kind::Class => {
                    let caption = captions::of_class(self.recipe, concept);
                    self.tokenizer.encode(&caption, None)?
                }
            },
        })
    }

    /// A photo or its mirror image.
    fn mirrored<'p>(&self, photo: &'p Encoded, name: &str) -> &'p Encoded {
        match &photo.mirrored {
            Some(mirrored) if self.draw.below(&format!("{name} flip"), 2) == 1 => mirrored,
            _ => photo,
        }
    }

    /// A caption for a photo of a thing.
    fn prompt(&self, name: &str, concept: usize) -> Result<Prompt> {
        let placeholder = methods::placeholder(self.method.as_ref(), self.recipe, concept);
        let caption = if self.recipe.caption.is_empty() {
            let template = self.draw.below(&format!("{name} caption"), TEMPLATES.len());
            captions::caption(template, placeholder.text)
        } else {
            captions::filled(&self.recipe.caption, placeholder.text)
        };
        let mut prompt = self.tokenizer.encode(&caption, Some(placeholder))?;
        // The vectors of the concepts lie one behind the other.
        let first = concept * placeholder.vectors;
        prompt.placeholders.iter_mut().for_each(|(_, vector)| *vector += first);
        Ok(prompt)
    }
}

/// What a sample shows.
#[derive(Clone, Copy)]
enum Kind {
    /// A thing that is learned.
    Photos,
    /// Something of its class.
    Class,
}

impl Kind {
    /// In the names of random streams.
    fn word(self) -> &'static str {
        match self {
            Self::Photos => "sample",
            Self::Class => "class",
        }
    }
}

/// AdamW as the recipe wants it.
pub fn optimizer_config(recipe: &Recipe) -> AdamWConfig {
    AdamWConfig { weight_decay: recipe.weight_decay, ..AdamWConfig::default() }
}

/// One sample of a batch.
struct Row {
    latents: Tensor<4>,
    reference: Tensor<4>,
    mask: Option<ObjectMask>,
    noise: Tensor<4>,
    timestep: usize,
    prompt: Prompt,
}

const ADVICE: &str =
    "lower the learning rates (--lr-token, --lr-attention, --lr-weights), or check the base model";

fn finite_loss(loss: f64, step: u64, batch: &Batch) -> Result<()> {
    if loss.is_finite() {
        return Ok(());
    }
    Err(Error::NotFinite {
        tensor: "the loss".into(),
        place: format!("step {step} (timesteps {:?})", batch.timesteps),
        advice: ADVICE.into(),
    })
}

/// The length of the gradient, after every value was found finite.
fn finite_norm(gradients: &Gradients, step: u64) -> Result<f64> {
    let mut sum = 0.0;
    for (name, gradient) in gradients.iter() {
        let squares = engine::values(gradient.clone()).iter().map(|&g| f64::from(g).powi(2)).sum();
        if !f64::is_finite(squares) {
            return Err(Error::NotFinite {
                tensor: format!("the gradient of {name}"),
                place: format!("step {step}"),
                advice: ADVICE.into(),
            });
        }
        sum += squares;
    }
    Ok(sum.sqrt())
}
