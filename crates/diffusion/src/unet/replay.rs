//! Block-wise replay: gradients without keeping the activations of a pass.
//!
//! [`UNet::record`] runs forward without a tape and keeps the inputs of the
//! steps. [`UNet::replay`] walks back, running one step at a time again with a
//! tape. Memory is the steps' inputs and the tape of one step, or, [where it may
//! be](UNet::with_tapes), those of all steps, which then are not run again. The U-Net that is
//! replayed may have leaves where the recorded one had constants of the same values:
//! so its own weights learn. (Tapes that stay are of the U-Net that was recorded.)

use std::collections::BTreeMap;

use engine::{
    Tensor,
    replay::{Gradients, Seeds, Stored, leaf},
};

use super::{Plain, Processor, Site, Step, UNet};

/// Inputs of the steps of one forward pass, in bf16 if the weights are. A
/// skip is not kept a second time: it is the input of the step behind the one that
/// gave it.
pub struct Recording {
    inputs: Vec<Stored<4>>,
    /// Steps that need not be run again.
    pub(super) tapes: BTreeMap<usize, Tape>,
    timesteps: Vec<f64>,
    samples: usize,
    context: Tensor<3>,
}

/// A step that was run with a tape.
pub(super) struct Tape {
    input: Tensor<4>,
    skip: Option<Tensor<4>>,
    clock: Tensor<2>,
    text: Tensor<3>,
    out: Tensor<4>,
}

/// What a step is run with.
#[derive(Clone, Copy)]
struct Inputs<'a> {
    /// Time embedding.
    clock: &'a Tensor<2>,
    text: &'a Tensor<3>,
    /// What comes before the step learns, so that its input and skip have gradients.
    behind: bool,
    /// The time embedding learns.
    everywhere: bool,
}

impl Step {
    /// Runs the step with a tape that begins at its inputs.
    fn taped(
        &self,
        input: Tensor<4>,
        skip: Option<Tensor<4>>,
        inputs: Inputs,
        processor: &mut dyn Processor,
    ) -> Tape {
        let Inputs { clock, text, behind, everywhere } = inputs;
        let start = |x: Tensor<4>| if behind { leaf(&x) } else { x };
        let (input, skip) = (start(input), skip.map(start));
        let clock = if everywhere { leaf(clock) } else { clock.clone() };
        let text = leaf(text);
        let out = self.forward(input.clone(), skip.clone(), &clock, &text, processor);
        Tape { input, skip, clock, text, out }
    }
}

/// A processor that takes part in the way back.
pub trait Replay: Processor {
    /// Adds what the processor kept of the step with this transformer,
    /// together with the gradients that arrive there from outside the U-Net.
    fn seeds(&mut self, site: &Site, seeds: &mut Seeds);

    /// Takes the gradients of its own leaves in a step, the one with this transformer if
    /// it has one, and of the U-Net's.
    fn collect(&mut self, site: Option<&Site>, gradients: &mut Gradients);

    /// Something is learned before the first transformer too, or in the time embedding:
    /// the way back goes to the very beginning.
    fn everywhere(&self) -> bool {
        false
    }
}

/// Nothing of its own on the way back.
impl Replay for Plain {
    fn seeds(&mut self, _: &Site, _: &mut Seeds) {}

    fn collect(&mut self, _: Option<&Site>, _: &mut Gradients) {}
}

impl UNet {
    /// A forward pass that can be replayed, as far as the transformer at
    /// `until` or to the end.
    ///
    /// # Shapes
    /// As [`UNet::forward`].
    pub fn record(
        &self,
        x: Tensor<4>,
        timesteps: &[f64],
        context: &Tensor<3>,
        processor: &mut dyn Processor,
        until: Option<usize>,
    ) -> (Tensor<4>, Recording) {
        let count = until.map_or(self.steps.len(), |site| self.steps_until(site));
        let samples = x.dims()[0];
        let clock = self.time_rows(timesteps, samples, &x.device());
        let first = self.first_transformer();
        let (mut kept, mut tapes) = (Vec::with_capacity(count), BTreeMap::new());
        let out = self.walk(count, x, &mut |i, h, skip| {
            let step = &self.steps[i];
            kept.push(Stored::new(&h, self.precision));
            if !(self.tapes && i >= first) {
                return step.forward(h, skip, &clock, context, processor);
            }
            let inputs =
                Inputs { clock: &clock, text: context, behind: i > first, everywhere: false };
            let tape = step.taped(h, skip, inputs, processor);
            let out = tape.out.clone().inner();
            tapes.insert(i, tape);
            out
        });
        let (timesteps, context) = (timesteps.to_vec(), context.clone());
        (out, Recording { inputs: kept, tapes, timesteps, samples, context })
    }

