//! `vico demo`: the whole way in one command, on the model inside.

use std::{
    fs,
    path::{Path, PathBuf},
};

use formats::atomic_write;
use images::{Filter, Picture, labelled_sheet, read_folder, resize, write_png};

use crate::{
    Compute, Error, Event, Events, Result,
    generate::writable,
    train::{self, RecipeOptions},
};

/// What was typed.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of photos; those inside the program if not given.
    pub photos: Option<PathBuf>,
    /// Class word; that of the photos inside if not given.
    pub init_word: Option<String>,
    /// Where everything goes.
    pub output: PathBuf,
    /// Optimizer steps, if not the model's own.
    pub steps: Option<u64>,
    /// Sampling steps of each picture.
    pub preview_steps: Option<usize>,
}

/// The class word of the photos inside.
const INIT_WORD: &str = "koala";

/// What is drawn before, during and after.
const PROMPTS: [&str; 6] = [
    "a photo of * on the beach",
    "a photo of * in the snow",
    "a photo of * in the jungle",
    "a photo of * in the city at night",
    "a photo of * on top of pink fabric",
    "a photo of * floating on top of water",
];

/// Side of the pictures on the sheet, pixels.
const CELL: usize = 192;
/// Gap between them.
const GAP: usize = 8;

/// Trains on a few photos, draws before, during and after, and lays all of it out.
pub fn run(options: &Options, compute: &Compute, events: &mut dyn Events) -> Result<()> {
    let out = &options.output;
    writable(out)?;
    let adapter = out.join("adapter.safetensors");
    if adapter.exists() {
        let what = "holds a demo already: name another --output, or remove it";
        return Err(Error::path(out, what));
    }
    let photos = match &options.photos {
        Some(folder) => folder.clone(),
        None => own_photos(out)?,
    };
    let word = match (&options.init_word, &options.photos) {
        (Some(word), _) => word.clone(),
        (None, None) => INIT_WORD.to_owned(),
        (None, Some(_)) => {
            let advice =
                "--init-word is missing: the class word of your photos, such as toy or dog";
            return Err(Error::Usage(advice.into()));
        }
    };
    let training = train::Options {
        photos: Some(photos.clone()),
        init_word: Some(word.clone()),
        output: Some(adapter.clone()),
        recipe: RecipeOptions { steps: options.steps, ..RecipeOptions::default() },
        preview_at_halves: true,
        preview_prompts: PROMPTS.map(str::to_owned).to_vec(),
        preview_steps: options.preview_steps,
        ..train::Options::default()
    };
    let mut collected = Collected { events, previews: Vec::new() };
    train::run(&training, compute, &mut collected)?;
    let Collected { previews, .. } = collected;
    let sheet = out.join("sheet.png");
    write_png(&sheet, &contact(&photos, previews)?, &[] as &[(&str, &str)])?;
    events.wrote(&sheet);
    say_how(options, &photos, &word, events);
    Ok(())
}

/// Writes the photos inside the program to the demo's folder.
fn own_photos(out: &Path) -> Result<PathBuf> {
    let folder = out.join("photos");
    fs::create_dir_all(&folder).map_err(|e| Error::path(&folder, e))?;
    for (name, bytes) in builtin::PHOTOS {
        atomic_write(folder.join(name), |file| file.write_all(bytes))?;
    }
    Ok(folder)
}

/// Passes everything on and keeps the previews.
struct Collected<'a> {
    events: &'a mut dyn Events,
    previews: Vec<(u64, Vec<Picture>)>,
}

impl Events for Collected<'_> {
    fn event(&mut self, event: &Event) {
        if let Event::Preview { step, pictures } = event {
            self.previews.push((*step, pictures.clone()));
        }
        self.events.event(event);
    }

    fn stopped(&self) -> bool {
        self.events.stopped()
    }
}

/// The photos, then a row of pictures for each stage of the training.
fn contact(photos: &Path, previews: Vec<(u64, Vec<Picture>)>) -> Result<Picture> {
    let photos = read_folder(photos)?.photos.into_iter().map(|(_, photo)| square(&photo));
    let mut rows = vec![("photos".to_owned(), photos.take(PROMPTS.len()).collect::<Vec<_>>())];
    let scenes: Vec<&str> = PROMPTS.iter().map(|p| p.trim_start_matches("a photo of * ")).collect();
    for (step, pictures) in previews {
        let when = if step == 0 { "before".to_owned() } else { format!("after {step} steps") };
        let label = format!("{when}: {}", scenes.join(", "));
        rows.push((label, pictures.iter().map(square).collect()));
    }
    Ok(labelled_sheet(&rows, GAP))
}

/// The middle of a picture at the sheet's size.
fn square(picture: &Picture) -> Picture {
    let side = picture.width().min(picture.height());
    let (width, height) = (picture.width() * CELL / side, picture.height() * CELL / side);
    resize(picture, width, height, Filter::Bicubic)
}

/// Where everything lies, and the same by hand.
fn say_how(options: &Options, photos: &Path, word: &str, events: &mut dyn Events) {
    let out = options.output.display();
    let photos = photos.display();
    for line in [
        format!("everything lies in {out}: sheet.png, adapter.safetensors, and adapter.run with"),
        "recipe, losses, masks, previews and checkpoints. The same by hand:".to_owned(),
        format!("  vico train {photos} --init-word {word} --output my.safetensors"),
        format!(
            "  vico generate \"{}\" --adapter my.safetensors --count 4 --output pictures",
            PROMPTS[0]
        ),
        format!("  vico mask {photos}/00.png --adapter my.safetensors"),
    ] {
        events.note(line);
    }
}
