//! How well a held-out object is learned from five photos by each method, beside the
//! base, which only has the class word.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use app::{Compute, Event, Events, generate, train};
use diffusion::{Base, Tokenizer};
use engine::values;
use images::{Filter, Picture, labelled_sheet, read_photo, resize, write_png};
use personalize::{
    Adapter, Reference,
    generate::Guidance,
    masks::MaskView,
    methods::{self, Frozen},
    recipe::{DREAMBOOTH_LORA, LORA_RANK},
};
use toyworld::{Rendering, Scene, World};

use crate::{
    Error, Result, data,
    judge::answers,
    score::{Expert, to_picture},
};

/// Held-out objects, each with a class word that the base knows.
pub const CASES: [(&str, &str); 8] = [
    ("teddy bear", "koala"),
    ("hedgehog", "rabbit"),
    ("cupcake", "cake"),
    ("mushroom", "cactus"),
    ("locomotive", "bus"),
    ("castle", "house"),
    ("accordion", "piano"),
    ("boot", "sneaker"),
];

/// Methods that can be asked for; all but `dreambooth-lora` go by vico's own names.
pub const METHODS: [&str; 4] = ["vico", "textual-inversion", "custom-diffusion", DREAMBOOTH_LORA];

/// Where each is drawn.
const SCENES: [Scene; 6] =
    [Scene::Beach, Scene::Snow, Scene::Jungle, Scene::City, Scene::PinkFabric, Scene::Water];

/// Photos of an object, and pictures a scene.
const PHOTOS: u64 = 5;
const PICTURES: usize = 4;

/// Side of the pictures on a sheet.
const CELL: usize = 128;

/// What is measured, and with what.
pub struct Study<'a> {
    /// The world.
    pub world: &'a World,
    /// Its judge.
    pub judge: &'a Expert<'a>,
    /// Side of pictures.
    pub side: usize,
    /// The base model.
    pub base: PathBuf,
    /// Where everything goes; what is there is not made again.
    pub out: PathBuf,
    /// Guidance scales.
    pub guidance: Guidance,
}

/// What came out for one object and one way of drawing it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Marks {
    /// Mean cosine of the judge's features over all pairs of picture and photo.
    pub similarity: f64,
    /// Share of pictures in which the judge sees the object itself, among all.
    pub object: f64,
    /// Share in which it sees the scene.
    pub scene: f64,
    /// Intersection over union of the automatic masks and the true ones.
    pub masks: Option<f64>,
}

impl Marks {
    /// The mean of several.
    pub fn mean(all: &[Self]) -> Self {
        let mean = |of: &dyn Fn(&Self) -> f64| all.iter().map(of).sum::<f64>() / all.len() as f64;
        Self {
            similarity: mean(&|m| m.similarity),
            object: mean(&|m| m.object),
            scene: mean(&|m| m.scene),
            masks: all.iter().all(|m| m.masks.is_some()).then(|| mean(&|m| m.masks.unwrap_or(0.0))),
        }
    }
}

impl fmt::Display for Marks {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { similarity, object, scene, masks } = self;
        let (object, scene) = (100.0 * object, 100.0 * scene);
        write!(f, "similarity {similarity:.3}, object {object:.0} %, scene {scene:.0} %")?;
        masks.map_or(Ok(()), |iou| write!(f, ", mask IoU {iou:.2}"))
    }
}

/// Warnings and wrote-lines of the runs are of no interest here.
struct Quiet;

impl Events for Quiet {
    fn event(&mut self, _: &Event) {}

    fn stopped(&self) -> bool {
        false
    }
}

