//! ViCo under every sampler.

use diffusion::{
    Base, Placeholder, Tokenizer,
    sampler::Sampler,
    vae::{Decoder, Encoder},
};
use engine::{
    Tensor,
    rng::{CudaRng, TorchRng},
};
use golden::Golden;
use personalize::{
    Reference, Result,
    generate::{Drawn, Init, Job, Model, Rng, Start, Watch, generate},
    methods::{
        Request, Sources,
        vico::{
            Vico,
            reference::{Capture, Positions},
        },
    },
};

use super::tiny::{STILL, Tiny, image};

/// Latent side of the pictures.
const SIDE: usize = 8;

struct Studio {
    tiny: Tiny,
    vico: Vico,
    tokenizer: Tokenizer,
    encoder: Encoder,
    decoder: Decoder,
    factor: usize,
    reference: Tensor<4>,
}

impl Studio {
    fn open() -> Self {
        let base = Base::open(&golden::path("tiny-sd"), &engine::cpu()).unwrap();
        let tiny = Tiny::open();
        let golden = Golden::open("vico_sample.safetensors");
        Self {
            vico: tiny.vico("placeholder_embedding", STILL),
            tokenizer: base.tokenizer().unwrap(),
            encoder: base.vae_encoder().unwrap(),
            decoder: base.vae_decoder().unwrap(),
            factor: base.configs().vae.factor(),
            reference: image(&golden, "xr").narrow(0, 0, 1),
            tiny,
        }
    }

    /// Two pictures.
    fn job(&self, sampler: Sampler) -> Job {
        let mut job = Job::new("a photo of * on the beach", SIDE * self.factor);
        job.sampler = sampler.name().into();
        (job.steps, job.count, job.seed) = (3, 2, 11);
        job
    }

    /// Draws a job from noise.
    fn draw(&self, job: &Job) -> Seen {
        self.draw_from(job, Start::Noise)
    }

    fn draw_from(&self, job: &Job, start: Start) -> Seen {
        let model = Model {
            tokenizer: &self.tokenizer,
            text: &self.tiny.text,
            unet: &self.tiny.unet,
            decoder: &self.decoder,
            schedule: &self.tiny.schedule,
            factor: self.factor,
            channels: self.reference.dims()[3],
        };
        let star = Placeholder { text: "*", vectors: 1, words: "" };
        let prompts = job.prompts(&self.tokenizer, Some(star), false).unwrap();
        let mut seen = Seen::default();
        let references = [Reference::new(self.reference.clone())];
        let sources = Sources::references(&references);
        generate(&model, Some(&self.vico), job, &prompts, sources, start, &mut seen).unwrap();
        seen
    }
}

#[derive(Default)]
struct Seen {
    /// Noise that the pictures started from.
    starts: Vec<Vec<f32>>,
    /// Their last latents.
    latents: Vec<Vec<f32>>,
    progress: Vec<(usize, usize)>,
}

impl Watch for Seen {
    fn step(&mut self, done: usize, total: usize) -> Result<()> {
        self.progress.push((done, total));
        Ok(())
    }

    fn picture(&mut self, drawn: Drawn) -> Result<()> {
        self.starts.push(drawn.start);
        self.latents.push(drawn.latents);
        Ok(())
    }
}

#[test]
fn vico_draws_under_every_sampler() {
    let studio = Studio::open();
    for sampler in Sampler::ALL {
        let job = studio.job(sampler);
        let Seen { latents: one_by_one, progress, .. } = studio.draw(&job);
        assert_eq!(one_by_one.len(), 2, "{sampler}");
        assert_ne!(one_by_one[0], one_by_one[1], "{sampler}: the seeds differ");
        assert!(one_by_one.concat().iter().all(|v| v.is_finite()), "{sampler}");
        let total = progress.len();
        let counted = (1..=total).map(|done| (done, total));
        assert!(progress.iter().copied().eq(counted), "{sampler}: {progress:?}");

        let together = studio.draw(&Job { batch: 2, ..job });
        assert_eq!(together.latents, one_by_one, "{sampler}: in one batch");
        assert_eq!(together.progress.last(), Some(&(total, total)), "{sampler}");
    }
}

