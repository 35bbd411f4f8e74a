//! The world: objects, scenes, and pictures drawn from a seed.

use std::path::Path;

use crate::accessory::{Accessory, Wardrobe};
use crate::canvas::Area;
use crate::caption::{SIZES, fill, somewhere, with_article, without_scene};
use crate::catalogue::{Entry, catalogue};
use crate::colour::Rgb;
use crate::compose::{Layer, Pose, Room};
use crate::random::Random;
use crate::scene::{Footing, Scene};
use crate::sprite::Sprite;
use crate::tint::{Dye, Tint};
use crate::{Error, Result};

/// The streams of a seed's random numbers for what is shown and said, and for how it stands.
const CONTENT: u64 = 2;
const POSE: u64 = 3;

/// An object with its picture.
#[derive(Debug)]
pub struct Object {
    entry: Entry,
    sprite: Sprite,
}

impl Object {
    /// What captions call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.entry.name
    }

    /// Its row in the list of objects.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.entry
    }
}

/// What a picture of the training world shows, and its caption says, besides an object in a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing else.
    Plain,
    /// The caption leaves the scene out.
    NoScene,
    /// The object is dyed.
    Colour(Tint),
    /// The object is small or large.
    Size {
        /// Whether it is large.
        large: bool,
    },
    /// A second object stands to the right.
    Two {
        /// Its index.
        other: usize,
    },
    /// The object wears something.
    Accessory(Accessory),
}

/// A picture and what is known about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendering {
    /// `side * side * 3` bytes (red, green, blue), row by row from the top.
    pub pixels: Vec<u8>,
    /// How much of each pixel the object covers, 0..=255: `side * side` bytes. Without the second
    /// object and without what the object wears, which may hide a part of it.
    pub mask: Vec<u8>,
    /// What the picture shows, in lower-case words.
    pub caption: String,
    /// The index of the object; of the first, if there are two.
    pub object: usize,
    /// Where it is.
    pub scene: Scene,
    /// What else there is.
    pub kind: Kind,
}

/// All objects, ready to be drawn. Drawing needs no `mut`: many threads may share a world.
#[derive(Debug)]
pub struct World {
    objects: Vec<Object>,
    wardrobe: Wardrobe,
}

impl World {
    /// Reads the pictures of all objects of the [`catalogue`] from the folder of the package's
    /// WebP files (`package/assets` of `@lobehub/fluent-emoji-3d` 1.1.0).
    ///
    /// # Errors
    ///
    /// If the folder or a picture is missing, damaged, or of another size than the package's.
    pub fn open(folder: &Path) -> Result<Self> {
        Self::load(folder, catalogue())
    }

    /// The same with only the objects of these names, in this order.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), or if the catalogue has no object of a name.
    pub fn of(folder: &Path, names: &[&str]) -> Result<Self> {
        let entries = catalogue();
        let find = |&name: &&str| {
            let found = entries.iter().find(|entry| entry.name == name);
            found.cloned().ok_or_else(|| Error::UnknownObject { name: name.to_owned() })
        };
        Self::load(folder, names.iter().map(find).collect::<Result<_>>()?)
    }

    fn load(folder: &Path, entries: Vec<Entry>) -> Result<Self> {
        if !folder.is_dir() {
            return Err(Error::NoFolder { path: folder.to_owned() });
        }
        let object = |entry: Entry| {
            let sprite = Sprite::read(folder, &entry.code, &entry.name)?;
            Ok(Object { entry, sprite })
        };
        let objects = entries.into_iter().map(object).collect::<Result<_>>()?;
        Ok(Self { objects, wardrobe: Wardrobe::open(folder)? })
    }

    /// The objects; everything else refers to them by index.
    #[must_use]
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// The objects to train on.
    pub fn trained(&self) -> impl Iterator<Item = usize> {
        (0..self.objects.len()).filter(|&i| !self.objects[i].entry.held_out)
    }

    /// The objects that [`sample`](Self::sample) never shows.
    pub fn held_out(&self) -> impl Iterator<Item = usize> {
        (0..self.objects.len()).filter(|&i| self.objects[i].entry.held_out)
    }

    /// A random picture of the training world, `side` pixels a side: everything in it is drawn
    /// from the seed. Pictures of the same seed and another side show the same.
    ///
    /// Of all pictures, 60 % are [plain](Kind::Plain), 15 % leave the scene out, 10 % have a dyed
    /// object, and 5 % each a size, two objects, or something worn. (In a world of few objects that
    /// lacks a second object, or one that can wear things, those are plain.)
    ///
    /// # Panics
    ///
    /// If the world has no object to train on, or `side` is zero.
    #[must_use]
    pub fn sample(&self, seed: u64, side: usize) -> Rendering {
        let random = &mut Random::new(seed, CONTENT);
        let scene = random.pick(Scene::ALL);
        let kind = self.draw_kind(random);
        let object = match kind {
            Kind::Accessory(_) => random.pick(&self.wearers()),
            _ => random.pick(&self.trained().collect::<Vec<_>>()),
        };
        let kind = match kind {
            Kind::Two { .. } => {
                let others: Vec<_> = self.trained().filter(|&i| i != object).collect();
                Kind::Two { other: random.pick(&others) }
            }
            kind => kind,
        };
        let (caption, template) = self.caption(random, object, scene, kind);
        let plan = Plan { object, scene, kind, seed, effect: Effect::of(template) };
        self.render(plan, caption, side)
    }

