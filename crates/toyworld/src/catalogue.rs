//! The list of the world's objects.

use serde::Deserialize;

/// What sort of thing an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum ObjectKind {
    Animal,
    Food,
    Plant,
    Vehicle,
    Building,
    Instrument,
    Tool,
    Clothes,
    Thing,
}

impl ObjectKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Animal,
        Self::Food,
        Self::Plant,
        Self::Vehicle,
        Self::Building,
        Self::Instrument,
        Self::Tool,
        Self::Clothes,
        Self::Thing,
    ];
}

/// A place for an accessory: x, y and the width that it should have, in units of the side of the
/// object's picture.
pub(crate) type Spot = [f32; 3];

/// Where an object wears things.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Face {
    /// The middle of a hat's brim.
    pub head: Spot,
    /// Between the eyes.
    pub eyes: Spot,
    /// The middle of a scarf.
    pub neck: Spot,
}

/// An object of the list `assets/objects.toml`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The name of the picture's file without `.webp`: the code points of an emoji.
    pub code: String,
    /// What captions call the object: one or two lower-case words, such as "fire engine".
    pub name: String,
    /// What sort of thing it is.
    pub kind: ObjectKind,
    /// Whether it is kept from training.
    #[serde(default)]
    pub held_out: bool,
    pub(crate) face: Option<Face>,
}

/// The objects of the world, those to train on first. Whoever has not the pictures can still read
/// the names.
///
/// # Panics
///
/// If the list that is built in is not as it should be: a fault of the program.
#[must_use]
pub fn catalogue() -> Vec<Entry> {
    #[derive(Deserialize)]
    struct List {
        objects: Vec<Entry>,
    }
    let list = include_str!("../assets/objects.toml");
    toml::from_str::<List>(list).expect("the built-in list of objects").objects
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_list_has_104_objects_to_train_on_and_48_held_out() {
        let held_out: Vec<bool> = catalogue().iter().map(|entry| entry.held_out).collect();
        assert_eq!(held_out, [[false; 104].as_slice(), &[true; 48]].concat());
    }

    #[test]
    fn names_and_codes_are_unique() {
        let entries = catalogue();
        let names: HashSet<_> = entries.iter().map(|entry| &entry.name).collect();
        let codes: HashSet<_> = entries.iter().map(|entry| &entry.code).collect();
        assert_eq!((names.len(), codes.len()), (152, 152));
    }

    #[test]
    fn names_are_one_or_two_plain_words() {
        for Entry { name, code, .. } in catalogue() {
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b' '), "{name}");
            assert!((1..=2).contains(&name.split_whitespace().count()), "{name}");
            assert!(code.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'), "{code}");
        }
    }

    #[test]
    fn every_kind_is_trained_on_and_held_out() {
        for kind in ObjectKind::ALL {
            for held_out in [false, true] {
                let is = |entry: &Entry| entry.kind == kind && entry.held_out == held_out;
                assert!(catalogue().iter().any(is), "{kind:?}, held out: {held_out}");
            }
        }
    }

    #[test]
    fn faces_lie_within_their_pictures() {
        let faces: Vec<_> = catalogue().into_iter().filter_map(|entry| entry.face).collect();
        assert!(faces.len() > 10);
        let inside = |number: f32| (0.05..=0.95).contains(&number);
        for Face { head, eyes, neck } in faces {
            assert!([head, eyes, neck].concat().into_iter().all(inside));
            assert!(head[1] < eyes[1] && eyes[1] < neck[1], "from the top downwards");
        }
    }
}
