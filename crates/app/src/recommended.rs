//! What a base model's maker recommends for it: `vico.toml` in its folder.

use std::collections::BTreeMap;

use diffusion::{Base, base::RECOMMENDED};
use personalize::generate::Job;
use serde::Deserialize;
use toml::Table;

use crate::{Error, Result, train::RecipeOptions};

/// The section that is no method's.
const DRAWING: &str = "drawing";

/// What suits a base model better than the defaults.
#[derive(Default)]
pub(crate) struct Recommended {
    /// Recipes by method.
    pub recipes: BTreeMap<String, RecipeOptions>,
    drawing: Drawing,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Drawing {
    guidance: Option<f64>,
}

impl Recommended {
    /// That of a base model; nothing if its folder does not tell.
    ///
    /// # Errors
    /// If the file is not as it must be.
    pub fn of(base: &Base) -> Result<Self> {
        let Some(text) = base.recommended() else { return Ok(Self::default()) };
        Self::read(text).map_err(|e| Error::path(base.path().join(RECOMMENDED), e))
    }

    fn read(text: &str) -> std::result::Result<Self, toml::de::Error> {
        let mut table: Table = text.parse()?;
        let drawing =
            table.remove(DRAWING).map_or_else(|| Ok(Drawing::default()), Drawing::deserialize)?;
        Ok(Self { recipes: BTreeMap::deserialize(table)?, drawing })
    }
}

/// The guidance scale for pictures of a base model where none is named.
///
/// # Errors
/// As [`Recommended::of`].
pub(crate) fn guidance(base: &Base) -> Result<f64> {
    let usual = || Job::new("", 0).guidance;
    Ok(Recommended::of(base)?.drawing.guidance.unwrap_or_else(usual))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes_and_the_guidance_scale_are_read() {
        let text = "[vico]\nsteps = 8\n[drawing]\nguidance = 2.5\n";
        let Recommended { recipes, drawing } = Recommended::read(text).unwrap();
        assert_eq!(drawing.guidance, Some(2.5));
        assert_eq!(recipes.keys().collect::<Vec<_>>(), ["vico"]);
        assert_eq!(recipes["vico"].steps, Some(8));
        assert!(Recommended::read("").unwrap().drawing.guidance.is_none());
        for wrong in
            ["[drawing]\nguidence = 1.0\n", "[drawing]\nguidance = 'much'\n", "drawing = 3\n"]
        {
            assert!(Recommended::read(wrong).is_err(), "{wrong}");
        }
    }
}
