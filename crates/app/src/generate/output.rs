//! Where pictures go, and how they get there.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use formats::{Array, write_safetensors};
use images::{Picture, contact_sheet, labelled_sheet, write_png};
use personalize::{
    Error as RunError,
    generate::{Drawn, Watch},
};

use super::Options;
use crate::{
    Error, Event, Events, Result,
    init::{INIT_LATENTS, LATENTS},
    pictures::{self, Made},
};

/// Gap between the pictures of a contact sheet, pixels.
const GAP: usize = 8;

/// Where the pictures go.
pub(super) enum Places {
    File(PathBuf),
    Folder { folder: PathBuf, first: usize },
}

/// Name of the pictures in a folder.
pub(crate) const NAME: &str = "picture";
pub(crate) const SHEET: &str = "sheet";

impl Places {
    /// Makes the folder and finds out whether it can be written, before any
    /// work is done.
    pub fn check(options: &Options, count: usize) -> Result<Self> {
        let output = &options.output;
        let png = output.extension().is_some_and(|e| e.eq_ignore_ascii_case("png"));
        let folder = match (png, output.parent()) {
            (false, _) => output.clone(),
            (true, Some(parent)) if !parent.as_os_str().is_empty() => parent.to_owned(),
            (true, _) => PathBuf::from("."),
        };
        writable(&folder)?;
        if !png {
            let first = pictures::free_number(&folder, NAME);
            return Ok(Self::Folder { folder, first });
        }
        if count > 1 {
            let what = "one file for several pictures: give a folder to --output";
            return Err(Error::Usage(format!("{}: {what}", output.display())));
        }
        Ok(Self::File(output.clone()))
    }

    fn picture(&self, index: usize) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Folder { folder, first } => pictures::numbered(folder, NAME, first + index),
        }
    }
}

/// Makes a folder if need be, and tries whether files can be written there.
pub(crate) fn writable(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)
        .and_then(|()| tempfile::tempfile_in(folder).map(drop))
        .map_err(|e| Error::path(folder, format!("cannot be written to: {e}")))
}

/// Writes each picture as soon as it is finished.
pub(super) struct Writer<'a> {
    events: &'a mut dyn Events,
    places: &'a Places,
    /// Pictures of a prompt.
    count: usize,
    /// Prompts in all.
    prompts: usize,
    /// The prompts so far, with their pictures.
    drawn: Vec<(String, Vec<Drawn>)>,
    failure: Option<Error>,
}

impl<'a> Writer<'a> {
    /// For so many prompts with `count` pictures each.
    pub fn new(
        events: &'a mut dyn Events,
        places: &'a Places,
        prompts: usize,
        count: usize,
    ) -> Self {
        Self { events, places, count, prompts, drawn: Vec::new(), failure: None }
    }

    /// Follows the job of the next prompt.
    pub fn follow<'b>(&'b mut self, made: Made<'b>) -> impl Watch + use<'a, 'b> {
        self.drawn.push((made.job.prompt.clone(), Vec::new()));
        OnePrompt { writer: self, made }
    }
}

/// Writes the pictures of one prompt.
struct OnePrompt<'a, 'b> {
    writer: &'a mut Writer<'b>,
    made: Made<'a>,
}

impl Watch for OnePrompt<'_, '_> {
    fn step(&mut self, done: usize, total: usize) -> personalize::Result<()> {
        let Writer { events, drawn, prompts, .. } = &mut *self.writer;
        let before = (drawn.len() - 1) * total;
        events.event(&Event::Drawing { done: before + done, total: *prompts * total });
        if events.stopped() { Err(RunError::Stopped) } else { Ok(()) }
    }

    fn picture(&mut self, new: Drawn) -> personalize::Result<()> {
        let Writer { events, places, count, drawn, failure, .. } = &mut *self.writer;
        let path = places.picture((drawn.len() - 1) * *count + new.index);
        let Drawn { picture, index, seed, .. } = &new;
        if let Err(error) = pictures::write(&path, picture, &self.made, *index, *seed) {
            *failure = Some(error);
            return Err(RunError::Stopped);
        }
        events.wrote(&path);
        if let Some((_, pictures)) = drawn.last_mut() {
            pictures.push(new);
        }
        Ok(())
    }
}

impl Writer<'_> {
    /// The sheet and the latents of what was finished, even if not all was.
    pub fn finish(self, result: personalize::Result<()>, latents: Option<&Path>) -> Result<()> {
        let Self { events, places, drawn, failure, .. } = self;
        let all: Vec<&Drawn> = drawn.iter().flat_map(|(_, drawn)| drawn).collect();
        if let Some(path) = latents.filter(|_| !all.is_empty()) {
            save_latents(path, &all)?;
            events.wrote(path);
        }
        if let (Places::Folder { folder, .. }, true) = (places, all.len() > 1) {
            let number = pictures::free_number(folder, SHEET);
            let path = pictures::numbered(folder, SHEET, number);
            write_png(&path, &sheet(&drawn), &[] as &[(&str, &str)])?;
            events.wrote(&path);
        }
        match failure {
            Some(failure) => Err(failure),
            None => Ok(result?),
        }
    }
}

/// All pictures, under their prompts where there are several.
fn sheet(drawn: &[(String, Vec<Drawn>)]) -> Picture {
    let pictures = |drawn: &[Drawn]| drawn.iter().map(|d| d.picture.clone()).collect::<Vec<_>>();
    match drawn {
        [(_, one)] => contact_sheet(&pictures(one), None, GAP),
        several => {
            let row = |(prompt, drawn): &(String, Vec<Drawn>)| (prompt.clone(), pictures(drawn));
            labelled_sheet(&several.iter().map(row).collect::<Vec<_>>(), GAP)
        }
    }
}

/// `init_latents` and `latents`, `[pictures, channels, height, width]`.
fn save_latents(path: &Path, drawn: &[&Drawn]) -> Result<()> {
    let [c, h, w] = drawn[0].shape;
    let shape = [drawn.len(), c, h, w];
    let all = |of: fn(&Drawn) -> &Vec<f32>| {
        drawn.iter().copied().flat_map(of).copied().collect::<Vec<_>>()
    };
    let (start, end) = (all(|d| &d.start), all(|d| &d.latents));
    let arrays = BTreeMap::from([
        (INIT_LATENTS.to_owned(), Array::f32(&shape, &start)),
        (LATENTS.to_owned(), Array::f32(&shape, &end)),
    ]);
    Ok(write_safetensors(path, &arrays, &BTreeMap::new())?)
}
