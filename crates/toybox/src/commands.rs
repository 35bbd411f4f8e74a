//! What each command does, in terms of the library.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use diffusion::{Schedule, Tokenizer, base::Configs};
use engine::{Device, Tensor, params::Params};
use evaluate::Encoder;
use personalize::generate::Guidance;
use toybox::{
    Error, Result, autoencoder, base, data,
    encoders::{self, clip, measure, things},
    export,
    judge::{Judge, cross_entropy},
    latents::{self, Vae},
    personal::{self, CASES, Marks, Study},
    recipe, score,
    state::State,
    training::{self, Plan, Report},
    vocabulary,
};
use toyworld::{Scene, World};

use crate::arguments::{Arguments, Command, Training};

/// Steps between two sheets of samples.
const SHEET_EVERY: u64 = 1000;

const NO_TEXT: &[(&str, &str)] = &[];

pub fn run(arguments: Arguments) -> Result<()> {
    let shop = Shop::open(&arguments)?;
    match &arguments.command {
        Command::Judge(training) => shop.judge(training),
        Command::Vae(training) => shop.vae(training),
        Command::Encode { count } => shop.encode(*count),
        Command::Base(training) => shop.base(training),
        Command::Score { count, steps, guidance } => {
            let how = toybox::drawing::How { steps: *steps, guidance: *guidance };
            shop.score(*count, how)
        }
        Command::Personal { base, subject, method, guidance, reference_guidance } => {
            let guidance = Guidance { text: *guidance, reference: *reference_guidance };
            shop.personal(base, subject, method, guidance)
        }
        Command::Photos { object, out } => {
            personal::photos(&shop.world, object, shop.side, out).map(drop)
        }
        Command::Export { out } => shop.export(out),
        Command::Clip(training) => shop.clip(training),
        Command::Vit(training) => shop.vit(training),
        Command::Encoders { out } => shop.encoders(out),
    }
}

/// Everything that the commands share.
struct Shop {
    folder: PathBuf,
    world: World,
    merges: String,
    tokenizer: Tokenizer,
    configs: Configs,
    side: usize,
    seed: u64,
    device: Device,
    stop: Arc<AtomicBool>,
}