#[test]
fn vico_changes_a_picture_under_every_sampler() {
    let studio = Studio::open();
    let side = SIDE * studio.factor;
    let pixels: Vec<f32> = (0..side * side * 3).map(|i| (i % 7) as f32 / 3.0 - 1.0).collect();
    let pixels = engine::tensor(pixels, [1, side, side, 3], &engine::cpu());
    let picture = studio.encoder.forward(pixels);
    for sampler in Sampler::ALL {
        let job = |strength, batch| {
            let init = Some(Init { image: "a.png".into(), strength });
            Job { init, batch, ..studio.job(sampler) }
        };
        let start = Start::Picture(&picture);
        let whole = studio.draw_from(&job(1.0, 1), start);
        let part = studio.draw_from(&job(0.4, 1), start);
        assert!(part.latents.concat().iter().all(|v| v.is_finite()), "{sampler}");
        assert_eq!(part.latents, studio.draw_from(&job(0.4, 2), start).latents, "{sampler}");
        assert_eq!(part.progress.len(), 2, "{sampler}: one step for each picture");
        // The less may change, the nearer are two pictures of different seeds.
        let spread = |seen: &Seen| {
            let pairs = seen.latents[0].iter().zip(&seen.latents[1]);
            pairs.map(|(a, b)| (a - b).powi(2)).sum::<f32>()
        };
        assert!(spread(&part) < spread(&whole), "{sampler}");
        // The posterior has the first numbers of the seed, the noise the next.
        let count = part.starts[0].len();
        let mut rng = TorchRng::new(11);
        assert_ne!(part.starts[0], rng.randn(count), "{sampler}");
        assert_eq!(part.starts[0], rng.randn(count), "{sampler}");
    }
}

#[test]
fn vico_draws_prompts_with_weights_and_of_any_length() {
    let studio = Studio::open();
    let draw = |prompt: &str, negative: &str| {
        let mut job = studio.job(Sampler::default());
        (job.prompt, job.negative, job.count) = (prompt.into(), negative.into(), 1);
        studio.draw(&job).latents.concat()
    };
    let plain = draw("a photo of * on the beach", "");
    let long = format!("{}a photo of * on the beach", "sand ".repeat(80));
    for (prompt, negative) in [
        ("a photo of (*:1.5) on the beach", ""),
        ("a photo of * on the beach", "(dark:2)"),
        ("a photo of * BREAK on the beach", ""),
        ("a photo of * on the beach", "dark BREAK blurry BREAK grey"),
        (&long, ""),
        (&long, &"blurry ".repeat(80)),
    ] {
        let latents = draw(prompt, negative);
        assert!(latents.iter().all(|v| v.is_finite()), "{prompt}");
        assert_ne!(latents, plain, "{prompt}, not {negative}");
    }
    for unweighted in ["a photo of (*:1) on the beach", r"a photo of \* on the beach"] {
        assert_eq!(draw(unweighted, ""), plain, "{unweighted}");
    }
}

/// The mask comes from the placeholder's column, wherever its chunk lies.
#[test]
fn the_placeholder_is_looked_at_in_every_chunk() {
    let studio = Studio::open();
    let star = Placeholder { text: "*", vectors: 1, words: "" };
    let job = Job::new("BREAK a (photo:0.5) of * on the beach", SIDE * studio.factor);
    let prompts = job.prompts(&studio.tokenizer, Some(star), false).unwrap();
    let request = Request {
        unet: &studio.tiny.unet,
        text: &studio.tiny.text,
        prompts: &prompts,
        job: &job,
        sources: Sources::default(),
        latents: [SIDE; 2],
    };
    let context = request.contexts(&studio.tiny.text, Some(studio.vico.token()));
    let positions = prompts.positive.placeholder().unwrap();
    assert_eq!((context.dims()[0], context.dims()[1], positions), (2, 2 * 77, 77 + 4));
    let conditional = context.narrow(0, 1, 1);
    let look = |placeholder| {
        let at = Positions { placeholder, end_of_text: prompts.positive.end_of_text() };
        let reference = studio.reference.clone();
        let (unet, sites) = (&studio.tiny.unet, studio.vico.sites());
        let mut capture = Capture::new(sites, &[at], true);
        capture.run(unet, reference, &[200.0], &conditional);
        engine::values(capture.layers.into_values().next().unwrap().maps.narrow(1, 0, 1))
    };
    let map = look(positions);
    assert!(map.iter().all(|v| (0.0..1.0).contains(v)));
    assert_ne!(map, look(4), "not the padding at the same place of the first chunk");
}

#[test]
fn noise_is_drawn_by_the_generator_that_was_asked_for() {
    let studio = Studio::open();
    let job = studio.job(Sampler::default());
    let cuda = studio.draw(&Job { rng: Rng::Cuda, ..job.clone() });
    let count = cuda.starts[0].len();
    assert_eq!(cuda.starts, [CudaRng::new(11).randn(count), CudaRng::new(12).randn(count)]);
    assert_ne!(cuda.latents, studio.draw(&job).latents);
    assert_eq!("cuda".parse::<Rng>().unwrap(), Rng::Cuda);
    assert!("gpu".parse::<Rng>().unwrap_err().to_string().contains("torch"));
}
