//! The encoders of the world, small enough for a test.

use std::{path::PathBuf, sync::atomic::AtomicBool};

use diffusion::Tokenizer;
use engine::{
    nn::Frozen,
    params::{Param, Params},
};
use evaluate::{
    Encoder,
    encoder::{Family, TextTower, Vit, VitConfig},
};
use images::Picture;
use toybox::{
    encoders::{self, clip, contrast::unit, export, measure, things},
    recipe,
    state::State,
    training::{self, Plan},
};
use toyworld::{Scene, World};

use crate::small::MERGES;

const SIDE: usize = 16;

const PLAN: Plan = Plan { steps: 400, rate: 3e-3, average: 0.9, clip: 1.0 };

/// Three objects to train on and one that is held out.
fn world() -> World {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../toyworld/tests/fixtures");
    World::of(&folder, &["dog", "owl", "teapot", "teddy bear"]).unwrap()
}

fn vision(projection: Option<usize>) -> VitConfig {
    VitConfig { width: 32, inner: 64, layers: 2, heads: 2, ..encoders::vit(SIDE, projection) }
}

fn clip_config(tokenizer: &Tokenizer) -> clip::Config {
    let mut text = recipe::configs(tokenizer.vocabulary_size()).unwrap().text;
    (text.hidden_size, text.intermediate_size, text.num_hidden_layers) = (32, 64, 1);
    (text.num_attention_heads, text.max_position_embeddings) = (2, 24);
    clip::Config { vision: vision(Some(16)), text }
}

/// Long enough for captions.
fn whole_tokenizer() -> Tokenizer {
    Tokenizer::new(MERGES, 24).unwrap()
}

/// A training: its parameters, and a step's loss.
trait Lesson {
    fn fresh(&self) -> Params;
    fn loss(&self, leaves: &Params, step: u64) -> toybox::Result<engine::Tensor<1>>;
}

struct Clip(World, Tokenizer, clip::Config);

impl Lesson for Clip {
    fn fresh(&self) -> Params {
        clip::fresh(&self.2, 1, &engine::cpu())
    }

    fn loss(&self, leaves: &Params, step: u64) -> toybox::Result<engine::Tensor<1>> {
        let Self(world, tokenizer, config) = self;
        clip::Step { config, world, tokenizer, side: SIDE, seed: 5, batch: 8 }.loss(leaves, step)
    }
}

struct Things(World, VitConfig);

impl Lesson for Things {
    fn fresh(&self) -> Params {
        things::fresh(&self.1, 1, &engine::cpu())
    }

    fn loss(&self, leaves: &Params, step: u64) -> toybox::Result<engine::Tensor<1>> {
        let Self(world, config) = self;
        things::Step { config, world, side: SIDE, seed: 5, batch: 8 }.loss(leaves, step)
    }
}

