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

use crate::canvas::Canvas;
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

/// All that there is to say about a scene.
struct Description {
    name: &'static str,
    phrases: &'static [&'static str],
    footing: Footing,
    /// The colour of the light that falls on objects.
    light: Rgb,
    draw: fn(&mut Canvas, &mut Random),
}

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
    #[must_use]
    pub fn picture(self, seed: u64, side: usize) -> Vec<u8> {
        self.canvas(seed, side).bytes()
    }

    pub(crate) fn canvas(self, seed: u64, side: usize) -> Canvas {
        let mut canvas = Canvas::new(side);
        (self.description().draw)(&mut canvas, &mut Random::new(seed, STREAM));
        canvas
    }

    pub(crate) fn footing(self) -> Footing {
        self.description().footing
    }

    pub(crate) fn light(self) -> Rgb {
        self.description().light
    }

    fn description(self) -> Description {
        use Footing::{Ground, Space, Surface, Water};

        const DAY: Rgb = Rgb::WHITE;
        const FOREST: Rgb = rgb(0xf0faec);
        const NIGHT: Rgb = rgb(0xe2e2f8);
        const WARM: Rgb = rgb(0xfff2e2);
        let (name, phrases, footing, light, draw): (
            _,
            &'static [&'static str],
            _,
            _,
            fn(&mut Canvas, &mut Random),
        ) = match self {
            Self::Beach => ("beach", &["on the beach"], Ground, DAY, beach::draw),
            Self::Snow => ("snow", &["in the snow"], Ground, DAY, snow::draw),
            Self::Jungle => ("jungle", &["in the jungle"], Ground, FOREST, jungle::draw),
            Self::Desert => ("desert", &["in the desert"], Ground, WARM, desert::draw),
            Self::City => (
                "city",
                &["with a city in the background", "in the city at night"],
                Ground,
                NIGHT,
                city::draw,
            ),
            Self::Mountain => {
                ("mountain", &["with a mountain in the background"], Ground, DAY, mountain::draw)
            }
            Self::Sunset => (
                "sunset",
                &["with a beautiful sunset", "with a sunset in the background"],
                Ground,
                rgb(0xffe6d2),
                sunset::draw,
            ),
            Self::Autumn => (
                "autumn",
                &["with a tree and autumn leaves in the background"],
                Ground,
                WARM,
                autumn::draw,
            ),
            Self::WheatField => (
                "wheat field",
                &["with a wheat field in the background"],
                Ground,
                WARM,
                wheat_field::draw,
            ),
            Self::DirtRoad => (
                "dirt road",
                &["on top of a dirt road", "on a dirt road"],
                Ground,
                DAY,
                dirt_road::draw,
            ),
            Self::BlueHouse => (
                "blue house",
                &["with a blue house in the background"],
                Ground,
                DAY,
                blue_house::draw,
            ),
            Self::Sunflowers => (
                "sunflowers",
                &[
                    "on top of green grass with sunflowers around it",
                    "on green grass with sunflowers",
                ],
                Ground,
                DAY,
                sunflowers::draw,
            ),
            Self::Cobblestone => {
                ("cobblestone", &["on a cobblestone street"], Ground, DAY, cobblestone::draw)
            }
            Self::PurpleRug => (
                "purple rug",
                &["on top of a purple rug in a forest"],
                Ground,
                FOREST,
                purple_rug::draw,
            ),
            Self::WoodenFloor => (
                "wooden floor",
                &["on top of a wooden floor", "on a wooden floor"],
                Surface,
                WARM,
                wooden_floor::draw,
            ),
            Self::PinkFabric => (
                "pink fabric",
                &["on top of pink fabric", "on pink fabric"],
                Surface,
                DAY,
                pink_fabric::draw,
            ),
            Self::WhiteRug => (
                "white rug",
                &["on top of a white rug", "on a white rug"],
                Surface,
                DAY,
                white_rug::draw,
            ),
            Self::Water => (
                "water",
                &["floating on top of water", "floating on water"],
                Water,
                DAY,
                water::draw,
            ),
            Self::Galaxy => (
                "galaxy",
                &["in a dream of a distant galaxy", "in a distant galaxy"],
                Space,
                rgb(0xece6ff),
                galaxy::draw,
            ),
            Self::Moon => (
                "moon",
                &["with a landscape from the moon", "on the moon"],
                Ground,
                rgb(0xf0f2fa),
                moon::draw,
            ),
        };
        Description { name, phrases, footing, light, draw }
    }
}
