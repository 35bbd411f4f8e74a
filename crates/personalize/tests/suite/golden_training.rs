use engine::optim::{AdamW, AdamWConfig};
use golden::{Golden, assert_close};
use personalize::methods::{
    Batch, Method,
    vico::{Rates, TOKEN},
};

use super::tiny::{Tiny, image, prompts, timesteps};

fn batch(golden: &Golden, step: usize) -> Batch {
    let name = |part: &str| format!("step{step}.{part}");
    Batch {
        latents: image(golden, &name("x0")),
        references: image(golden, &name("xr")),
        masks: Vec::new(),
        noise: image(golden, &name("noise")),
        timesteps: timesteps(golden, &name("t")),
        prompts: prompts(golden, &name("ids")),
    }
}

/// The number behind a word of the manifest's note on a training.
fn noted(note: &str, word: &str) -> f64 {
    let rest = note.split(word).nth(1).unwrap_or_else(|| panic!("\"{word}\" in \"{note}\""));
    rest.split([',', ';']).next().unwrap().trim().parse().unwrap()
}

/// Trains as the golden run did and compares every step and the end.
fn trajectory(file: &str, tolerance: f64) {
    let golden = Golden::open(file);
    let manifest = golden::manifest();
    let note = manifest["files"][file]["note"].as_str().unwrap();
    let rates = Rates {
        token: noted(note, "embedding lr"),
        attention: noted(note, "image-attention lr"),
        regulariser: 5e-4,
    };
    let tiny = Tiny::open();
    let mut vico = tiny.vico("init_word_embedding", rates);
    let mut optimizer = AdamW::new(AdamWConfig::default());
    let [steps, columns] = golden.shape("losses");
    let losses = golden.f32("losses");
    for step in 0..steps {
        let mut got = vico.evaluate(&tiny.frozen(), &batch(&golden, step));
        let mut row = vec![got.loss as f32];
        row.extend(got.parts.iter().map(|(_, value)| *value as f32));
        for (i, value) in row.iter().enumerate() {
            let want = losses[step * columns + i];
            assert_close(&format!("loss {i} of step {step}"), &[*value], &[want], 1e-4);
        }
        let rate = |name: &str| if name == TOKEN { rates.token } else { rates.attention };
        optimizer.step(vico.params_mut(), &mut got.gradients, rate);
        let name = format!("step{step}.embedding");
        assert_close(&name, &engine::values(vico.token()), &golden.f32(&name), tolerance);
    }
    let mut compared = 0;
    for (name, param) in vico.params().iter() {
        let name = format!("final.{name}");
        if golden.has(&name) {
            assert_close(&name, &param.values(), &golden.f32(&name), tolerance);
            compared += 1;
        }
    }
    assert_eq!(compared, golden.cases_between("final.", "").len(), "every final tensor");
}

#[test]
fn golden_training_by_the_paper() {
    trajectory("vico_train_official.safetensors", 1e-4);
}

/// The learning rate is so large here that rounding shows: the golden program
/// itself differs by 7e-5 between f32 and f64.
#[test]
fn golden_training_in_batches() {
    trajectory("vico_train_batched.safetensors", 5e-4);
}
