//! What a picture is going to show, and what that means for how it is drawn.

use crate::accessory::Accessory;
use crate::canvas::{Area, Canvas};
use crate::colour::Rgb;
use crate::compose::Room;
use crate::random::Random;
use crate::scene::Scene;
use crate::tint::Dye;
use crate::world::Kind;

/// What a picture is going to show.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub object: usize,
    pub scene: Scene,
    pub kind: Kind,
    pub seed: u64,
    pub effect: Effect,
}

impl Plan {
    /// The room for the first object (`slot` 0) or the second.
    pub fn room(&self, random: &mut Random, slot: usize) -> Room {
        let mut room = Room { size: 0.0, columns: (0.0, 1.0), headroom: 0.0 };
        let (least, most) = match (self.kind, self.effect) {
            (_, Effect::Small) | (Kind::Size { large: false }, _) => (0.22, 0.36),
            (_, Effect::Large) | (Kind::Size { large: true }, _) => (0.82, 1.0),
            (_, Effect::Close) => (0.95, 1.3),
            (Kind::Two { .. }, _) => {
                room.columns = if slot == 0 { (0.0, 0.5) } else { (0.5, 1.0) };
                (0.36, 0.5)
            }
            (Kind::Accessory(Accessory::PinkGlasses | Accessory::RainbowScarf), _) => (0.5, 0.82),
            (Kind::Accessory(_), _) => {
                room.headroom = 0.22;
                (0.46, 0.64)
            }
            _ => (0.4, 0.85),
        };
        room.size = random.range(least, most);
        room
    }

    pub fn dye(&self) -> Dye {
        match self.kind {
            Kind::Colour(tint) => Dye::Hue(tint.colour()),
            _ => Dye::None,
        }
    }
}

/// What a template without a scene says about the photo.
#[derive(Clone, Copy)]
pub(crate) enum Effect {
    None,
    Dark,
    Bright,
    Small,
    Large,
    Close,
}

impl Effect {
    pub fn of(template: &str) -> Self {
        let says = |word| template.contains(word);
        match () {
            () if says("dark") => Self::Dark,
            () if says("bright") => Self::Bright,
            () if says("small") => Self::Small,
            () if says("large") => Self::Large,
            () if says("cropped") || says("close-up") => Self::Close,
            () => Self::None,
        }
    }

    /// Changes the light of the whole picture, where that is meant.
    pub fn apply(self, canvas: &mut Canvas) {
        match self {
            Self::Dark => canvas.change(Area::ALL, |_, _, under| under * 0.55),
            Self::Bright => {
                canvas.change(Area::ALL, |_, _, under| (under * 1.12).mix(Rgb::WHITE, 0.14))
            }
            Self::None | Self::Small | Self::Large | Self::Close => {}
        }
    }
}