impl Shop {
    fn open(arguments: &Arguments) -> Result<Self> {
        let words = toyworld::words();
        let merges = vocabulary::merges(words.iter().map(|word| &**word))?;
        let positions = recipe::configs(1)?.text.max_position_embeddings;
        let tokenizer = Tokenizer::new(&merges, positions)?;
        let configs = recipe::configs(tokenizer.vocabulary_size())?;
        let stop = Arc::new(AtomicBool::new(false));
        let flag = stop.clone();
        ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))
            .map_err(|e| Error::path("Ctrl-C", e))?;
        Ok(Self {
            folder: arguments.run.clone(),
            world: World::open(&arguments.emoji)?,
            merges,
            tokenizer,
            side: configs.unet.sample_size * configs.vae.factor(),
            configs,
            seed: arguments.seed,
            device: engine::cpu(),
            stop,
        })
    }

    /// The folder of a training, made if it is not there.
    fn part(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).map_err(|e| Error::path(&folder, e))?;
        Ok(folder)
    }

    /// A training's state: as it was left, or new.
    fn state(&self, name: &str, fresh: Params) -> Result<State> {
        let path = State::path(&self.part(name)?);
        if path.is_file() {
            let state = State::load(&path, &fresh, &self.device)?;
            println!("{name}: going on from step {}", state.step());
            return Ok(state);
        }
        println!("{name}: {} parameters", fresh.count());
        Ok(State::new(fresh))
    }

    /// Trains a part in its folder, with a running average for short runs.
    fn train(
        &self,
        name: &str,
        training: &Training,
        state: &mut State,
        loss: &mut dyn FnMut(&Params, u64) -> Result<Tensor<1>>,
    ) -> Result<()> {
        let plan = Plan { average: 0.998, ..plan(training) };
        training::run(&self.part(name)?, &plan, state, &self.stop, loss, &mut report)
    }

    /// The averaged weights of a training.
    fn trained(&self, name: &str, fresh: Params) -> Result<Params> {
        let path = State::path(&self.folder.join(name));
        Ok(State::load(&path, &fresh, &self.device)?.averaged(&self.device))
    }

    fn fresh_judge(&self) -> Params {
        let objects = self.world.objects().len();
        Judge::fresh(self.side, objects, Scene::ALL.len(), self.seed, &self.device)
    }

    fn judge(&self, training: &Training) -> Result<()> {
        let mut state = self.state("judge", self.fresh_judge())?;
        let (objects, scenes) = (self.world.objects().len(), Scene::ALL.len());
        self.train("judge", training, &mut state, &mut |leaves, step| {
            let numbers = data::numbers(step, training.batch);
            let pictures = data::render(&numbers, |n| data::any(&self.world, n, self.side));
            let Ok(judge) = Judge::build(leaves, self.side, objects, scenes);
            let opinion = judge.look(data::tensor(&pictures, self.side));
            let object: Vec<usize> = pictures.iter().map(|p| p.object).collect();
            let scene: Vec<usize> = pictures.iter().map(|p| p.scene as usize).collect();
            Ok(cross_entropy(opinion.objects, &object) + cross_entropy(opinion.scenes, &scene))
        })?;
        let judge = score::Expert::new(&self.world, &state.averaged(&self.device), self.side);
        println!("{}", judge.examine(1000));
        Ok(())
    }

    fn fresh_vae(&self) -> Params {
        autoencoder::fresh(&self.configs, self.seed, &self.device)
    }

    /// The VAE with normalised latents.
    fn trained_vae(&self) -> Result<Params> {
        let params = self.trained("vae", self.fresh_vae())?;
        Ok(latents::normalise(&self.configs, &params, &self.world, &self.device))
    }

    fn vae(&self, training: &Training) -> Result<()> {
        let mut state = self.state("vae", self.fresh_vae())?;
        self.train("vae", training, &mut state, &mut |leaves, step| {
            let numbers = data::numbers(step, training.batch);
            let pictures = data::render(&numbers, |n| self.world.sample(n, self.side));
            let pictures = data::tensor(&pictures, self.side);
            let name = format!("step {step}");
            let mut rng = engine::rng::TorchRng::derive(self.seed, &name);
            autoencoder::loss(&self.configs, leaves, pictures, &mut rng)
        })?;
        let vae = Vae::new(&self.configs, &state.averaged(&self.device), &self.device);
        let sheet = score::reconstructions(&self.world, &vae, self.side, 16);
        images::write_png(self.part("vae")?.join("reconstructions.png"), &sheet, NO_TEXT)?;
        println!("{}", score::fidelity(&self.world, &vae, self.side, 256));
        Ok(())
    }

    fn pairs(&self) -> PathBuf {
        self.folder.join("pairs.safetensors")
    }

    fn encode(&self, count: u64) -> Result<()> {
        let vae = Vae::new(&self.configs, &self.trained_vae()?, &self.device);
        let watch = &mut |done: u64| {
            if done.is_multiple_of(3200) {
                println!("encoded {done} of {count}");
            }
        };
        latents::encode(&self.pairs(), &self.world, &vae, self.side, count, watch)
    }

    fn fresh_base(&self) -> Params {
        base::fresh(&self.configs, self.seed, &self.device)
    }

    fn base(&self, training: &Training) -> Result<()> {
        let pairs = latents::load(&self.pairs(), &self.tokenizer)?;
        let schedule = Schedule::new(&self.configs.schedule);
        let vae = Vae::new(&self.configs, &self.trained_vae()?, &self.device);
        let mut state = self.state("base", self.fresh_base())?;
        let folder = self.part("base")?;
        let (configs, seed, batch) = (&self.configs, self.seed, training.batch);
        let step = base::Step { configs, schedule: &schedule, pairs: &pairs, seed, batch };
        let total = plan(training);
        while state.step() < total.steps {
            let until = (state.step() / SHEET_EVERY + 1) * SHEET_EVERY;
            let until = until.min(total.steps);
            let mut loss = |leaves: &Params, n| step.loss(leaves, n);
            let stop = &self.stop;
            training::run_until(&folder, &total, until, &mut state, stop, &mut loss, &mut report)?;
            let painter = score::Painter::new(configs, &state.averaged(&self.device), &self.device);
            let sheet = painter.sheet(&self.world, &self.tokenizer, &vae, &schedule, 48)?;
            images::write_png(folder.join(format!("{until:06}.png")), &sheet, NO_TEXT)?;
        }
        Ok(())
    }

    fn score(&self, count: usize, how: toybox::drawing::How) -> Result<()> {
        let judge = self.trained("judge", self.fresh_judge())?;
        let judge = score::Expert::new(&self.world, &judge, self.side);
        println!("{}", judge.examine(2000));
        let vae = Vae::new(&self.configs, &self.trained_vae()?, &self.device);
        println!("{}", score::fidelity(&self.world, &vae, self.side, 512));
        println!("{}", judge.through(&vae, 1000));
        let base = self.trained("base", self.fresh_base())?;
        let painter = score::Painter::new(&self.configs, &base, &self.device);
        let schedule = Schedule::new(&self.configs.schedule);
        let (marks, sheet) =
            painter.examine(&judge, &self.tokenizer, &vae, &schedule, count, how)?;
        images::write_png(self.folder.join("score.png"), &sheet, NO_TEXT)?;
        println!("{marks}");
        Ok(())
    }

    fn personal(
        &self,
        base: &Path,
        subjects: &[(String, String)],
        methods: &[String],
        guidance: Guidance,
    ) -> Result<()> {
        let judge = self.trained("judge", self.fresh_judge())?;
        let judge = score::Expert::new(&self.world, &judge, self.side);
        let study = Study {
            world: &self.world,
            judge: &judge,
            side: self.side,
            base: base.to_owned(),
            out: self.part("personal")?,
            guidance,
        };
        let mut means = std::collections::BTreeMap::<&str, Vec<Marks>>::new();
        let cases = CASES.map(|(object, word)| (object.to_owned(), word.to_owned()));
        for (object, word) in if subjects.is_empty() { &cases } else { subjects } {
            let (marks, drawn) = study.base(object, word)?;
            let label = format!("the base's {word}");
            println!("{object}, {label}: {marks}");
            means.entry("base").or_default().push(marks);
            let mut rows = vec![(label, drawn)];
            for method in methods {
                let (marks, drawn) = study.case(object, word, method)?;
                println!("{object}, {method}: {marks}");
                means.entry(method).or_default().push(marks);
                rows.push((method.clone(), drawn));
            }
            let name = format!("{}.png", object.replace(' ', "-"));
            let sheet = study.sheet(object, &rows)?;
            images::write_png(study.out.join(name), &sheet, NO_TEXT)?;
        }
        for (method, marks) in means {
            println!("mean of {}, {method}: {}", marks.len(), Marks::mean(&marks));
        }
        Ok(())
    }

    fn export(&self, out: &Path) -> Result<()> {
        let base = self.trained("base", self.fresh_base())?;
        export::folder(out, &self.configs, &self.merges, &base, &self.trained_vae()?)
    }

    /// What CLIP's towers are like; that of texts is as the base's.
    fn clip_config(&self) -> clip::Config {
        let vision = encoders::vit(self.side, Some(clip::FEATURES));
        clip::Config { vision, text: self.configs.text.clone() }
    }

    fn clip(&self, training: &Training) -> Result<()> {
        let config = self.clip_config();
        let mut state = self.state("clip", clip::fresh(&config, self.seed, &self.device))?;
        let step = clip::Step {
            config: &config,
            world: &self.world,
            tokenizer: &self.tokenizer,
            side: self.side,
            seed: self.seed,
            batch: training.batch,
        };
        self.train("clip", training, &mut state, &mut |leaves, n| step.loss(leaves, n))
    }

    fn vit(&self, training: &Training) -> Result<()> {
        let config = encoders::vit(self.side, None);
        let mut state = self.state("vit", things::fresh(&config, self.seed, &self.device))?;
        let (world, side, seed, batch) = (&self.world, self.side, self.seed, training.batch);
        let step = things::Step { config: &config, world, side, seed, batch };
        self.train("vit", training, &mut state, &mut |leaves, n| step.loss(leaves, n))
    }

    fn encoders(&self, out: &Path) -> Result<()> {
        let config = self.clip_config();
        let params = self.trained("clip", clip::fresh(&config, self.seed, &self.device))?;
        let folder = out.join("clip");
        encoders::export::clip(&folder, &config, &self.merges, &params)?;
        let encoder = Encoder::open(&folder, &self.device)?;
        println!("CLIP: {}", measure::clip(&self.world, &encoder, self.side)?);
        self.know_again("CLIP", &encoder);

        let config = encoders::vit(self.side, None);
        let params = self.trained("vit", things::fresh(&config, self.seed, &self.device))?;
        let folder = out.join("vit");
        encoders::export::dino(&folder, &config, &params)?;
        self.know_again("ViT", &Encoder::open(&folder, &self.device)?);
        Ok(())
    }

    fn know_again(&self, name: &str, encoder: &Encoder) {
        let objects: [(&str, Vec<usize>); 2] = [
            ("trained", self.world.trained().collect()),
            ("held-out", self.world.held_out().collect()),
        ];
        for (kind, objects) in objects {
            let marks = measure::things(&self.world, encoder, &objects, self.side);
            println!("{name}, {kind} objects: {marks}");
        }
    }
}

fn plan(training: &Training) -> Plan {
    Plan { steps: training.steps, rate: training.rate, average: 0.9995, clip: 1.0 }
}

fn report(report: Report) {
    let Report { step, steps, loss, seconds } = report;
    let left = (steps - step) as f64 * seconds / 60.0;
    println!("step {step} of {steps}: loss {loss:.4}, {seconds:.3} s a step, {left:.0} min left");
}
