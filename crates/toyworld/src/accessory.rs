//! What an object can wear.

use std::path::Path;

use crate::Result;
use crate::catalogue::{Face, Spot};
use crate::sewn;
use crate::sprite::Sprite;
use crate::tint::{Dye, Tint};

/// Something that an object wears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Accessory {
    RedHat,
    SantaHat,
    TopHat,
    PinkGlasses,
    RainbowScarf,
}

impl Accessory {
    /// Every accessory.
    pub const ALL: [Self; 5] =
        [Self::RedHat, Self::SantaHat, Self::TopHat, Self::PinkGlasses, Self::RainbowScarf];

    /// What captions call it, with its article.
    #[must_use]
    pub fn phrase(self) -> &'static str {
        match self {
            Self::RedHat => "a red hat",
            Self::SantaHat => "a santa hat",
            Self::TopHat => "a black top hat",
            Self::PinkGlasses => "pink glasses",
            Self::RainbowScarf => "a rainbow scarf",
        }
    }

    /// Where it is worn, and how much of its height (0..1) is above that place.
    pub(crate) fn spot(self, face: &Face) -> (Spot, f32) {
        match self {
            Self::RedHat | Self::SantaHat | Self::TopHat => (face.head, 1.0),
            Self::PinkGlasses => (face.eyes, 0.5),
            Self::RainbowScarf => (face.neck, 0.3),
        }
    }
}

/// The pictures of all accessories: those that the package has, and those that it lacks.
#[derive(Debug)]
pub(crate) struct Wardrobe {
    red_hat: Sprite,
    santa_hat: Sprite,
    top_hat: Sprite,
    glasses: Sprite,
    rainbow_scarf: Sprite,
}

impl Wardrobe {
    /// Reads what there is from the folder of the objects' pictures.
    pub fn open(folder: &Path) -> Result<Self> {
        Ok(Self {
            red_hat: sewn::picture(sewn::red_hat),
            santa_hat: sewn::picture(sewn::santa_hat),
            top_hat: Sprite::read(folder, "1f3a9", "top hat")?,
            glasses: Sprite::read(folder, "1f453", "glasses")?,
            rainbow_scarf: sewn::picture(sewn::rainbow_scarf),
        })
    }

    pub fn get(&self, accessory: Accessory) -> (&Sprite, Dye) {
        match accessory {
            Accessory::RedHat => (&self.red_hat, Dye::None),
            Accessory::SantaHat => (&self.santa_hat, Dye::None),
            Accessory::TopHat => (&self.top_hat, Dye::None),
            Accessory::PinkGlasses => (&self.glasses, Dye::Hue(Tint::Pink.colour())),
            Accessory::RainbowScarf => (&self.rainbow_scarf, Dye::None),
        }
    }
}