impl Study<'_> {
    /// Trains and draws one object with a method, and measures it.
    pub fn case(&self, object: &str, word: &str, method: &str) -> Result<(Marks, Vec<Picture>)> {
        let (number, photos) = self.photos(object)?;
        let folder = self.folder(object);
        let adapter = folder.join(format!("{method}.safetensors"));
        let compute = Compute::new(0, Default::default(), None)?;
        if !adapter.is_file() {
            let options = train::Options {
                photos: Some(folder.join("photos")),
                base: Some(self.base.clone()),
                init_word: Some(word.to_owned()),
                output: Some(adapter.clone()),
                recipe: options(method),
                ..Default::default()
            };
            train::run(&options, &compute, &mut Quiet)?;
        }
        let guidance = self.guidance.of(method);
        let pictures = self.pictures("*", Some(&adapter), guidance, &folder.join(method))?;
        let mut marks = self.marks(number, &photos, &pictures);
        marks.masks = self.masks(&adapter, &photos)?;
        Ok((marks, pictures))
    }

    /// Draws the class word by the base, which never saw the object, and measures it.
    pub fn base(&self, object: &str, word: &str) -> Result<(Marks, Vec<Picture>)> {
        let (number, photos) = self.photos(object)?;
        let guidance = Guidance { reference: 1.0, ..self.guidance };
        let word = format!("a {word}");
        let pictures = self.pictures(&word, None, guidance, &self.folder(object).join("base"))?;
        Ok((self.marks(number, &photos, &pictures), pictures))
    }

    /// Pictures of something in each scene; those that are in the folder are not drawn again.
    fn pictures(
        &self,
        what: &str,
        adapter: Option<&Path>,
        guidance: Guidance,
        folder: &Path,
    ) -> Result<Vec<Picture>> {
        let compute = Compute::new(0, Default::default(), None)?;
        let mut pictures = Vec::new();
        for scene in SCENES {
            let prompt = format!("a photo of {what} {}", scene.phrase());
            let output = folder.join(scene.name());
            if !output.is_dir() {
                let options = self.drawing(&prompt, adapter, guidance, &output);
                generate::run(&options, &compute, &mut Quiet)?;
            }
            for i in 0..PICTURES {
                pictures.push(read_photo(output.join(format!("picture-{i:04}.png")))?);
            }
        }
        Ok(pictures)
    }

    /// What pictures of an object's scenes are worth.
    fn marks(&self, object: usize, photos: &[Rendering], pictures: &[Picture]) -> Marks {
        let side = self.side;
        let unit: Vec<f32> = pictures.iter().flat_map(Picture::to_unit).collect();
        let pictures = engine::tensor(unit, [pictures.len(), side, side, 3], &engine::cpu());
        let opinion = self.judge.look(pictures);
        let real = self.judge.look(data::tensor(photos, side)).features;
        let similarity = mean_cosine(&values(opinion.features), &values(real));
        let part = |answers: Vec<usize>, wanted: &dyn Fn(usize) -> usize| {
            let right = answers.iter().enumerate().filter(|(i, answer)| **answer == wanted(*i));
            right.count() as f64 / answers.len() as f64
        };
        Marks {
            similarity,
            object: part(answers(opinion.objects), &|_| object),
            scene: part(answers(opinion.scenes), &|i| SCENES[i / PICTURES] as usize),
            masks: None,
        }
    }

    /// Renders an object's photos, and writes them for the training.
    pub fn photos(&self, object: &str) -> Result<(usize, Vec<Rendering>)> {
        photos(self.world, object, self.side, &self.folder(object).join("photos"))
    }

    fn folder(&self, object: &str) -> PathBuf {
        self.out.join(object.replace(' ', "-"))
    }

    fn drawing(
        &self,
        prompt: &str,
        adapter: Option<&Path>,
        guidance: Guidance,
        output: &Path,
    ) -> generate::Options {
        generate::Options {
            base: self.base.clone(),
            adapter: adapter.map(Path::to_owned),
            prompt: prompt.to_owned(),
            guidance: Some(guidance.text),
            reference_guidance: Some(guidance.reference),
            count: Some(PICTURES),
            batch: PICTURES,
            output: output.to_owned(),
            ..Default::default()
        }
    }

    /// How well the automatic masks find the object in its photos, over layers and
    /// photos; nothing for methods without masks.
    fn masks(&self, adapter: &Path, photos: &[Rendering]) -> Result<Option<f64>> {
        let device = engine::cpu();
        let base = Base::open(&self.base, &device)?;
        let adapter = Adapter::load(adapter, &device)?;
        let (text, unet, schedule) = (base.text_encoder()?, base.unet()?, base.schedule());
        let recipe = &adapter.info.recipe;
        let method = methods::learned(recipe, base.configs(), adapter.params.clone())?;
        let tokenizer: Tokenizer = base.tokenizer()?;
        let placeholder = methods::placeholder(method.as_ref(), recipe, 0);
        let caption = format!("a photo of {}", recipe.placeholder);
        let prompt = tokenizer.encode(&caption, Some(placeholder))?;
        let frozen = Frozen { text: &text, unet: &unet, schedule: &schedule };
        let encoder = base.vae_encoder()?;
        let mut all = Vec::new();
        for photo in photos {
            let latents = encoder.forward(data::tensor(std::slice::from_ref(photo), self.side));
            let views =
                method.masks(&frozen, &prompt, &Reference::new(latents.mode()), MASK_TIMESTEP);
            all.extend(views.iter().map(|view| overlap(view, &photo.mask, self.side)));
        }
        let count = all.len() as f64;
        Ok((!all.is_empty()).then(|| all.iter().sum::<f64>() / count))
    }

    /// The photos above the pictures, a picture a scene for each way of drawing.
    pub fn sheet(&self, object: &str, rows: &[(String, Vec<Picture>)]) -> Result<Picture> {
        let (_, photos) = self.photos(object)?;
        let photos: Vec<Picture> = photos.iter().map(|p| to_picture(p, self.side)).collect();
        let mut all = vec![(format!("{object}: photos"), large(&photos))];
        for (label, pictures) in rows {
            let one: Vec<Picture> = pictures.iter().step_by(PICTURES).cloned().collect();
            all.push((label.clone(), large(&one)));
        }
        Ok(labelled_sheet(&all, 4))
    }
}

