//! ViCo on Stable Diffusion 2, whose U-Net predicts v.

use diffusion::{Base, Placeholder, layout::from_nchw};
use engine::{
    Tensor,
    optim::{AdamW, AdamWConfig},
};
use golden::assert_close;
use personalize::{
    draw::Draw,
    methods::{
        Batch, Evaluated, Method,
        token::TOKEN,
        vico::{Rates, Vico, variant::Variant},
    },
};

use super::{golden_gradients::whole_tape, tiny::Tiny};

const RATES: Rates = Rates { token: 5e-3, attention: 1e-3, regulariser: 5e-4 };

struct Second {
    tiny: Tiny,
    vico: Vico,
    batch: Batch,
}

impl Second {
    fn open() -> Self {
        let device = super::tiny::device();
        let base = Base::open(&golden::fixture("diffusers/tiny-sd2"), &device).unwrap();
        let tokenizer = base.tokenizer().unwrap();
        let tiny = Tiny::of(base);
        let draw = Draw::new(3);
        let latents = |name: &str| -> Tensor<4> {
            from_nchw(draw.normal(name, 2 * 4 * 12 * 12), [2, 4, 12, 12], &device)
        };
        let star = Placeholder { text: "*", vectors: 1, words: "" };
        let prompt = |text: &str| tokenizer.encode(text, Some(star)).unwrap();
        let batch = Batch {
            latents: latents("latents"),
            references: latents("references"),
            masks: Vec::new(),
            noise: latents("noise"),
            timesteps: vec![120, 800],
            prompts: vec![prompt("a *"), prompt("the * in a b")],
        };
        let word = tiny.text.token_embedding(tokenizer.single("a").unwrap());
        let vico = Vico::new(tiny.unet.sites(), word, (RATES, Variant::default()), &draw, &device);
        Self { tiny, vico, batch }
    }

    fn evaluate(&self) -> Evaluated {
        self.vico.evaluate(&self.tiny.frozen(), &self.batch)
    }
}

/// The same loss with one tape through text encoder and both streams.
#[test]
fn gradients_are_those_of_the_whole_tape() {
    let second = Second::open();
    let Second { tiny, vico, batch } = &second;
    let (got, want) =
        (second.evaluate().gradients, whole_tape(tiny, vico, Variant::default(), batch));
    for (name, _) in vico.params().iter() {
        let [got, want] = [&got, &want].map(|all| engine::values(all.get(name).unwrap().clone()));
        assert!(want.iter().any(|g| *g != 0.0), "{name}");
        assert_close(name, &got, &want, 1e-4);
    }
}

#[test]
fn the_loss_of_v_falls() {
    let mut second = Second::open();
    let mut optimizer = AdamW::new(AdamWConfig::default());
    let mut losses = Vec::new();
    for _ in 0..8 {
        let Evaluated { loss, mut gradients, .. } = second.evaluate();
        losses.push(loss);
        let rate = |name: &str| if name == TOKEN { RATES.token } else { RATES.attention };
        optimizer.step(second.vico.params_mut(), &mut gradients, rate);
    }
    assert!(losses.iter().all(|loss| loss.is_finite()), "{losses:?}");
    assert!(losses[7] < losses[0], "{losses:?}");
}
