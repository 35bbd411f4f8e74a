//! Everything in a study as an encoder sees it.

use std::path::{Path, PathBuf};

use images::read_photo;

use crate::{Encoder, Result, Study, study::Concept};

/// Features of everything in a study, in the space of one encoder. All have length 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Features {
    /// By concept and photo.
    pub photos: Vec<Vec<Vec<f32>>>,
    /// By sample.
    pub samples: Vec<Vec<f32>>,
    /// By concept and prompt; CLIP only.
    pub texts: Vec<Vec<Vec<f32>>>,
}

/// Pictures that are read and encoded at once.
const AT_ONCE: usize = 16;

impl Features {
    /// Reads and encodes the pictures of a study, and the texts that they are compared
    /// with, if the encoder knows any. `each` hears how many of all pictures are done, and
    /// may end it.
    ///
    /// # Errors
    /// If a picture cannot be read, or `each` says so.
    pub fn of<E: From<crate::Error>>(
        study: &Study,
        encoder: &Encoder,
        texts: &[Vec<String>],
        each: &mut dyn FnMut(usize, usize) -> std::result::Result<(), E>,
    ) -> std::result::Result<Self, E> {
        let photos: usize = study.concepts.iter().map(|concept| concept.photos.len()).sum();
        let (mut done, all) = (0, photos + study.samples.len());
        let mut encode = |files: &[&PathBuf]| {
            let mut rows = Vec::with_capacity(files.len());
            for files in files.chunks(AT_ONCE) {
                rows.extend(encoded(encoder, files)?);
                done += files.len();
                each(done, all)?;
            }
            Ok::<_, E>(rows)
        };
        let mut by_concept = Vec::with_capacity(study.concepts.len());
        for concept in &study.concepts {
            by_concept.push(encode(&concept.photos.iter().collect::<Vec<_>>())?);
        }
        let samples: Vec<&PathBuf> = study.samples.iter().map(|sample| &sample.file).collect();
        let samples = encode(&samples)?;
        Ok(Self { photos: by_concept, samples, texts: texts_of(encoder, texts)? })
    }

    /// Features of a study whose samples were encoded already, one row each.
    ///
    /// # Errors
    /// If a photo cannot be read.
    pub fn around(
        samples: Vec<Vec<f32>>,
        study: &Study,
        encoder: &Encoder,
        texts: &[Vec<String>],
    ) -> Result<Self> {
        let photos = |concept: &Concept| encoded(encoder, &concept.photos);
        let photos = study.concepts.iter().map(photos).collect::<Result<_>>()?;
        Ok(Self { photos, samples, texts: texts_of(encoder, texts)? })
    }
}

/// Features of the texts, if the encoder knows any.
fn texts_of(encoder: &Encoder, texts: &[Vec<String>]) -> Result<Vec<Vec<Vec<f32>>>> {
    match encoder.knows_texts() {
        true => texts.iter().map(|texts| encoder.texts(texts)).collect(),
        false => Ok(Vec::new()),
    }
}

fn encoded(encoder: &Encoder, files: &[impl AsRef<Path>]) -> Result<Vec<Vec<f32>>> {
    let pictures = files.iter().map(read_photo).collect::<images::Result<Vec<_>>>()?;
    Ok(encoder.pictures(&pictures))
}
