//! The captions of the pictures, and all words that can stand in a prompt.

use std::collections::BTreeSet;

use crate::accessory::Accessory;
use crate::catalogue;
use crate::random::Random;
use crate::scene::Scene;
use crate::tint::Tint;

/// Captions of an object somewhere; the scene's phrase follows. The plainest, which evaluation
/// prompts use, is the most frequent.
const WITH_SCENE: [&str; 7] =
    ["a {}", "a {}", "a {}", "the {}", "a photo of a {}", "a photo of a {}", "a photo of the {}"];

/// The "ImageNet small" templates of Textual Inversion (Gal et al. 2022), with which ViCo trains
/// too; they say nothing of the scene.
const WITHOUT_SCENE: [&str; 27] = [
    "a photo of a {}",
    "a rendering of a {}",
    "a cropped photo of the {}",
    "the photo of a {}",
    "a photo of a clean {}",
    "a photo of a dirty {}",
    "a dark photo of the {}",
    "a photo of my {}",
    "a photo of the cool {}",
    "a close-up photo of a {}",
    "a bright photo of the {}",
    "a cropped photo of a {}",
    "a photo of the {}",
    "a good photo of the {}",
    "a photo of one {}",
    "a close-up photo of the {}",
    "a rendition of the {}",
    "a photo of the clean {}",
    "a rendition of a {}",
    "a photo of a nice {}",
    "a good photo of a {}",
    "a photo of the nice {}",
    "a photo of the small {}",
    "a photo of the weird {}",
    "a photo of the large {}",
    "a photo of a cool {}",
    "a photo of a small {}",
];

/// The prompts that papers evaluate with (DreamBooth's and ViCo's), `{}` for the object.
const PROMPTS: [&str; 4] = [
    include_str!("../assets/prompts/dreambench25_live.txt"),
    include_str!("../assets/prompts/dreambench25_objects.txt"),
    include_str!("../assets/prompts/vico31_live.txt"),
    include_str!("../assets/prompts/vico31_nonlive.txt"),
];

/// A caption that names the scene or leaves it open.
pub(crate) fn somewhere(random: &mut Random, thing: &str, scene: Option<Scene>) -> String {
    match scene {
        Some(scene) => {
            let template = random.pick(&WITH_SCENE);
            format!("{} {}", fill(template, thing), random.pick(scene.phrases()))
        }
        None => fill(random.pick(&["a {}", "a photo of a {}"]), thing),
    }
}

/// A caption that says nothing of the scene, and the template that it was made from.
pub(crate) fn without_scene(random: &mut Random, thing: &str) -> (String, &'static str) {
    let template = random.pick(&WITHOUT_SCENE);
    (fill(template, thing), template)
}

/// A template with `thing` in place of `{}`, "a {}" with the article that it needs.
pub(crate) fn fill(template: &str, thing: &str) -> String {
    let with_article = with_article(thing);
    if let Some(rest) = template.strip_prefix("a {}") {
        return with_article + rest;
    }
    template.replace(" a {}", &format!(" {with_article}")).replace("{}", thing)
}

/// "a dog", "an owl", "a unicorn".
pub(crate) fn with_article(thing: &str) -> String {
    let vowel = thing.starts_with(['a', 'e', 'i', 'o', 'u']) && !thing.starts_with("uni");
    format!("{} {thing}", if vowel { "an" } else { "a" })
}

/// Every word, in lower case and sorted, that can stand in a caption of the world, in the name of
/// an object (held out or not), in a training template or in the prompts of the papers. Words are
/// what CLIP's tokenizer splits a text into: runs of letters, and a sign such as "-" by itself.
#[must_use]
pub fn words() -> Vec<String> {
    let mut words = BTreeSet::new();
    let mut add = |text: &str| words.extend(split(text));
    PROMPTS.iter().chain(&WITH_SCENE).chain(&WITHOUT_SCENE).for_each(|text| add(text));
    Scene::ALL.iter().flat_map(|scene| scene.phrases()).for_each(|text| add(text));
    Tint::ALL.iter().for_each(|tint| add(tint.name()));
    Accessory::ALL.iter().for_each(|accessory| add(accessory.phrase()));
    catalogue().iter().for_each(|entry| add(&entry.name));
    SIZES.iter().for_each(|(word, _)| add(word));
    add("an and wearing");
    words.into_iter().collect()
}

fn split(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in text.replace("{}", " ").to_lowercase().chars() {
        if c.is_alphabetic() {
            words.last_mut().expect("never empty").push(c);
        } else if c.is_whitespace() {
            words.push(String::new());
        } else {
            words.extend([c.to_string(), String::new()]);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Words for sizes, and whether they mean a large object.
pub(crate) const SIZES: [(&str, bool); 4] =
    [("small", false), ("little", false), ("big", true), ("large", true)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn articles_follow_the_next_word() {
        assert_eq!(fill("a {}", "owl"), "an owl");
        assert_eq!(fill("a photo of a {}", "unicorn"), "a photo of a unicorn");
        assert_eq!(fill("the photo of a {}", "orange bus"), "the photo of an orange bus");
        assert_eq!(fill("a photo of a nice {}", "owl"), "a photo of a nice owl");
        assert_eq!(fill("a photo of the {}", "apple"), "a photo of the apple");
    }

    #[test]
    fn words_are_split_as_by_clip() {
        assert_eq!(
            split("a close-up photo of the {}"),
            ["a", "close", "-", "up", "photo", "of", "the"]
        );
    }

    #[test]
    fn words_are_sorted_and_hold_those_of_every_source() {
        let words = words();
        assert!(words.is_sorted());
        for word in ["an", "and", "wearing", "-", "eiffel", "pinata", "jungle", "purple", "weird"] {
            assert!(words.iter().any(|w| w == word), "{word}");
        }
    }
}
