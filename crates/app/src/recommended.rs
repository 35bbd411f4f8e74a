//! What a base model's maker recommends for it: `vico.toml` in its folder.

use std::collections::BTreeMap;

use diffusion::{Base, base::RECOMMENDED};
use personalize::generate::{Guidance, Job};
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
    reference_guidance: Option<f64>,
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

/// The scales of guidance for pictures of a base model where none are named; `method` is
/// that of the adapter that draws, if there is one.
///
/// # Errors
/// As [`Recommended::of`].
pub(crate) fn guidance(base: &Base, method: Option<&str>) -> Result<Guidance> {
    let Drawing { guidance, reference_guidance } = Recommended::of(base)?.drawing;
    let usual = Job::new("", 0).scales();
    let own = Guidance {
        text: guidance.unwrap_or(usual.text),
        reference: reference_guidance.unwrap_or(usual.reference),
    };
    Ok(own.of(method.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes_and_the_scales_of_guidance_are_read() {
        let text = "[vico]\nsteps = 8\n[drawing]\nguidance = 2.5\nreference_guidance = 2.0\n";
        let Recommended { recipes, drawing } = Recommended::read(text).unwrap();
        assert_eq!(drawing.guidance, Some(2.5));
        assert_eq!(drawing.reference_guidance, Some(2.0));
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
