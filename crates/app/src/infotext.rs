//! AUTOMATIC1111's generation parameters: the text under the keyword
//! `parameters` of a PNG, which many programs show and read.
//!
//! ```text
//! a photo of * on the beach
//! Negative prompt: blurry
//! Steps: 50, Sampler: DDIM, CFG scale: 7.5, Seed: 7, Size: 512x512, Model: v1-5
//! ```

use std::fmt;

use personalize::generate::Rng;

/// The keyword in a PNG.
pub const KEYWORD: &str = "parameters";
const NEGATIVE: &str = "Negative prompt:";

/// As many entries make a last line one of parameters; fewer are prompt.
const FEWEST: usize = 3;

/// Prompts and named parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Infotext {
    /// What was drawn.
    pub prompt: String,
    /// What was not to be drawn.
    pub negative: String,
    /// Names and values, in order.
    pub entries: Vec<(String, String)>,
}

impl Infotext {
    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.entries.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Reads a text by the rules of AUTOMATIC1111's own parser.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let (body, last) = text.rsplit_once('\n').unwrap_or(("", text));
        let entries = entries(last).filter(|entries| entries.len() >= FEWEST);
        let body = if entries.is_some() { body } else { text };
        let (mut prompt, mut negative, mut in_negative) = (Vec::new(), Vec::new(), false);
        for line in body.lines().map(str::trim) {
            let rest = line.strip_prefix(NEGATIVE);
            in_negative |= rest.is_some();
            let lines = if in_negative { &mut negative } else { &mut prompt };
            lines.push(rest.map_or(line, str::trim));
        }
        Self {
            prompt: prompt.join("\n"),
            negative: negative.join("\n"),
            entries: entries.unwrap_or_default(),
        }
    }
}

impl fmt::Display for Infotext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.prompt)?;
        if !self.negative.is_empty() {
            writeln!(f, "{NEGATIVE} {}", self.negative)?;
        }
        let entry = |(name, value): &(String, String)| format!("{name}: {}", quoted(value));
        f.write_str(&self.entries.iter().map(entry).collect::<Vec<_>>().join(", "))
    }
}

/// Values with signs that mean something between entries, and those that would
/// be read as something else, are JSON texts.
fn quoted(value: &str) -> String {
    let plain = !value.contains([',', '\n', ':']) && !value.starts_with('"');
    if plain && value.trim() == value {
        return value.to_owned();
    }
    serde_json::Value::from(value).to_string()
}

/// `name: value, name: "value", ..`, or nothing if the line is something else.
fn entries(mut line: &str) -> Option<Vec<(String, String)>> {
    let mut entries = Vec::new();
    while !line.trim().is_empty() {
        let (name, rest) = line.split_once(':')?;
        let name = name.trim();
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | ' ' | '-' | '/');
        if name.is_empty() || !name.chars().all(plain) {
            return None;
        }
        let (value, rest) = value(rest.trim_start());
        entries.push((name.to_owned(), value));
        line = rest;
    }
    Some(entries)
}

/// The value at the start of a line, and what follows its comma.
fn value(line: &str) -> (String, &str) {
    let mut texts = serde_json::Deserializer::from_str(line).into_iter::<String>();
    if line.starts_with('"')
        && let Some(Ok(text)) = texts.next()
    {
        let rest = line[texts.byte_offset()..].trim_start();
        return (text, rest.strip_prefix(',').unwrap_or(rest));
    }
    let (value, rest) = line.split_once(',').unwrap_or((line, ""));
    (value.trim().to_owned(), rest)
}

/// Names of samplers here and there; noise levels of Karras et al. are a word
/// behind the name in both.
const SAMPLERS: [(&str, &str); 10] = [
    ("ddim", "DDIM"),
    ("ddim-diffusers", "DDIM"),
    ("pndm", "PLMS"),
    ("euler", "Euler"),
    ("euler-a", "Euler a"),
    ("heun", "Heun"),
    ("dpmpp-2m", "DPM++ 2M"),
    ("dpmpp-2m-sde", "DPM++ 2M SDE"),
    ("unipc", "UniPC"),
    ("lcm", "LCM"),
];
const KARRAS: (&str, &str) = ("-karras", " Karras");