    /// Number of the first step with a transformer.
    pub(super) fn first_transformer(&self) -> usize {
        self.steps.iter().position(|step| step.site().is_some()).unwrap_or(0)
    }

    /// Sends gradients back through a recorded pass and returns the gradient
    /// of the text context.
    ///
    /// `seed` is the gradient of the recorded output, `None` where only what
    /// the processor kept matters. The processor must compute in the replay
    /// exactly what it computed in the recording. In bf16 each step starts from a
    /// rounded input, which changes gradients by less than bf16 weights do.
    pub fn replay(
        &self,
        recording: Recording,
        seed: Option<Tensor<4>>,
        processor: &mut dyn Replay,
    ) -> Tensor<3> {
        let Recording { mut inputs, mut tapes, timesteps, samples, context } = recording;
        let everywhere = processor.everywhere();
        let time = self.time_rows(&timesteps, samples, &context.device());
        let mut time_gradient = everywhere.then(|| time.zeros_like().inner());
        let mut context_gradient = context.zeros_like();
        let mut seed = seed;
        // Gradients of the skips, in the order in which the encoder gave them.
        let mut skips: Vec<Option<Tensor<4>>> = Vec::new();
        // Before the first transformer nothing is learned, as a rule.
        let first = if everywhere { 0 } else { self.first_transformer() };
        let skip_inputs = self.skip_inputs();
        while inputs.len() > first
            && let Some(h) = inputs.pop()
        {
            let i = inputs.len();
            let step = &self.steps[i];
            if step.pushes {
                seed = sum(seed, skips.pop().flatten());
            }
            let again = || {
                let inputs_of =
                    Inputs { clock: &time, text: &context, behind: i > first, everywhere };
                let skip = skip_inputs[i].map(|j| inputs[j].load());
                step.taped(h.load(), skip, inputs_of, processor)
            };
            let Tape { input, skip, clock, text, out } = tapes.remove(&i).unwrap_or_else(again);
            let mut seeds = Seeds::through(self.precision);
            if let Some(seed) = seed.take() {
                seeds.add(out, seed);
            }
            if let Some(site) = step.site() {
                processor.seeds(site, &mut seeds);
            }
            let mut gradients = seeds.backward();
            seed = gradients.take(&input);
            if let Some(skip) = skip {
                skips.push(gradients.take(&skip));
            }
            if let Some(gradient) = gradients.take(&text) {
                context_gradient = context_gradient + gradient;
            }
            if let (Some(sum), Some(gradient)) = (&mut time_gradient, gradients.take(&clock)) {
                *sum = sum.clone() + gradient;
            }
            processor.collect(step.site(), &mut gradients);
        }
        if let Some(gradient) = time_gradient {
            let mut seeds = Seeds::through(self.precision);
            seeds.add(time, gradient);
            processor.collect(None, &mut seeds.backward());
        }
        context_gradient
    }

    /// For each step the one whose input is its skip.
    fn skip_inputs(&self) -> Vec<Option<usize>> {
        let mut pushed = Vec::new();
        let input = |(i, step): (usize, &Step)| {
            let skip = if step.pops { pushed.pop() } else { None };
            if step.pushes {
                pushed.push(i + 1);
            }
            skip
        };
        self.steps.iter().enumerate().map(input).collect()
    }
}

fn sum(a: Option<Tensor<4>>, b: Option<Tensor<4>>) -> Option<Tensor<4>> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a + b),
        (a, b) => a.or(b),
    }
}
