//! What a run folder was begun with: a plan may grow, but what is there stays as it was.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use toml::{Table, Value};

use super::{
    file::Judging,
    plan::{Method, Plan},
};
use crate::{Error, Result};

/// The plan in a run folder.
const PLAN: &str = "plan.toml";

/// Lists whose entries may be added.
const GROWING: [&str; 2] = ["concepts", "methods"];

/// What a run folder holds of a plan.
pub(super) struct Record {
    path: PathBuf,
    table: Table,
}

impl Record {
    /// That of a plan, compared with the run folder's, if there is one.
    ///
    /// # Errors
    /// If a key was changed, or something was taken away; names it.
    pub fn of(plan: &Plan, fingerprint: &str, folder: &Path) -> Result<Self> {
        let record = Self { path: folder.join(PLAN), table: table(plan, fingerprint) };
        if record.path.exists() {
            record.compare()?;
        }
        Ok(record)
    }

    fn compare(&self) -> Result<()> {
        let Self { path, table } = self;
        let wrong = |e: &dyn std::fmt::Display| Error::path(path, e);
        let text = fs::read_to_string(path).map_err(|e| wrong(&e))?;
        let old: Table = text.parse().map_err(|e: toml::de::Error| wrong(&e))?;
        compare(&old, table).map_err(|what| {
            Error::Usage(format!(
                "{}: {what}; the run was begun otherwise: put it back, or name another --output",
                path.display()
            ))
        })
    }

    /// Writes it into the folder.
    pub fn write(&self) -> Result<()> {
        let text = toml::to_string(&self.table).map_err(|e| Error::path(&self.path, e))?;
        Ok(formats::atomic_write(&self.path, |file| file.write_all(text.as_bytes()))?)
    }
}

/// What decides pictures. What is kept is not in it, nor are encoders, but where they decide
/// when a training ends.
fn table(plan: &Plan, fingerprint: &str) -> Table {
    let text = |text: &dyn std::fmt::Display| Value::from(text.to_string());
    let list = |list: &[String]| Value::from(list.to_vec());
    let drawing = &plan.drawing;
    let mut drawn = Table::from_iter([
        ("samples".to_owned(), Value::from(drawing.samples as i64)),
        ("steps".to_owned(), Value::from(drawing.steps as i64)),
        ("guidance".to_owned(), Value::from(drawing.guidance)),
        ("sampler".to_owned(), text(&drawing.sampler)),
        ("negative".to_owned(), text(&drawing.negative)),
    ]);
    // Plans of before there was one say nothing.
    if drawing.reference_guidance != 1.0 {
        let scale = Value::from(drawing.reference_guidance);
        drawn.insert("reference_guidance".to_owned(), scale);
    }
    drawn.extend(drawing.size.map(|size| ("size".to_owned(), Value::from(size as i64))));
    let concepts = plan.concepts.iter().map(|concept| {
        let entry = Table::from_iter([
            ("word".to_owned(), text(&concept.word)),
            ("photos".to_owned(), list(&concept.digests)),
            ("prompts".to_owned(), list(&concept.prompts)),
        ]);
        (concept.name.clone(), Value::from(entry))
    });
    let method = |method: &Method| {
        let mut keys = method.keys.clone();
        if method.evaluation.stop_when_no_better.is_some_and(|most| most > 0) {
            keys.insert("stopped_by".to_owned(), judging(&plan.judging));
        }
        (method.name.clone(), Value::from(keys))
    };
    let methods = plan.methods.iter().map(method);
    let loras: Vec<String> = plan.loras.iter().map(ToString::to_string).collect();
    Table::from_iter([
        ("base".to_owned(), text(&plan.base.display())),
        ("base_fingerprint".to_owned(), text(&fingerprint)),
        ("loras".to_owned(), list(&loras)),
        // TOML has no unsigned numbers.
        ("seed".to_owned(), text(&plan.seed)),
        ("drawing".to_owned(), Value::from(drawn)),
        ("concepts".to_owned(), Value::from(Table::from_iter(concepts))),
        ("methods".to_owned(), Value::from(Table::from_iter(methods))),
    ])
}

