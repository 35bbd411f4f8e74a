//! Keys of the files that a user writes.

use toml::{Table, Value};

/// The dotted names of all keys in a table, sections' own included.
pub(crate) fn names(table: &Table, prefix: &str) -> Vec<String> {
    let mut all = Vec::new();
    for (key, value) in table {
        let name = format!("{prefix}{key}");
        if let Value::Table(inner) = value {
            all.extend(names(inner, &format!("{name}.")));
        }
        all.push(name);
    }
    all
}

/// Checks that every key of a table is among the known ones.
///
/// # Errors
/// The first that is not, and the nearest that is.
pub(crate) fn check(table: &Table, known: &[String]) -> Result<(), String> {
    let Some(unknown) = names(table, "").into_iter().find(|name| !known.contains(name)) else {
        return Ok(());
    };
    let last = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
    let likeness = |name: &&String| {
        let whole = strsim::jaro_winkler(&unknown, name);
        let key = strsim::jaro_winkler(&last(&unknown), &last(name));
        [whole.max(key), whole].map(|likeness| (likeness * 1e6) as u64)
    };
    let nearest = known.iter().max_by_key(likeness).map(String::as_str).unwrap_or_default();
    Err(format!("unknown key {unknown}; the nearest is {nearest}"))
}

/// Puts values in place of others, section by section.
pub(crate) fn overlay(table: &mut Table, with: &Table) {
    for (key, value) in with {
        match (table.get_mut(key), value) {
            (Some(Value::Table(inner)), Value::Table(with)) => overlay(inner, with),
            _ => drop(table.insert(key.clone(), value.clone())),
        }
    }
}
