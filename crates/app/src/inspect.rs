//! `vico inspect`: what a file holds.

use std::path::Path;

use diffusion::{Embedding, Lora};
use formats::TensorFile;
use images::read_png_text;
use personalize::adapter::Info;

use crate::{Error, Result, estimate::size_text};

/// The first bytes of every PNG.
const PNG: [u8; 8] = [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a];

/// Lines about an adapter, checkpoint, embedding, model or picture.
pub fn run(path: &Path) -> Result<Vec<String>> {
    if is_png(path)? {
        return png(path);
    }
    let file = TensorFile::open(path)?;
    let mut lines = match Info::from_metadata(&file) {
        Ok(info) => adapter(&info, &file),
        Err(_) if file.metadata().contains_key("vico.format") => {
            return Err(Info::from_metadata(&file)
                .err()
                .map_or_else(|| Error::path(path, "cannot be read"), Error::from));
        }
        Err(_) => vec![format!("{}: {}", path.display(), kind(path, &file))],
    };
    lines.extend(tensors(&file));
    Ok(lines)
}

pub(crate) fn is_png(path: &Path) -> Result<bool> {
    use std::io::Read;
    let mut head = Vec::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(PNG.len() as u64).read_to_end(&mut head));
    read.map_err(|e| Error::path(path, format!("cannot be read: {e}")))?;
    Ok(head == PNG)
}

fn png(path: &Path) -> Result<Vec<String>> {
    let texts = read_png_text(path)?;
    let mut lines = vec![format!("{}: a PNG with {} texts", path.display(), texts.len())];
    for (keyword, text) in texts {
        let value: Option<serde_json::Value> = serde_json::from_str(&text).ok();
        let pretty = value.and_then(|v| serde_json::to_string_pretty(&v).ok()).unwrap_or(text);
        lines.push(format!("{keyword}: {pretty}"));
    }
    Ok(lines)
}

fn adapter(info: &Info, file: &TensorFile) -> Vec<String> {
    let training = file.metadata().contains_key("vico.checkpoint");
    let kind = if training { "checkpoint (adapter and optimizer state)" } else { "adapter" };
    let recipe = serde_json::to_string(&info.recipe).unwrap_or_default();
    let photos: Vec<&str> = (0..)
        .map_while(|i| file.metadata().get(&format!("vico.photos.{i}")))
        .map(String::as_str)
        .collect();
    let mut lines = vec![
        format!("{}: a vico {kind}, written by version {}", file.path().display(), info.version),
        format!("method       {}", info.method),
        format!("placeholder  {}   ({})", info.placeholder, origin(info)),
        format!("base model   {} ({})", info.base_name, info.base_fingerprint),
        format!("steps        {} of {}", info.step, info.recipe.steps),
        format!(
            "photos       {}",
            if photos.is_empty() { "none".into() } else { photos.join(", ") }
        ),
        format!("recipe       {recipe}"),
    ];
    let differences = info.recipe.vico.differences();
    if !differences.is_empty() {
        lines.push(format!("unlike paper {}", differences.join(", ")));
    }
    lines
}

fn origin(info: &Info) -> String {
    match info.init_word.as_str() {
        "" => "imported; its class word is not known".into(),
        word => format!("started from \"{word}\""),
    }
}

/// What a file of another program is.
fn kind(path: &Path, file: &TensorFile) -> String {
    if let Ok(Embedding { word, vectors, width, .. }) = Embedding::load(path) {
        let word = word.map_or(String::new(), |word| format!(" of \"{word}\""));
        return format!("a textual-inversion embedding{word}: {vectors} vectors of {width} values");
    }
    if let Ok(lora) = Lora::open(path, 1.0) {
        return format!("a LoRA of {} layers", lora.layers());
    }
    other_kind(file).to_owned()
}

fn other_kind(file: &TensorFile) -> &'static str {
    let some = |part: &str| file.names().any(|name| name.contains(part));
    if some("string_to_param") || some("clip_l") {
        "a textual-inversion embedding that is not read here"
    } else if some("image_cross_attention") {
        "image attention of ViCo's own program"
    } else if some("lora") {
        "a LoRA that is not read here"
    } else if some("model.diffusion_model.") {
        "a Stable Diffusion checkpoint with the original names"
    } else if some("down_blocks.") && some("mid_block.") {
        "a part of a diffusers model"
    } else {
        "a file of tensors"
    }
}

/// Most tensors that are listed one by one.
const LISTED: usize = 40;

fn tensors(file: &TensorFile) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut values, mut bytes) = (0, 0);
    for name in file.names() {
        let Some(info) = file.get(name) else { continue };
        let count: usize = info.shape.iter().product();
        values += count;
        bytes += count * info.dtype.size();
        if lines.len() < LISTED {
            lines.push(format!("  {name}  {} {:?}", info.dtype, info.shape));
        }
    }
    let all = file.names().count();
    if all > LISTED {
        lines.push(format!("  .. and {} more", all - LISTED));
    }
    let total =
        format!("{all} tensors, {values} values, {}", size_text(u64::try_from(bytes).unwrap_or(0)));
    lines.insert(0, total);
    for (key, value) in file.metadata().iter().filter(|(key, _)| !key.starts_with("vico.")) {
        lines.push(format!("  {key} = {value}"));
    }
    lines
}