fn lessons() -> [(&'static str, Box<dyn Lesson>); 2] {
    let tokenizer = whole_tokenizer();
    let config = clip_config(&tokenizer);
    [
        ("clip", Box::new(Clip(world(), tokenizer, config))),
        ("vit", Box::new(Things(world(), vision(None)))),
    ]
}

#[test]
fn the_losses_fall() {
    for (name, lesson) in lessons() {
        let mut state = State::new(lesson.fresh());
        let mut loss = |leaves: &Params, n| lesson.loss(leaves, n);
        let losses: Vec<f64> =
            (0..120).map(|_| training::take_step(&PLAN, &mut state, &mut loss).unwrap()).collect();
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        let (first, last) = (mean(&losses[..20]), mean(&losses[100..]));
        assert!(last < 0.85 * first, "{name}: {first} -> {last}");
    }
}

#[test]
fn resumed_runs_end_at_the_same_bits_and_train_everything() {
    for (name, lesson) in lessons() {
        let stop = AtomicBool::new(false);
        let run = |folder: &std::path::Path, state: &mut State, until| {
            let mut loss = |leaves: &Params, n| lesson.loss(leaves, n);
            let watch = &mut |_| {};
            training::run_until(folder, &PLAN, until, state, &stop, &mut loss, watch).unwrap();
        };
        let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut state = State::new(lesson.fresh());
        run(whole.path(), &mut state, 4);
        run(parts.path(), &mut State::new(lesson.fresh()), 2);
        let path = State::path(parts.path());
        let mut resumed = State::load(&path, &lesson.fresh(), &engine::cpu()).unwrap();
        run(parts.path(), &mut resumed, 4);
        let bytes = |folder: &std::path::Path| std::fs::read(State::path(folder)).unwrap();
        assert!(bytes(whole.path()) == bytes(parts.path()), "{name}");
        for (weight, before) in lesson.fresh().iter() {
            let after = state.params().get(weight).unwrap();
            assert_ne!(before.values(), after.values(), "{name}: {weight}");
        }
    }
}

/// Weights that f16 holds, so that what is written is what was there.
fn rounded(params: Params) -> Params {
    let mut all = Params::default();
    for (name, param) in params.iter() {
        let halves = param.values().into_iter().map(|v| half::f16::from_f32(v).to_f32()).collect();
        all.insert(name, Param::new(halves, param.shape(), &engine::cpu()));
    }
    all
}

fn pictures(world: &World) -> Vec<Picture> {
    let draw = |i: usize| world.plain(i, Scene::ALL[i], i as u64, SIDE).pixels;
    (0..4).map(|i| Picture::from_rgb(SIDE, SIDE, draw(i))).collect()
}

fn assert_near(what: &str, read: &[Vec<f32>], own: engine::Tensor<2>) {
    let own = engine::values(unit(own));
    let read: Vec<f32> = read.iter().flatten().copied().collect();
    assert_eq!(read.len(), own.len(), "{what}");
    for (a, b) in read.iter().zip(own) {
        assert!((a - b).abs() < 1e-5, "{what}: {a} {b}");
    }
}

#[test]
fn the_evaluation_reads_what_was_trained() {
    let (dir, world, tokenizer) = (tempfile::tempdir().unwrap(), world(), whole_tokenizer());
    let (device, pictures) = (engine::cpu(), pictures(&world));
    let preprocess = encoders::preprocess(SIDE);
    let pixels: Vec<f32> = pictures.iter().flat_map(|p| preprocess.pixels(p)).collect();

    let config = clip_config(&tokenizer);
    let params = rounded(clip::fresh(&config, 1, &device));
    export::clip(dir.path(), &config, MERGES, &params).unwrap();
    let read = Encoder::open(dir.path(), &device).unwrap();
    assert_eq!(read.description().preprocess, preprocess);
    assert_eq!(read.description().family, Family::Clip);
    let frozen = params.frozen(&Frozen::new(&device));
    let Ok(vit) = Vit::build(config.vision.clone(), &frozen);
    assert_near("clip", &read.pictures(&pictures), vit.forward(&pixels, [SIDE; 2]));
    let texts = ["a dog on a", "an owl", ""].map(str::to_owned);
    let prompts: Vec<_> = texts.iter().map(|text| tokenizer.encode(text, None).unwrap()).collect();
    let Ok(tower) = TextTower::build(&config.text, 16, &frozen);
    assert_near("texts", &read.texts(&texts).unwrap(), tower.forward(&prompts));

    let config = vision(None);
    let params = rounded(things::fresh(&config, 1, &device));
    export::dino(dir.path(), &config, &params).unwrap();
    let read = Encoder::open(dir.path(), &device).unwrap();
    assert_eq!(read.description().family, Family::Dino);
    let Ok(vit) = Vit::build(config, &params.frozen(&Frozen::new(&device)));
    assert_near("vit", &read.pictures(&pictures), vit.forward(&pixels, [SIDE; 2]));
}

#[test]
fn an_encoder_that_has_learned_nothing_is_measured_so() {
    let (dir, world, tokenizer) = (tempfile::tempdir().unwrap(), world(), whole_tokenizer());
    let config = clip_config(&tokenizer);
    export::clip(dir.path(), &config, MERGES, &clip::fresh(&config, 1, &engine::cpu())).unwrap();
    let encoder = Encoder::open(dir.path(), &engine::cpu()).unwrap();
    let marks = measure::clip(&world, &encoder, SIDE).unwrap();
    assert_eq!(marks.count, 3 * Scene::ALL.len());
    assert!(marks.both <= marks.object.min(marks.scene) && marks.object < 0.8, "{marks}");
    let marks = measure::things(&world, &encoder, &[0, 1, 2, 3], SIDE);
    assert_eq!((marks.objects, marks.count), (4, 48));
    assert!(marks.nearest < 0.8 && marks.same <= 1.0, "{marks}");
}
