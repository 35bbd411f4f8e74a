//! Colours that an object can be dyed in.

use crate::colour::{Rgb, rgb};

/// A named colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Tint {
    Red,
    Orange,
    Yellow,
    Green,
    Blue,
    Purple,
    Pink,
}

impl Tint {
    /// Every colour.
    pub const ALL: [Self; 7] =
        [Self::Red, Self::Orange, Self::Yellow, Self::Green, Self::Blue, Self::Purple, Self::Pink];

    /// What captions call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.look().0
    }

    pub(crate) fn colour(self) -> Rgb {
        self.look().1
    }

    fn look(self) -> (&'static str, Rgb) {
        match self {
            Self::Red => ("red", rgb(0xe02424)),
            Self::Orange => ("orange", rgb(0xf5851a)),
            Self::Yellow => ("yellow", rgb(0xf5cf1f)),
            Self::Green => ("green", rgb(0x3db046)),
            Self::Blue => ("blue", rgb(0x2f6dea)),
            Self::Purple => ("purple", rgb(0x853dc9)),
            Self::Pink => ("pink", rgb(0xf76fb8)),
        }
    }
}

/// How the colours of a sprite are changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Dye {
    None,
    Hue(Rgb),
}

impl Dye {
    /// The dyed `colour` of a sprite that is as bright as `middle` on the whole.
    pub fn apply(self, colour: Rgb, middle: f32) -> Rgb {
        match self {
            Self::None => colour,
            // A little of the own colour stays.
            Self::Hue(hue) => colour.mix(colour.tinted(hue, middle.clamp(0.3, 0.75)), 0.94),
        }
    }
}
