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
const SEED: u64 = 0;

/// Where the encoders lie: CLIP, a DINO, or both.
pub(crate) struct Encoders {
    clip: Option<Place>,
    dino: Option<Place>,
}

/// Where an encoder lies.
enum Place {
    /// In the program: the one of the small base model's world.
    Inside,
    /// On disk.
    Path(PathBuf),
}

/// A study in an encoder's eyes.
struct Seen {
    encoder: Description,
    features: Features,
}

impl Encoders {
    /// Those that were typed; the hub's are fetched. If none was, those inside the
    /// program for pictures that the base model inside it drew.
    pub fn find(
        clip: Option<&Path>,
        dino: Option<&Path>,
        inside: bool,
        events: &mut dyn Events,
    ) -> Result<Self> {
        match (clip, dino) {
            (None, None) if inside => {
                events.note(format!(
                    "{OWN} judges with its own encoders, whose scores compare with each other \
                     alone, never with those of other encoders (--clip, --dino)"
                ));
                return Ok(Self { clip: Some(Place::Inside), dino: Some(Place::Inside) });
            }
            (None, None) => {
                return Err(Error::Usage(
                    "no encoder to judge with: add --clip openai/clip-vit-base-patch32 or --dino \
                     facebook/dino-vits16 (ids at the Hugging Face hub; folders and files on disk \
                     will do), best both; those inside the program (toybox) know nothing but \
                     pictures that toybox drew"
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
        let typed = || [clip, dino].into_iter().flatten();
        if !inside && typed().any(|path| path == Path::new(OWN)) {
            events.warning(format!(
                "{OWN}'s encoders know nothing but its world, and these pictures do not tell that \
                 {OWN} drew them: their scores mean little"
            ));
        }
        let mut find = |path: Option<&Path>| match path {
            None => Ok(None),
            Some(path) => Place::find(path, events).map(Some),
        };
        Ok(Self { clip: find(clip)?, dino: find(dino)? })
    }

    /// Opens each once, so that hours of drawing are not followed by a refusal. The answer
    /// is what they are, which tells them from others.
    pub fn check(&self, compute: &Compute) -> Result<Vec<String>> {
        let places = [(&self.clip, Kind::Clip), (&self.dino, Kind::Dino)];
        let opened = places.into_iter().filter_map(|(place, kind)| {
            let opened = open(place.as_ref()?, kind, compute);
            Some(opened.map(|encoder| encoder.description().fingerprint()))
        });
        opened.collect()
    }

    /// Lets each encoder look at a study, and scores it; the seconds of each part go into
    /// `seconds`.
    pub fn score(
        &self,
        study: &Study,
        convention: Convention,
        look: &Look,
        seconds: &mut BTreeMap<String, f64>,
        compute: &Compute,
        events: &mut dyn Events,
    ) -> Result<Scores> {
        let texts = scores::texts(study, convention)?;
        let mut see = |place: &Option<Place>, kind| {
            let Some(place) = place else { return Ok(None) };
            let started = Instant::now();
            let opened = open(place, kind, compute)?;
            let encoder = opened.description().clone();
            events.stage(format!("looking at the pictures with {}", encoder.name));
            let features = look(study, &opened, &texts, events)?;
            let part = format!("looking with {}", encoder.name);
            seconds.insert(part, started.elapsed().as_secs_f64());
            Ok::<_, Error>(Some(Seen { encoder, features }))
        };
        let (clip, dino) = (see(&self.clip, Kind::Clip)?, see(&self.dino, Kind::Dino)?);
        let [clip, dino] = [&clip, &dino].map(|seen| {
            seen.as_ref().map(|Seen { encoder, features }| Space { encoder, features })
        });
        Ok(scores::score(study, &texts, convention, clip.as_ref(), dino.as_ref(), SEED))
    }
}

/// What an encoder makes of a study and the texts of its prompts.
pub(crate) type Look<'a> =
    dyn Fn(&Study, &Encoder, &[Vec<String>], &mut dyn Events) -> Result<Features> + 'a;

/// What an encoder is to be.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Clip,
    Dino,
}

/// The name of what is inside the program. A file of that name does not hide it
/// (`./toybox` is a path).
const OWN: &str = builtin::TOYBOX_NAME;

impl Place {
    /// What was typed: the name of the one inside, an id of the hub, from which it is
    /// fetched, or a path.
    fn find(typed: &Path, events: &mut dyn Events) -> Result<Self> {
        if typed == Path::new(OWN) {
            return Ok(Self::Inside);
        }
        match Id::of_base(typed) {
            Some(id) => hub::find(&id, &ENCODER, events).map(Self::Path),
            None => Ok(Self::Path(typed.to_owned())),
        }
    }
}

fn open(place: &Place, kind: Kind, compute: &Compute) -> Result<Encoder> {
    let device = compute.device();
    let path = match (place, kind) {
        (Place::Inside, Kind::Clip) => {
            return Ok(Encoder::inside(&format!("{OWN} CLIP"), builtin::TOYBOX_CLIP, device)?);
        }
        (Place::Inside, Kind::Dino) => {
            return Ok(Encoder::inside(OWN, builtin::TOYBOX_VIT, device)?);
        }
        (Place::Path(path), _) => path,
    };
    let encoder = Encoder::open(path, device)?;
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

/// Looks at all of a study.
pub(super) fn look(
    study: &Study,
    encoder: &Encoder,
    texts: &[Vec<String>],
    events: &mut dyn Events,
) -> Result<Features> {
    Features::of(study, encoder, texts, &mut |done, total| {
        events.event(&Event::Judging { done, total });
        match events.stopped() {
            true => Err(Error::from(personalize::Error::Stopped)),
            false => Ok(()),
        }
    })
}
