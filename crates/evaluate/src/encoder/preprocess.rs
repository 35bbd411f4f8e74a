//! Pictures made ready for an encoder: resized, cut, and normalised channel by channel.

use images::{Filter, Picture, crop, resize};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Family;

/// What becomes of a picture's size.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Resize {
    /// The shorter side becomes so long, the other in proportion (cut to a whole pixel).
    ShortestEdge(usize),
    /// Height and width become these.
    To([usize; 2]),
}

/// The filter of a resize, antialiased as Pillow does it.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Resample {
    /// Pillow's 1.
    Lanczos,
    /// Pillow's 2.
    Bilinear,
    /// Pillow's 3.
    Bicubic,
}

impl Resample {
    fn filter(self) -> Filter {
        match self {
            Self::Lanczos => Filter::Lanczos,
            Self::Bilinear => Filter::Bilinear,
            Self::Bicubic => Filter::Bicubic,
        }
    }

    /// By Pillow's number, which configurations carry.
    fn from_json(value: &Value) -> Result<Self, String> {
        match value.as_u64() {
            Some(1) => Ok(Self::Lanczos),
            Some(2) => Ok(Self::Bilinear),
            Some(3) => Ok(Self::Bicubic),
            _ => Err(format!(
                "resample in its preprocessor_config.json is {value}, expected 1 (Lanczos), 2 \
                 (bilinear) or 3 (bicubic)"
            )),
        }
    }
}

/// Which pixel a cut of odd remainder begins at.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Crop {
    /// Half the remainder without its fraction, as transformers.
    Down,
    /// Half the remainder, rounded to the even neighbour, as torchvision.
    Even,
}

impl Crop {
    fn start(self, whole: usize, part: usize) -> usize {
        let rest = whole - part;
        match self {
            Self::Down => rest / 2,
            Self::Even => (rest as f64 / 2.0).round_ties_even() as usize,
        }
    }
}

/// How pictures are made ready.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Preprocess {
    /// The size they first get.
    pub resize: Resize,
    /// How.
    pub resample: Resample,
    /// Height and width that are cut out of the middle.
    pub crop: Option<[usize; 2]>,
    /// Where the middle is.
    pub middle: Crop,
    /// What bytes are multiplied by.
    pub scale: f64,
    /// What is taken from red, green and blue after that.
    pub mean: [f64; 3],
    /// What the rest is divided by.
    pub std: [f64; 3],
}

/// Means and deviations over ImageNet.
const IMAGENET: ([f64; 3], [f64; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);

/// Those over CLIP's pictures.
const CLIP: ([f64; 3], [f64; 3]) =
    ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]);

/// The most pixels along a side of what is shown to an encoder.
const MOST: usize = 4096;

/// The most pixels along the longer side of a picture before it is cut.
const LONGEST: usize = 1 << 16;

/// The side that DINOv2 is used at, whatever its position embeddings say.
const DINOV2_SIDE: usize = 224;

impl Preprocess {
    /// What the authors' programs do, for an encoder of pictures of `side` pixels.
    pub fn of(family: Family, side: usize) -> Self {
        let (side, (mean, std)) = match family {
            Family::Clip => (side, CLIP),
            Family::Dino => (side, IMAGENET),
            Family::Dinov2 => (DINOV2_SIDE, IMAGENET),
        };
        // `Resize(256), CenterCrop(224)`, or the same at another size.
        let edge = if family == Family::Clip { side } else { side * 8 / 7 };
        Self {
            resize: Resize::ShortestEdge(edge),
            resample: Resample::Bicubic,
            crop: Some([side, side]),
            middle: Crop::Even,
            scale: 1.0 / 255.0,
            mean,
            std,
        }
    }

    /// What a `preprocessor_config.json` of transformers says; what it leaves out is as
    /// in `own`.
    ///
    /// # Errors
    /// A sentence on what makes no sense.
    pub fn from_json(json: &Value, own: &Self) -> Result<Self, String> {
        let kind = ["image_processor_type", "feature_extractor_type"];
        let kind = kind.iter().find_map(|key| json.get(*key)?.as_str()).unwrap_or_default();
        // A bare number means a square to ViT's processor, and the shortest edge to others.
        let square = kind.starts_with("ViT");
        let on = |key: &str, default| json.get(key).and_then(Value::as_bool).unwrap_or(default);
        if !on("do_resize", true) {
            return Err("its preprocessor_config.json does not resize: expected do_resize".into());
        }
        let resize = match json.get("size") {
            Some(size) => resize_of(size, square)?,
            None => own.resize,
        };
        let crop = match json.get("crop_size") {
            Some(size) if on("do_center_crop", !square) => match resize_of(size, true)? {
                Resize::To(size) => Some(size),
                Resize::ShortestEdge(side) => Some([side, side]),
            },
            _ if on("do_center_crop", !square) => own.crop,
            _ => None,
        };
        let number = |key: &str| json.get(key).and_then(Value::as_f64);
        let scale = if on("do_rescale", true) {
            number("rescale_factor").unwrap_or(own.scale)
        } else {
            1.0
        };
        let (mean, std) = if on("do_normalize", true) {
            (colours(json, "image_mean", own.mean)?, colours(json, "image_std", own.std)?)
        } else {
            ([0.0; 3], [1.0; 3])
        };
        let resample = json.get("resample").map_or(Ok(own.resample), Resample::from_json)?;
        Ok(Self { resize, resample, crop, middle: Crop::Down, scale, mean, std })
    }

