//! The scenes that objects are shown in: each is drawn from random numbers alone.

mod autumn;
mod beach;
mod blue_house;
mod city;
mod cobblestone;
mod desert;
mod dirt_road;
mod galaxy;
mod jungle;
mod moon;
mod mountain;
mod parts;
mod pink_fabric;
mod purple_rug;
mod snow;
mod sunflowers;
mod sunset;
mod water;
mod wheat_field;
mod white_rug;
mod wooden_floor;

use crate::canvas::{Area, Canvas};
use crate::colour::{Rgb, rgb};
use crate::random::Random;
pub(crate) use parts::direction;

/// The stream of a seed's random numbers that scenes are drawn from.
const STREAM: u64 = 1;

/// A place to show an object in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it, and `phrase` says it in words")]
pub enum Scene {
    Beach,
    Snow,
    Jungle,
    Desert,
    City,
    Mountain,
    Sunset,
    Autumn,
    WheatField,
    DirtRoad,
    BlueHouse,
    Sunflowers,
    Cobblestone,
    PurpleRug,
    WoodenFloor,
    PinkFabric,
    WhiteRug,
    Water,
    Galaxy,
    Moon,
}

/// What an object in a scene rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Footing {
    /// It stands on ground that reaches away from the viewer.
    Ground,
    /// It lies on something seen from above.
    Surface,
    /// It floats on water, which mirrors it.
    Water,
    /// It floats in space.
    Space,
}

/// All that there is to say about a scene, as its file says it.
struct Description {
    name: &'static str,
    phrases: &'static [&'static str],
    footing: Footing,
    /// The colour of the light that falls on objects.
    light: Rgb,
    draw: fn(&mut Canvas, &mut Random),
}

/// The light under trees.
const FOREST: Rgb = rgb(0xf0faec);
/// The light of a low sun.
const WARM: Rgb = rgb(0xfff2e2);

impl Scene {
    /// Every scene.
    pub const ALL: &[Self] = &[
        Self::Beach,
        Self::Snow,
        Self::Jungle,
        Self::Desert,
        Self::City,
        Self::Mountain,
        Self::Sunset,
        Self::Autumn,
        Self::WheatField,
        Self::DirtRoad,
        Self::BlueHouse,
        Self::Sunflowers,
        Self::Cobblestone,
        Self::PurpleRug,
        Self::WoodenFloor,
        Self::PinkFabric,
        Self::WhiteRug,
        Self::Water,
        Self::Galaxy,
        Self::Moon,
    ];

    /// A short name, lower case and unique, such as "wooden floor".
    #[must_use]
    pub fn name(self) -> &'static str {
        self.description().name
    }

    /// The words that captions describe the scene with, such as "on top of a wooden floor"; where
    /// the prompt lists of the papers have it, in their words.
    #[must_use]
    pub fn phrase(self) -> &'static str {
        self.phrases()[0]
    }

    /// All ways to say it, [`phrase`](Self::phrase) first.
    #[must_use]
    pub fn phrases(self) -> &'static [&'static str] {
        self.description().phrases
    }

    /// The scene of `seed` without an object: what [`World`](crate::World) puts objects into.
    /// `side * side * 3` bytes (red, green, blue), row by row.
    ///
    /// # Panics
    ///
    /// If `side` is zero.
    #[must_use]
    pub fn picture(self, seed: u64, side: usize) -> Vec<u8> {
        self.canvas(seed, side).bytes()
    }

    pub(crate) fn canvas(self, seed: u64, side: usize) -> Canvas {
        let mut canvas = Canvas::new(side);
        let random = &mut Random::new(seed, STREAM);
        (self.description().draw)(&mut canvas, random);
        weather(&mut canvas, random);
        canvas
    }

    pub(crate) fn footing(self) -> Footing {
        self.description().footing
    }

    pub(crate) fn light(self) -> Rgb {
        self.description().light
    }

    fn description(self) -> &'static Description {
        match self {
            Self::Beach => &beach::SCENE,
            Self::Snow => &snow::SCENE,
            Self::Jungle => &jungle::SCENE,
            Self::Desert => &desert::SCENE,
            Self::City => &city::SCENE,
            Self::Mountain => &mountain::SCENE,
            Self::Sunset => &sunset::SCENE,
            Self::Autumn => &autumn::SCENE,
            Self::WheatField => &wheat_field::SCENE,
            Self::DirtRoad => &dirt_road::SCENE,
            Self::BlueHouse => &blue_house::SCENE,
            Self::Sunflowers => &sunflowers::SCENE,
            Self::Cobblestone => &cobblestone::SCENE,
            Self::PurpleRug => &purple_rug::SCENE,
            Self::WoodenFloor => &wooden_floor::SCENE,
            Self::PinkFabric => &pink_fabric::SCENE,
            Self::WhiteRug => &white_rug::SCENE,
            Self::Water => &water::SCENE,
            Self::Galaxy => &galaxy::SCENE,
            Self::Moon => &moon::SCENE,
        }
    }
}

/// Makes the whole scene a little brighter or darker, warmer or cooler.
fn weather(canvas: &mut Canvas, random: &mut Random) {
    let (bright, warm) = (random.range(0.88, 1.05), random.bell(0.08));
    let light = Rgb([1.0 + warm, 1.0, 1.0 - warm]) * bright;
    canvas.change(Area::ALL, |_, _, under| under.under(light));
}