/// Renders an object's photos, each in another scene, and writes them to a folder; its
/// number in the world goes with them.
pub fn photos(
    world: &World,
    object: &str,
    side: usize,
    folder: &Path,
) -> Result<(usize, Vec<Rendering>)> {
    let found = world.objects().iter().position(|o| o.name() == object);
    let number = found.ok_or_else(|| Error::path("the world", format!("has no {object}")))?;
    fs::create_dir_all(folder).map_err(|e| Error::path(folder, e))?;
    let render = |i: u64| {
        let scene = Scene::ALL[(7 * i as usize + number) % Scene::ALL.len()];
        world.plain(number, scene, data::FRESH + (1 << 20) + i, side)
    };
    let photos: Vec<Rendering> = (0..PHOTOS).map(render).collect();
    for (i, photo) in photos.iter().enumerate() {
        let path = folder.join(format!("{i:02}.png"));
        write_png(path, &to_picture(photo, side), &[] as &[(&str, &str)])?;
    }
    Ok((number, photos))
}

/// What is typed to choose a method.
fn options(method: &str) -> train::RecipeOptions {
    let lora = method == DREAMBOOTH_LORA;
    train::RecipeOptions {
        method: Some(if lora { "dreambooth" } else { method }.to_owned()),
        lora_rank: lora.then_some(LORA_RANK),
        ..Default::default()
    }
}

/// Timestep at which the masks are taken: little noise, clean features.
const MASK_TIMESTEP: f64 = 200.0;

fn large(pictures: &[Picture]) -> Vec<Picture> {
    pictures.iter().map(|p| resize(p, CELL, CELL, Filter::Bicubic)).collect()
}

/// Intersection over union of a mask of patches and the true mask, patch by patch.
fn overlap(view: &MaskView, mask: &[u8], side: usize) -> f64 {
    let (high, wide) = (side / view.height, side / view.width);
    let (mut both, mut either) = (0, 0);
    for (patch, &kept) in view.keep.iter().enumerate() {
        let (top, left) = (patch / view.width * high, patch % view.width * wide);
        let rows = (top..top + high).map(|y| &mask[y * side + left..][..wide]);
        let covered: u32 = rows.flatten().map(|&m| u32::from(m)).sum();
        let object = covered * 2 >= 255 * (high * wide) as u32;
        both += usize::from(object && kept);
        either += usize::from(object || kept);
    }
    if either == 0 { 1.0 } else { both as f64 / either as f64 }
}

/// Mean cosine over all pairs of rows.
fn mean_cosine(a: &[f32], b: &[f32]) -> f64 {
    let width = crate::judge::FEATURES;
    let unit = |row: &[f32]| -> Vec<f64> {
        let length = row.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt();
        row.iter().map(|&v| f64::from(v) / length.max(f64::MIN_POSITIVE)).collect()
    };
    let (a, b): (Vec<_>, Vec<_>) =
        (a.chunks(width).map(unit).collect(), b.chunks(width).map(unit).collect());
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let sum: f64 = a.iter().flat_map(|x| b.iter().map(move |y| dot(x, y))).sum();
    sum / (a.len() * b.len()) as f64
}
