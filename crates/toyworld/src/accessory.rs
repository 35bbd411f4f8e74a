//! What an object can wear.

use std::path::Path;

use image::{Rgba, RgbaImage};

use crate::Result;
use crate::catalogue::{Face, Spot};
use crate::colour::{Rgb, mix, rgb, smooth};
use crate::sprite::Sprite;
use crate::tint::Tint;

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

    /// Where it is worn, and whether that place is its lower edge (else its middle).
    pub(crate) fn spot(self, face: &Face) -> (Spot, bool) {
        match self {
            Self::RedHat | Self::SantaHat | Self::TopHat => (face.head, true),
            Self::PinkGlasses => (face.eyes, false),
            Self::RainbowScarf => (face.neck, false),
        }
    }
}

/// How the colours of a sprite are changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Dye {
    None,
    Hue(Rgb),
    /// All colours one beside the other.
    Rainbow,
}

impl Dye {
    /// The dyed `colour` of a sprite as bright as `middle` on the whole, `x` and `y` from its
    /// middle.
    pub fn apply(self, colour: Rgb, middle: f32, (x, y): (f32, f32)) -> Rgb {
        let middle = middle.clamp(0.3, 0.75);
        match self {
            Self::None => colour,
            Self::Hue(hue) => colour.mix(colour.tinted(hue, middle), 0.94),
            Self::Rainbow => {
                let colours =
                    [Tint::Red, Tint::Orange, Tint::Yellow, Tint::Green, Tint::Blue, Tint::Purple];
                let at = (x + 0.6 * y + 2.0) * 7.0;
                let (i, next) = (at as usize % 6, (at as usize + 1) % 6);
                let hue =
                    colours[i].colour().mix(colours[next].colour(), smooth(0.7, 1.0, at.fract()));
                colour.tinted(hue, middle)
            }
        }
    }
}

/// The pictures of all accessories.
#[derive(Debug)]
pub(crate) struct Wardrobe {
    hat: Sprite,
    top_hat: Sprite,
    santa_hat: Sprite,
    glasses: Sprite,
    scarf: Sprite,
}

impl Wardrobe {
    /// Reads them from the folder of the objects' pictures.
    pub fn open(folder: &Path) -> Result<Self> {
        Ok(Self {
            hat: Sprite::read(folder, "1f452", "hat")?,
            top_hat: Sprite::read(folder, "1f3a9", "top hat")?,
            santa_hat: santa_hat(),
            glasses: Sprite::read(folder, "1f453", "glasses")?,
            scarf: Sprite::read(folder, "1f9e3", "scarf")?,
        })
    }

    pub fn get(&self, accessory: Accessory) -> (&Sprite, Dye) {
        match accessory {
            Accessory::RedHat => (&self.hat, Dye::Hue(Tint::Red.colour())),
            Accessory::SantaHat => (&self.santa_hat, Dye::None),
            Accessory::TopHat => (&self.top_hat, Dye::None),
            Accessory::PinkGlasses => (&self.glasses, Dye::Hue(Tint::Pink.colour())),
            Accessory::RainbowScarf => (&self.scarf, Dye::Rainbow),
        }
    }
}

/// A red cap bent to one side, with a white brim and bobble: the package has none.
fn santa_hat() -> Sprite {
    const SIDE: u32 = 256;
    let unit = |pixel| (pixel as f32 + 0.5) / SIDE as f32;
    let picture = RgbaImage::from_fn(SIDE, SIDE, |x, y| {
        let (colour, opacity) = santa_hat_at(unit(x), unit(y));
        let [r, g, b] = colour.bytes();
        Rgba([r, g, b, (opacity * 255.0 + 0.5) as u8])
    });
    Sprite::trimmed(&picture).expect("the hat is not transparent")
}

fn santa_hat_at(x: f32, y: f32) -> (Rgb, f32) {
    const SOFT: f32 = 0.006;
    let fur = |light: f32| rgb(0xd4ccdc).mix(rgb(0xfffdfa), light);

    // The cloth: from the brim up to the tip, which falls to the right.
    let up = ((0.8 - y) / 0.66).clamp(0.0, 1.0);
    let centre = 0.46 + 0.3 * up * up;
    let half = mix(0.36, 0.06, smooth(0.0, 1.05, up));
    let side = (x - centre) / half;
    let red = rgb(0x9c1020).mix(rgb(0xf2383c), smooth(1.0, -0.7, side));
    let above = smooth(0.12 - SOFT, 0.14, y) * smooth(0.86, 0.84, y);
    let mut result = (red, smooth(1.0, 1.0 - SOFT / half, side.abs()) * above);

    // The brim: a long rounded bar. The bobble: a ball.
    let (dx, dy) = (((x - 0.46).abs() - 0.34).max(0.0), y - 0.83);
    let brim = (dx * dx + dy * dy).sqrt();
    let (bx, by) = (x - 0.78, y - 0.17);
    let bobble = (bx * bx + by * by).sqrt();
    for (out, radius, light) in [
        (brim, 0.1, smooth(0.1, -0.1, dy + 0.2 * (x - 0.46))),
        (bobble, 0.12, smooth(0.13, -0.12, bx * 0.6 + by)),
    ] {
        let cover = smooth(radius, radius - SOFT, out);
        if cover > 0.0 {
            result = (result.0.mix(fur(light), cover), result.1.max(cover));
        }
    }
    result
}