/// AUTOMATIC1111's name of a sampler; our own where it has none.
pub fn sampler_there(ours: &str) -> String {
    let (name, end) = match ours.strip_suffix(KARRAS.0) {
        Some(name) => (name, KARRAS.1),
        None => (ours, ""),
    };
    let known = SAMPLERS.iter().find(|(here, _)| *here == name);
    known.map_or_else(|| ours.to_owned(), |(_, there)| format!("{there}{end}"))
}

/// Our name of AUTOMATIC1111's sampler; the name itself where we have none.
pub fn sampler_here(theirs: &str) -> String {
    let (name, end) = match theirs.strip_suffix(KARRAS.1) {
        Some(name) => (name, KARRAS.0),
        None => (theirs, ""),
    };
    let known = SAMPLERS.iter().find(|(_, there)| there.eq_ignore_ascii_case(name));
    known.map_or_else(|| theirs.to_owned(), |(here, _)| format!("{here}{end}"))
}

/// AUTOMATIC1111's name of whose random numbers the noise is.
pub fn rng_there(ours: Rng) -> &'static str {
    match ours {
        Rng::Torch => "CPU",
        Rng::Cuda => "NV",
    }
}

/// Whose random numbers a picture of AUTOMATIC1111 was drawn with: a graphics card's
/// (`NV` where a processor drew them) unless it says otherwise.
pub fn rng_here(theirs: Option<&str>) -> Rng {
    if theirs == Some("CPU") { Rng::Torch } else { Rng::Cuda }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example in AUTOMATIC1111's own parser, shortened.
    const THEIRS: &str = "girl with an artist's beret, blue eyes: bright, ((eyeshadow))\n\
                          Negative prompt: ugly, [blurry]\nbad anatomy\n\
                          Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 965400086, Size: \
                          512x512, Model hash: 45dee52b, TI hashes: \"a: 1, b: \\\"2\\\"\"";

    #[test]
    fn their_texts_are_read_and_written_the_same() {
        let read = Infotext::parse(THEIRS);
        assert_eq!(read.prompt, "girl with an artist's beret, blue eyes: bright, ((eyeshadow))");
        assert_eq!(read.negative, "ugly, [blurry]\nbad anatomy");
        assert_eq!(read.get("Sampler"), Some("Euler a"));
        assert_eq!(read.get("Size"), Some("512x512"));
        assert_eq!(read.get("TI hashes"), Some("a: 1, b: \"2\""));
        assert_eq!(read.to_string(), THEIRS);
    }

    #[test]
    fn a_prompt_alone_is_no_list_of_parameters() {
        let read = Infotext::parse("style: oil, light: warm");
        assert_eq!((read.prompt.as_str(), read.entries.len()), ("style: oil, light: warm", 0));
        assert_eq!(Infotext::parse("").to_string(), "\n");
    }

    #[test]
    fn values_that_look_like_others_are_read_again() {
        let values = ["\"", "\"a", " a ", "a, b: c", "a\nb", "", "\\", "C:\\x"];
        let entries = values.map(|value| ("name".to_owned(), value.to_owned()));
        let text = Infotext { entries: entries.into(), ..Infotext::default() };
        assert_eq!(Infotext::parse(&text.to_string()), text);
    }

    #[test]
    fn noise_of_other_programs_is_a_graphics_cards_unless_they_say_otherwise() {
        for (theirs, ours) in
            [(None, Rng::Cuda), (Some("NV"), Rng::Cuda), (Some("CPU"), Rng::Torch)]
        {
            assert_eq!(rng_here(theirs), ours);
        }
        assert_eq!(Rng::Cuda, rng_here(Some(rng_there(Rng::Cuda))));
    }

    #[test]
    fn samplers_have_names_in_both_programs() {
        for (ours, theirs) in [
            ("ddim", "DDIM"),
            ("euler-a", "Euler a"),
            ("dpmpp-2m-karras", "DPM++ 2M Karras"),
            ("dpmpp-2m-sde-karras", "DPM++ 2M SDE Karras"),
        ] {
            assert_eq!(sampler_there(ours), theirs);
            assert_eq!(sampler_here(theirs), ours);
        }
        assert_eq!(sampler_there("of-its-own"), "of-its-own");
        assert_eq!(sampler_here("of-its-own"), "of-its-own");
    }
}