    /// A picture of one object in one scene without extras, `side` pixels a side. The caption is
    /// "a photo of a ..." with the scene's canonical phrase.
    ///
    /// # Panics
    ///
    /// If there is no such object, or `side` is zero.
    #[must_use]
    pub fn plain(&self, object: usize, scene: Scene, seed: u64, side: usize) -> Rendering {
        let photo = fill("a photo of a {}", self.objects[object].name());
        let plan = Plan { object, scene, kind: Kind::Plain, seed, effect: Effect::None };
        self.render(plan, format!("{photo} {}", scene.phrase()), side)
    }

    fn draw_kind(&self, random: &mut Random) -> Kind {
        match random.below(100) {
            0..60 => Kind::Plain,
            60..75 => Kind::NoScene,
            75..85 => Kind::Colour(random.pick(&Tint::ALL)),
            85..90 => Kind::Size { large: random.chance(0.5) },
            90..95 if self.trained().count() > 1 => Kind::Two { other: 0 },
            95.. if !self.wearers().is_empty() => Kind::Accessory(random.pick(&Accessory::ALL)),
            _ => Kind::Plain,
        }
    }

    /// The objects to train on that can wear things.
    fn wearers(&self) -> Vec<usize> {
        self.trained().filter(|&i| self.objects[i].entry.face.is_some()).collect()
    }

    /// A caption, and the template if it is one that leaves the scene out.
    fn caption(
        &self,
        random: &mut Random,
        object: usize,
        scene: Scene,
        kind: Kind,
    ) -> (String, &'static str) {
        let name = self.objects[object].name();
        let thing = match kind {
            Kind::NoScene => return without_scene(random, name),
            Kind::Plain => return (somewhere(random, name, Some(scene)), ""),
            Kind::Colour(tint) => format!("{} {name}", tint.name()),
            Kind::Size { large } => {
                let words = SIZES.iter().filter(|(_, means_large)| *means_large == large);
                let (word, _) = random.pick(&words.collect::<Vec<_>>());
                format!("{word} {name}")
            }
            Kind::Two { other } => {
                format!("{name} and {}", with_article(self.objects[other].name()))
            }
            Kind::Accessory(accessory) => format!("{name} wearing {}", accessory.phrase()),
        };
        let told = random.chance(0.6).then_some(scene);
        (somewhere(random, &thing, told), "")
    }

    fn render(&self, plan: Plan, caption: String, side: usize) -> Rendering {
        let Plan { object, scene, kind, seed, effect } = plan;
        let random = &mut Random::new(seed, POSE);
        let (footing, mut canvas) = (scene.footing(), scene.canvas(seed, side));
        let from_left = random.chance(0.5);
        let light = scene.light() * random.range(0.92, 1.06);

        let room = plan.room(random, 0);
        let main = self.layer(random, object, room, plan.dye(), footing, light);
        if let Kind::Two { other } = kind {
            let room = plan.room(random, 1);
            let second = self.layer(random, other, room, Dye::None, footing, light);
            second.ground(&mut canvas, footing, from_left);
            second.draw(&mut canvas, footing);
        }
        main.ground(&mut canvas, footing, from_left);
        let mask = main.draw(&mut canvas, footing);
        let mask = canvas.mask_bytes(&mask);
        if let Kind::Accessory(accessory) = kind {
            self.worn(&main, object, accessory).draw(&mut canvas, Footing::Surface);
        }
        effect.apply(&mut canvas);
        Rendering { pixels: canvas.bytes(), mask, caption, object, scene, kind }
    }

    fn layer(
        &self,
        random: &mut Random,
        object: usize,
        room: Room,
        dye: Dye,
        footing: Footing,
        light: Rgb,
    ) -> Layer<'_> {
        let sprite = &self.objects[object].sprite;
        Layer { sprite, pose: Pose::new(random, sprite, footing, room), dye, light }
    }

    /// What the object wears, in its place on the drawn object.
    fn worn(&self, wearer: &Layer<'_>, object: usize, accessory: Accessory) -> Layer<'_> {
        let face = self.objects[object].entry.face.expect("an object that can wear things");
        let (sprite, dye) = self.wardrobe.get(accessory);
        let ([x, y, width], above) = accessory.spot(&face);
        let (x, y) = wearer.sprite.place((x, y));
        let (sprite_width, sprite_height) = sprite.size();
        let size = wearer.sprite.length(width) / sprite_width;
        let raised = sprite_height * size * (above - 0.5);
        Layer {
            sprite,
            pose: wearer.pose.attached((x, y - raised), size),
            dye,
            light: wearer.light,
        }
    }
}

/// What a picture is going to show.
#[derive(Clone, Copy)]
struct Plan {
    object: usize,
    scene: Scene,
    kind: Kind,
    seed: u64,
    effect: Effect,
}

impl Plan {
    /// The room for the first object (`slot` 0) or the second.
    fn room(&self, random: &mut Random, slot: usize) -> Room {
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

    fn dye(&self) -> Dye {
        match self.kind {
            Kind::Colour(tint) => Dye::Hue(tint.colour()),
            _ => Dye::None,
        }
    }
}

/// What a template without a scene says about the photo.
#[derive(Clone, Copy)]
enum Effect {
    None,
    Dark,
    Bright,
    Small,
    Large,
    Close,
}

impl Effect {
    fn of(template: &str) -> Self {
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
    fn apply(self, canvas: &mut crate::canvas::Canvas) {
        match self {
            Self::Dark => canvas.change(Area::ALL, |_, _, under| under * 0.55),
            Self::Bright => {
                canvas.change(Area::ALL, |_, _, under| (under * 1.12).mix(Rgb::WHITE, 0.14))
            }
            Self::None | Self::Small | Self::Large | Self::Close => {}
        }
    }
}
