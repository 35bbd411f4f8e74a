//! ViCo's switches: the paper's choices, and the ablations that ask what each is
//! worth (arXiv 2306.00971, section 4).

use std::str::FromStr;

use diffusion::unet::{Part, Site};
use serde::{Deserialize, Serialize};

/// How image attention is built, where it sits and what it sees. The default is
/// the paper's; a key that a recipe lacks is the default.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Variant {
    /// Only patches of the object are read from the reference.
    pub mask: bool,
    /// How the reference enters the noisy stream.
    pub injection: Injection,
    /// Which transformers carry image attention.
    pub image_attention: Placement,
    /// No gradient goes through the reference stream.
    pub detach_reference: bool,
    /// Fresh image attention changes nothing.
    pub zero_init: bool,
    /// A training photo is its own reference.
    pub same_reference: bool,
}

impl Default for Variant {
    fn default() -> Self {
        Self {
            mask: true,
            injection: Injection::default(),
            image_attention: Placement::default(),
            detach_reference: false,
            zero_init: false,
            same_reference: false,
        }
    }
}

/// How the reference's tokens enter the noisy stream: what stands in the place of
/// the image-attention block's cross-attention.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Injection {
    /// Cross-attention, the paper's.
    #[default]
    Attention,
    /// Both streams' features side by side, patch by patch, through a learned MLP.
    Concat,
    /// Their sum, patch by patch, through a learned MLP.
    Add,
}

/// The transformers that carry image attention.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// Every second one of the decoder (SD 1.x: 8, 10, 12, 14), the paper's.
    #[default]
    DecoderAlternate,
    /// All of the decoder.
    Decoder,
    /// All of the encoder.
    Encoder,
    /// All.
    All,
}

const INJECTIONS: [(&str, Injection); 3] =
    [("attention", Injection::Attention), ("concat", Injection::Concat), ("add", Injection::Add)];

const PLACEMENTS: [(&str, Placement); 4] = [
    ("decoder-alternate", Placement::DecoderAlternate),
    ("decoder", Placement::Decoder),
    ("encoder", Placement::Encoder),
    ("all", Placement::All),
];

impl FromStr for Injection {
    /// The names there are.
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        named(&INJECTIONS, text)
    }
}

impl FromStr for Placement {
    /// The names there are.
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        named(&PLACEMENTS, text)
    }
}

fn named<T: Copy>(names: &[(&str, T)], text: &str) -> Result<T, String> {
    let found = names.iter().find(|(name, _)| *name == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        format!("expected {}", names.join(", "))
    })
}

impl Placement {
    /// The chosen ones of all transformers, in the order of computation.
    pub fn sites(self, all: &[Site]) -> Vec<Site> {
        let of = |part: Part| all.iter().filter(move |site| site.part == part).cloned();
        match self {
            Self::DecoderAlternate => of(Part::Decoder).skip(1).step_by(2).collect(),
            Self::Decoder => of(Part::Decoder).collect(),
            Self::Encoder => of(Part::Encoder).collect(),
            Self::All => all.to_vec(),
        }
    }
}

impl Variant {
    /// True for the paper's choices.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// True if what was learned is used as the paper uses it, however it was trained.
    pub fn draws_as_the_paper(&self) -> bool {
        let Self { mask, injection, image_attention, .. } = *self;
        let drawing = Self { mask, injection, image_attention, ..Self::default() };
        drawing.is_default()
    }

    /// How it differs from the paper, in words; empty if it does not.
    pub fn differences(&self) -> Vec<&'static str> {
        let injection = match self.injection {
            Injection::Attention => None,
            Injection::Concat => Some("concatenated features in place of attention"),
            Injection::Add => Some("added features in place of attention"),
        };
        let placement = match self.image_attention {
            Placement::DecoderAlternate => None,
            Placement::Decoder => Some("image attention in the whole decoder"),
            Placement::Encoder => Some("image attention in the encoder"),
            Placement::All => Some("image attention in all transformers"),
        };
        [
            (!self.mask).then_some("no mask"),
            injection,
            placement,
            self.detach_reference.then_some("a detached reference stream"),
            self.zero_init.then_some("zero-initialised output"),
            self.same_reference.then_some("each photo its own reference"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_and_of_the_command_line_are_the_same() {
        for (name, injection) in INJECTIONS {
            assert_eq!(serde_json::to_value(injection).unwrap(), name);
            assert_eq!(name.parse::<Injection>().unwrap(), injection);
        }
        for (name, placement) in PLACEMENTS {
            assert_eq!(serde_json::to_value(placement).unwrap(), name);
            assert_eq!(name.parse::<Placement>().unwrap(), placement);
        }
        let refused = "middle".parse::<Placement>().unwrap_err();
        assert_eq!(refused, "expected decoder-alternate, decoder, encoder, all");
    }

    #[test]
    fn a_missing_key_is_the_papers_choice() {
        let variant: Variant = serde_json::from_str("{\"mask\": false}").unwrap();
        assert_eq!(variant, Variant { mask: false, ..Variant::default() });
        assert_eq!(variant.differences(), ["no mask"]);
        assert!(Variant::default().differences().is_empty());
        assert!(serde_json::from_str::<Variant>("{\"masks\": false}").is_err());
    }
}
