//! Pictures that were drawn before, and what they say of themselves.

use std::{
    fs,
    path::{Path, PathBuf},
};

use evaluate::study::Sample;
use images::{list_photos, read_png_text};
use personalize::PLACEHOLDER;
use serde_json::Value;

use super::Judged;
use crate::{
    DEFAULT_BASE, Error, Events, Result,
    generate::SHEET,
    infotext::{self, Infotext},
    inspect::is_png,
    pictures::KEYWORD,
};

/// What a picture tells.
#[derive(Default)]
struct Told {
    prompt: Option<String>,
    placeholder: Option<String>,
    class_word: Option<String>,
    method: Option<String>,
    /// The base model is the one inside the program.
    inside: bool,
}

/// The method of pictures that tell none.
const METHOD: &str = "pictures";

/// The pictures of a folder and of the folders in it. A picture's prompt is the one
/// typed, else what it tells, else the name of its folder within `folder`.
pub(super) fn read(
    folder: &Path,
    prompt: Option<&str>,
    placeholder: Option<&str>,
    events: &mut dyn Events,
) -> Result<Judged> {
    let mut judged = Judged {
        methods: Vec::new(),
        prompts: Vec::new(),
        samples: Vec::new(),
        placeholder: String::new(),
        class_word: None,
        inside: true,
        recipe: vec![("pictures".into(), folder.display().to_string())],
    };
    let mut placeholder = placeholder.map(str::to_owned);
    for (file, named) in files(folder)? {
        let told = told(&file)?;
        let is_sheet = file.file_stem().is_some_and(|s| s.to_string_lossy().starts_with(SHEET));
        if told.prompt.is_none() && is_sheet {
            continue;
        }
        let own = prompt.map(str::to_owned).or(told.prompt).or(named);
        let Some(prompt) = own else {
            let what = "it does not tell its prompt: add --prompt, or put the pictures of each \
                        prompt into a folder of its name";
            return Err(Error::path(file, what));
        };
        placeholder = placeholder.or(told.placeholder);
        judged.class_word = judged.class_word.or(told.class_word);
        judged.inside &= told.inside;
        let method = told.method.unwrap_or_else(|| METHOD.into());
        judged.samples.push(Sample {
            concept: 0,
            method: index(&mut judged.methods, method),
            prompt: index(&mut judged.prompts, prompt),
            file,
        });
    }
    if judged.samples.is_empty() {
        return Err(Error::path(folder, "it holds no picture to judge"));
    }
    events.note(format!("{} pictures of {} prompts", judged.samples.len(), judged.prompts.len()));
    judged.placeholder = placeholder.unwrap_or_else(|| PLACEHOLDER.into());
    Ok(judged)
}

/// The index of a name, which is added if it is new.
fn index(names: &mut Vec<String>, name: String) -> usize {
    names.iter().position(|known| *known == name).unwrap_or_else(|| {
        names.push(name);
        names.len() - 1
    })
}

/// The pictures of a folder, then those of each folder in it with that one's name.
fn files(folder: &Path) -> Result<Vec<(PathBuf, Option<String>)>> {
    let mut files: Vec<_> = list_photos(folder)?.into_iter().map(|file| (file, None)).collect();
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    let entries = entries.map_err(|e| Error::path(folder, format!("cannot be read: {e}")))?;
    let mut folders: Vec<PathBuf> =
        entries.into_iter().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    for folder in folders {
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
        files.extend(list_photos(&folder)?.into_iter().map(|file| (file, name.clone())));
    }
    Ok(files)
}

fn told(file: &Path) -> Result<Told> {
    if !is_png(file)? {
        return Ok(Told::default());
    }
    let texts = read_png_text(file)?;
    let text = |keyword: &str| {
        texts.iter().find(|(found, _)| found == keyword).map(|(_, text)| text.as_str())
    };
    let own = text(KEYWORD).and_then(|text| serde_json::from_str::<Value>(text).ok());
    if let Some(own) = own {
        let get = |path: &str| {
            let text = own.pointer(path).and_then(Value::as_str);
            text.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        return Ok(Told {
            prompt: get("/job/prompt"),
            placeholder: get("/adapter/placeholder"),
            class_word: get("/adapter/init_word"),
            method: get("/adapter/method"),
            inside: get("/request/base").is_some_and(|base| base == DEFAULT_BASE),
        });
    }
    let theirs = text(infotext::KEYWORD).map(Infotext::parse);
    Ok(theirs.map_or_else(Told::default, |theirs| Told {
        placeholder: theirs.get("Placeholder").map(str::to_owned),
        prompt: Some(theirs.prompt).filter(|prompt| !prompt.is_empty()),
        ..Told::default()
    }))
}
