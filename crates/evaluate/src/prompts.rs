//! Sets of prompts, and what of a prompt a picture is compared with.

use std::{fs, io::Read, ops::Range, path::Path, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Error, Result, study::Concept};

/// What stands for the object in a set of prompts.
pub const SLOT: &str = "{}";

/// The sets that the program has; `prompts/README.md` says where they come from.
pub const SETS: [(&str, &str); 4] = [
    ("vico-objects", include_str!("../prompts/vico-objects.txt")),
    ("vico-live", include_str!("../prompts/vico-live.txt")),
    ("dreambench-objects", include_str!("../prompts/dreambench-objects.txt")),
    ("dreambench-live", include_str!("../prompts/dreambench-live.txt")),
];

/// The most a file of prompts may hold.
const LIMIT: u64 = 1 << 20;

/// The prompts of a set of ours, or of a file with one a line, with the placeholder in
/// place of each [`SLOT`]. Empty lines and those that begin with `#` are passed over.
///
/// # Errors
/// If the file cannot be read, holds no prompt, or one without a slot or placeholder.
pub fn read(name: &Path, placeholder: &str) -> Result<Vec<String>> {
    let own = SETS.iter().find(|(set, _)| Some(*set) == name.to_str());
    let text = match own {
        Some((_, text)) => (*text).to_owned(),
        None => {
            let sets = SETS.map(|(set, _)| set).join(", ");
            let wrong = |e| {
                let what =
                    format!("cannot be read as a file of prompts ({e}); our sets are {sets}");
                Error::Usage(format!("{}: {what}", name.display()))
            };
            let mut text = String::new();
            let file = fs::File::open(name).map_err(wrong)?;
            file.take(LIMIT).read_to_string(&mut text).map_err(wrong)?;
            text
        }
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    placed(lines, placeholder, &name.display().to_string())
}

/// Prompts with the placeholder in place of each [`SLOT`]; empty ones are passed over. What
/// they come from, `source`, is for errors.
///
/// # Errors
/// If there is no prompt, or one without a slot or placeholder.
pub fn placed<'a>(
    lines: impl Iterator<Item = &'a str>,
    placeholder: &str,
    source: &str,
) -> Result<Vec<String>> {
    let lines = lines.filter(|line| !line.is_empty());
    let prompts: Vec<String> = lines.map(|line| line.replace(SLOT, placeholder)).collect();
    if prompts.is_empty() {
        return Err(Error::Usage(format!("{source}: it holds no prompt")));
    }
    match prompts.iter().find(|prompt| places(prompt, placeholder).is_empty()) {
        None => Ok(prompts),
        Some(prompt) => Err(Error::Usage(format!(
            "{source}: the prompt \"{prompt}\" says nowhere where the object goes: write {SLOT} \
             there"
        ))),
    }
}

/// What of a prompt a picture is compared with. The two give scores that cannot be
/// compared: near .22 and near .30 for good pictures with CLIP ViT-B/32.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Convention {
    /// The prompt without the object, as ViCo has it.
    #[default]
    Omit,
    /// The class word in its place, as DreamBench has it.
    Class,
}

impl Convention {
    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Omit => "omit",
            Self::Class => "class",
        }
    }

    /// The text that pictures of a prompt of a concept are compared with.
    ///
    /// # Errors
    /// If the class word is wanted and not known.
    pub fn text(self, prompt: &str, concept: &Concept) -> Result<String> {
        let word = match (self, &concept.class_word) {
            (Self::Omit, _) => "",
            (Self::Class, Some(word)) => word,
            (Self::Class, None) => {
                return Err(Error::Usage(format!(
                    "the class word of {} is not known: add --class-word WORD, or compare without \
                     it (--convention omit)",
                    concept.name
                )));
            }
        };
        let mut text = String::new();
        let mut at = 0;
        for place in places(prompt, &concept.placeholder) {
            text += &prompt[at..place.start];
            text += word;
            at = place.end;
        }
        text += &prompt[at..];
        Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

impl FromStr for Convention {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = [Self::Omit, Self::Class].into_iter().find(|c| c.name() == name);
        known.ok_or_else(|| Error::Usage(format!("--convention is {name}, expected omit or class")))
    }
}

/// Where the placeholder stands in a prompt. One that begins or ends with a letter or
/// digit does not touch another there.
fn places(prompt: &str, placeholder: &str) -> Vec<Range<usize>> {
    let joined = |a: Option<char>, b: Option<char>| {
        a.is_some_and(char::is_alphanumeric) && b.is_some_and(char::is_alphanumeric)
    };
    let free = |(at, found): &(usize, &str)| {
        let (before, after) = (&prompt[..*at], &prompt[at + found.len()..]);
        !joined(before.chars().next_back(), found.chars().next())
            && !joined(found.chars().next_back(), after.chars().next())
    };
    if placeholder.is_empty() {
        return Vec::new();
    }
    prompt.match_indices(placeholder).filter(free).map(|(at, f)| at..at + f.len()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn concept(placeholder: &str, class_word: Option<&str>) -> Concept {
        Concept {
            name: "duck".into(),
            photos: Vec::new(),
            prompts: Vec::new(),
            placeholder: placeholder.into(),
            class_word: class_word.map(str::to_owned),
        }
    }

    #[test]
    fn the_object_is_left_out_or_named() {
        let toy = concept("*", Some("toy"));
        assert_eq!(Convention::Omit.text("a photo of * on it", &toy).unwrap(), "a photo of on it");
        assert_eq!(Convention::Class.text("a *, and * too", &toy).unwrap(), "a toy, and toy too");
        let sks = concept("sks", None);
        assert_eq!(Convention::Omit.text("she asks sks", &sks).unwrap(), "she asks");
        let refused = Convention::Class.text("sks", &sks).unwrap_err();
        assert!(refused.is_usage() && refused.to_string().contains("--class-word"), "{refused}");
    }

    #[test]
    fn our_sets_are_those_of_the_papers() {
        for (name, text) in SETS {
            let prompts = read(Path::new(name), "<x>").unwrap();
            assert_eq!(prompts.len(), if name.starts_with("vico") { 31 } else { 25 }, "{name}");
            assert!(prompts.iter().all(|p| p.matches("<x>").count() == 1), "{text}");
        }
    }

    #[test]
    fn files_of_prompts_have_comments_and_placeholders() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("prompts.txt");
        fs::write(&path, "# mine\n\n a * here \nthe {} there\n").unwrap();
        assert_eq!(read(&path, "*").unwrap(), ["a * here", "the * there"]);
        for (text, word) in [("", "no prompt"), ("a dog\n", "{}")] {
            fs::write(&path, text).unwrap();
            let refused = read(&path, "*").unwrap_err().to_string();
            assert!(refused.contains(word), "{refused}");
        }
        let refused = read(&dir.path().join("none"), "*").unwrap_err().to_string();
        assert!(refused.contains("vico-objects"), "{refused}");
    }
}