    /// Height and width of what the encoder sees.
    pub fn size(&self) -> [usize; 2] {
        match (self.crop, self.resize) {
            (Some(size), _) | (None, Resize::To(size)) => size,
            (None, Resize::ShortestEdge(side)) => [side, side],
        }
    }

    /// Finds out whether every picture gets a size that consists of whole patches.
    ///
    /// # Errors
    /// A sentence on what makes no sense.
    pub(super) fn check(&self, patch: usize) -> Result<(), String> {
        let [height, width] = self.size();
        let whole = |side: usize| (patch..=MOST).contains(&side) && side.is_multiple_of(patch);
        if !whole(height) || !whole(width) {
            return Err(format!(
                "pictures of {height}x{width} pixels are to be shown to it, expected multiples of \
                 its patches' side, {patch}, of at most {MOST}"
            ));
        }
        let covered = match (self.resize, self.crop) {
            (Resize::ShortestEdge(edge), Some([h, w])) => edge <= MOST && edge >= h.max(w),
            (Resize::ShortestEdge(_), None) => false,
            (Resize::To([h, w]), Some(crop)) => {
                h <= MOST && w <= MOST && h >= crop[0] && w >= crop[1]
            }
            (Resize::To(_), None) => true,
        };
        match covered {
            true => Ok(()),
            false => Err(format!(
                "pictures resized to {:?} do not fill the {height}x{width} pixels that are cut out",
                self.resize
            )),
        }
    }

    /// A picture's values, `[3, height, width]`.
    pub fn pixels(&self, picture: &Picture) -> Vec<f32> {
        let [height, width] = match self.resize {
            Resize::To(size) => size,
            Resize::ShortestEdge(edge) => scaled([picture.height(), picture.width()], edge),
        };
        let resized = resize(picture, width, height, self.resample.filter());
        let [height, width] = self.size();
        let left = self.middle.start(resized.width(), width);
        let top = self.middle.start(resized.height(), height);
        let cut = crop(&resized, left, top, width, height);
        let channel = |c: usize| {
            let (mean, std) = (self.mean[c] as f32, self.std[c] as f32);
            let value =
                move |pixel: &[u8; 3]| ((f64::from(pixel[c]) * self.scale) as f32 - mean) / std;
            cut.rgb().as_chunks::<3>().0.iter().map(value)
        };
        (0..3).flat_map(channel).collect()
    }
}

/// Sides in proportion, the shorter one `edge` long. Pictures hundreds of times as long
/// as they are wide are squeezed, lest they take all memory.
fn scaled([height, width]: [usize; 2], edge: usize) -> [usize; 2] {
    if height <= width {
        [edge, (edge * width / height).min(LONGEST)]
    } else {
        [(edge * height / width).min(LONGEST), edge]
    }
}

fn resize_of(size: &Value, square: bool) -> Result<Resize, String> {
    let number = |value: &Value| {
        value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| (1..=MOST).contains(n))
    };
    let key = |name: &str| size.get(name).and_then(number);
    let found = match (number(size), key("shortest_edge"), key("height"), key("width")) {
        (Some(side), ..) if square => Some(Resize::To([side, side])),
        (Some(side), ..) => Some(Resize::ShortestEdge(side)),
        (_, Some(edge), ..) if size.get("longest_edge").is_none() => {
            Some(Resize::ShortestEdge(edge))
        }
        (_, None, Some(height), Some(width)) => Some(Resize::To([height, width])),
        _ => None,
    };
    found.ok_or_else(|| {
        format!(
            "a size in its preprocessor_config.json is {size}, expected a number, a shortest_edge, \
             or height and width, of at most {MOST}"
        )
    })
}

fn colours(json: &Value, key: &str, own: [f64; 3]) -> Result<[f64; 3], String> {
    let Some(value) = json.get(key) else { return Ok(own) };
    let numbers: Option<Vec<f64>> =
        value.as_array().and_then(|list| list.iter().map(Value::as_f64).collect());
    let three = numbers.and_then(|numbers| <[f64; 3]>::try_from(numbers).ok());
    three.filter(|three| key != "image_std" || three.iter().all(|&v| v > 0.0)).ok_or_else(|| {
        format!("{key} in its preprocessor_config.json is {value}, expected three numbers")
    })
}