/// The encoders, as the plan names them.
fn judging(judging: &Judging) -> Value {
    let Judging { clip, dino, convention } = judging;
    let encoders = [("clip", clip), ("dino", dino)].into_iter().filter_map(|(key, encoder)| {
        Some((key.to_owned(), encoder.as_ref()?.display().to_string()))
    });
    let convention = ("convention".to_owned(), convention.name().to_owned());
    let all = encoders.chain([convention]).map(|(key, text)| (key, Value::from(text)));
    Value::from(Table::from_iter(all))
}

/// Finds out whether a plan only grew.
fn compare(old: &Table, new: &Table) -> std::result::Result<(), String> {
    let (mut old, mut new) = (old.clone(), new.clone());
    for list in GROWING {
        let [old, new] = [&mut old, &mut new].map(|plan| match plan.remove(list) {
            Some(Value::Table(entries)) => entries,
            _ => Table::new(),
        });
        for (name, was) in &old {
            let name = format!("{list}.{name}");
            let is = new.get(&name[list.len() + 1..]).ok_or_else(|| format!("{name} is gone"))?;
            same(&values(was, &name), &values(is, &name))?;
        }
    }
    same(&values(&Value::from(old), ""), &values(&Value::from(new), ""))
}

/// The values inside a value by dotted key.
fn values(value: &Value, name: &str) -> BTreeMap<String, Value> {
    let Value::Table(table) = value else {
        return BTreeMap::from([(name.to_owned(), value.clone())]);
    };
    let dot = if name.is_empty() { "" } else { "." };
    let inside = table.iter().map(|(key, value)| values(value, &format!("{name}{dot}{key}")));
    inside.flatten().collect()
}

fn same(
    old: &BTreeMap<String, Value>,
    new: &BTreeMap<String, Value>,
) -> std::result::Result<(), String> {
    for (key, was) in old {
        match new.get(key) {
            None => return Err(format!("{key} is gone")),
            Some(is) if grew(key, was, is) => {}
            Some(is) => return Err(format!("{key} was {was} and is {is}")),
        }
    }
    match new.keys().find(|key| !old.contains_key(*key)) {
        Some(key) => Err(format!("{key} is new")),
        None => Ok(()),
    }
}

/// Whether a value is as it was, or more of the same.
fn grew(key: &str, was: &Value, is: &Value) -> bool {
    let prompts = key.starts_with("concepts.") && key.ends_with(".prompts");
    match (was, is) {
        (Value::Array(was), Value::Array(is)) if prompts => was.iter().all(|p| is.contains(p)),
        (Value::Integer(was), Value::Integer(is)) if key == "drawing.samples" => was <= is,
        _ => was == is,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "seed = '1'\n[drawing]\nsamples = 4\n[concepts.'a.b']\nword = 'dog'\n\
                       prompts = ['x *', 'y *']\n[methods.m]\nsteps = 3\n";

    fn compared(from: &str, to: &str) -> std::result::Result<(), String> {
        assert!(OLD.contains(from));
        compare(&OLD.parse().unwrap(), &OLD.replace(from, to).parse().unwrap())
    }

    #[test]
    fn a_plan_may_grow() {
        for (from, to) in [
            ("", ""),
            ("samples = 4", "samples = 8"),
            ("'x *',", "'z *', 'x *',"),
            ("[methods.m]", "[methods.n]\nsteps = 4\nvico.mask = false\n[methods.m]"),
            ("[methods.m]", "[concepts.c]\nword = 'cat'\nprompts = []\n[methods.m]"),
        ] {
            compared(from, to).unwrap();
        }
    }

    #[test]
    fn what_changed_is_named() {
        for (from, to, what) in [
            ("'1'", "'2'", "seed was \"1\" and is \"2\""),
            ("samples = 4", "samples = 2", "drawing.samples was 4 and is 2"),
            ("'x *', ", "", "concepts.a.b.prompts"),
            ("steps = 3", "steps = 4", "methods.m.steps was 3 and is 4"),
            ("steps = 3", "steps = 3\nbatch = 1", "methods.m.batch is new"),
            ("steps = 3", "steps = 3\nvico.mask = false", "methods.m.vico.mask is new"),
            ("[methods.m]\nsteps = 3", "", "methods.m is gone"),
            ("seed", "size = 3\nseed", "size is new"),
        ] {
            let found = compared(from, to).unwrap_err();
            assert!(found.contains(what), "{what} in {found}");
        }
    }
}
