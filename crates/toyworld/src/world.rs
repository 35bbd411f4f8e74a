//! The world: objects, scenes, and pictures drawn from a seed.

use std::path::Path;

use crate::accessory::{Accessory, Wardrobe};
use crate::caption::{SIZES, fill, somewhere, with_article, without_scene};
use crate::catalogue::{Entry, catalogue};
use crate::colour::Rgb;
use crate::compose::{Layer, Pose, Room};
use crate::plan::{Effect, Plan};
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
        assert!(self.trained().next().is_some(), "a world with an object to train on");
        let random = &mut Random::new(seed, CONTENT);
        let scene = random.pick(Scene::ALL);
        let (object, kind) = self.choose(random);
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
        self.dyed(object, None, scene, seed, side)
    }

    /// The same with the object dyed, if a tint is given; the caption then says so.
    ///
    /// # Panics
    ///
    /// As [`plain`](Self::plain).
    #[must_use]
    pub fn dyed(
        &self,
        object: usize,
        tint: Option<Tint>,
        scene: Scene,
        seed: u64,
        side: usize,
    ) -> Rendering {
        let name = self.objects[object].name();
        let (kind, thing) = match tint {
            None => (Kind::Plain, name.to_owned()),
            Some(tint) => (Kind::Colour(tint), format!("{} {name}", tint.name())),
        };
        let plan = Plan { object, scene, kind, seed, effect: Effect::None };
        let photo = fill("a photo of a {}", &thing);
        self.render(plan, format!("{photo} {}", scene.phrase()), side)
    }

    /// The object and the kind of a picture, as frequent as [`sample`](Self::sample) says.
    fn choose(&self, random: &mut Random) -> (usize, Kind) {
        let (trained, wearers) = (self.trained().collect::<Vec<_>>(), self.wearers());
        let lot = random.below(100);
        if lot >= 95 && !wearers.is_empty() {
            return (random.pick(&wearers), Kind::Accessory(random.pick(&Accessory::ALL)));
        }
        let object = random.pick(&trained);
        let kind = match lot {
            60..75 => Kind::NoScene,
            75..85 => Kind::Colour(random.pick(&Tint::ALL)),
            85..90 => Kind::Size { large: random.chance(0.5) },
            90..95 if trained.len() > 1 => {
                let others: Vec<_> = trained.into_iter().filter(|&i| i != object).collect();
                Kind::Two { other: random.pick(&others) }
            }
            _ => Kind::Plain,
        };
        (object, kind)
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
