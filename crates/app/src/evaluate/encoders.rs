//! The encoders that judge.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};

use evaluate::{
    Encoder, Features, Study,
    encoder::Description,
    prompts::Convention,
    scores::{self, Scores, Space},
};

use crate::{
    Compute, Error, Event, Events, Result,
    hub::{self, ENCODER, Id},
};

/// Seed of the bootstrap.
pub(crate) const SEED: u64 = 0;

/// Where the encoders lie: CLIP, a DINO, or both.
pub(crate) struct Encoders {
    clip: Option<PathBuf>,
    dino: Option<PathBuf>,
}

/// A study in an encoder's eyes.
struct Seen {
    encoder: Description,
    features: Features,
}

impl Encoders {
    /// Those that were named; the hub's are fetched.
    pub fn find(clip: Option<&Path>, dino: Option<&Path>, events: &mut dyn Events) -> Result<Self> {
        match (clip, dino) {
            (None, None) => {
                return Err(Error::Usage(
                    "no encoder to judge with: add --clip openai/clip-vit-base-patch32 or --dino \
                     facebook/dino-vits16 (ids at the Hugging Face hub; folders and files on disk \
                     will do), best both"
                        .into(),
                ));
            }
            (None, _) => events.note(
                "without --clip there is no likeness to the prompts, and none to the photos in \
                 CLIP's space",
            ),
            (_, None) => events.note(
                "without --dino there is no likeness to the photos in DINO's space; diversity and \
                 copies are measured in CLIP's",
            ),
            _ => {}
        }
        let mut find = |path: Option<&Path>| match path {
            None => Ok(None),
            Some(path) => match Id::of_base(path) {
                Some(id) => hub::find(&id, &ENCODER, events).map(Some),
                None => Ok(Some(path.to_owned())),
            },
        };
        Ok(Self { clip: find(clip)?, dino: find(dino)? })
    }

    /// CLIP and DINO, ready to use.
    pub fn open(&self, compute: &Compute) -> Result<[Option<Encoder>; 2]> {
        let kinds = [(&self.clip, Kind::Clip), (&self.dino, Kind::Dino)];
        let open = |(path, kind): (&Option<PathBuf>, Kind)| {
            path.as_ref().map(|path| open(path, kind, compute)).transpose()
        };
        let [clip, dino] = kinds.map(open);
        Ok([clip?, dino?])
    }

    /// Opens each once, so that hours of drawing are not followed by a refusal.
    pub fn check(&self, compute: &Compute) -> Result<()> {
        self.open(compute).map(drop)
    }

    /// Looks at a study and scores it; the seconds of each part go into `seconds`.
    pub fn score(
        &self,
        study: &Study,
        convention: Convention,
        seconds: &mut BTreeMap<String, f64>,
        compute: &Compute,
        events: &mut dyn Events,
    ) -> Result<Scores> {
        let texts = scores::texts(study, convention)?;
        let mut see = |path: &Option<PathBuf>, kind| {
            let Some(path) = path else { return Ok(None) };
            let started = Instant::now();
            let seen = see(&open(path, kind, compute)?, study, &texts, events)?;
            let part = format!("looking with {}", seen.encoder.name);
            seconds.insert(part, started.elapsed().as_secs_f64());
            Ok::<_, Error>(Some(seen))
        };
        let (clip, dino) = (see(&self.clip, Kind::Clip)?, see(&self.dino, Kind::Dino)?);
        let [clip, dino] = [&clip, &dino].map(|seen| {
            seen.as_ref().map(|Seen { encoder, features }| Space { encoder, features })
        });
        Ok(scores::score(study, &texts, convention, clip.as_ref(), dino.as_ref(), SEED))
    }
}

/// What an encoder is to be.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Clip,
    Dino,
}

fn open(path: &Path, kind: Kind, compute: &Compute) -> Result<Encoder> {
    let encoder = Encoder::open(path, compute.device())?;
    let found = if encoder.knows_texts() { Kind::Clip } else { Kind::Dino };
    if found == kind {
        return Ok(encoder);
    }
    let (typed, right) = match kind {
        Kind::Clip => ("--clip", "--dino"),
        Kind::Dino => ("--dino", "--clip"),
    };
    let name = &encoder.description().name;
    Err(Error::Usage(format!("{typed} is {}, a {name}: name it with {right}", path.display())))
}

fn see(
    encoder: &Encoder,
    study: &Study,
    texts: &[Vec<String>],
    events: &mut dyn Events,
) -> Result<Seen> {
    let description = encoder.description().clone();
    events.stage(format!("looking at the pictures with {}", description.name));
    let features = Features::of(study, encoder, texts, &mut |done, total| {
        events.event(&Event::Judging { done, total });
        match events.stopped() {
            true => Err(Error::from(personalize::Error::Stopped)),
            false => Ok(()),
        }
    })?;
    Ok(Seen { encoder: description, features })
}
