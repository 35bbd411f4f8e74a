//! The names that published files have for the weights of an encoder.
//!
//! Ours are those of [`Vit`](super::Vit), and transformers' for the text tower. A star
//! stands for the number of a layer.

/// How the weights of a file are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// transformers' `CLIPModel`.
    HuggingFaceClip,
    /// OpenAI's `CLIP`.
    OpenAiClip,
    /// transformers' `ViTModel`.
    HuggingFaceVit,
    /// transformers' `Dinov2Model`.
    HuggingFaceDinov2,
    /// facebookresearch's DINO.
    FacebookDino,
    /// facebookresearch's DINOv2.
    FacebookDinov2,
}

/// Our name and theirs, of a module (whose `weight` and `bias` follow) or of a bare
/// parameter. Where queries, keys and values have one name, they lie in it one below
/// the other.
type Table = &'static [(&'static str, &'static str)];

const HUGGING_FACE_CLIP: Table = &[
    ("class", "vision_model.embeddings.class_embedding"),
    ("positions", "vision_model.embeddings.position_embedding.weight"),
    ("patches", "vision_model.embeddings.patch_embedding"),
    ("norm_first", "vision_model.pre_layrnorm"),
    ("layers.*.norm1", "vision_model.encoder.layers.*.layer_norm1"),
    ("layers.*.query", "vision_model.encoder.layers.*.self_attn.q_proj"),
    ("layers.*.key", "vision_model.encoder.layers.*.self_attn.k_proj"),
    ("layers.*.value", "vision_model.encoder.layers.*.self_attn.v_proj"),
    ("layers.*.out", "vision_model.encoder.layers.*.self_attn.out_proj"),
    ("layers.*.norm2", "vision_model.encoder.layers.*.layer_norm2"),
    ("layers.*.up", "vision_model.encoder.layers.*.mlp.fc1"),
    ("layers.*.down", "vision_model.encoder.layers.*.mlp.fc2"),
    ("norm_last", "vision_model.post_layernorm"),
    ("projection", "visual_projection"),
];

const OPENAI_CLIP: Table = &[
    ("class", "visual.class_embedding"),
    ("positions", "visual.positional_embedding"),
    ("patches", "visual.conv1"),
    ("norm_first", "visual.ln_pre"),
    ("layers.*.norm1", "visual.transformer.resblocks.*.ln_1"),
    ("layers.*.query", "visual.transformer.resblocks.*.attn.in_proj_"),
    ("layers.*.key", "visual.transformer.resblocks.*.attn.in_proj_"),
    ("layers.*.value", "visual.transformer.resblocks.*.attn.in_proj_"),
    ("layers.*.out", "visual.transformer.resblocks.*.attn.out_proj"),
    ("layers.*.norm2", "visual.transformer.resblocks.*.ln_2"),
    ("layers.*.up", "visual.transformer.resblocks.*.mlp.c_fc"),
    ("layers.*.down", "visual.transformer.resblocks.*.mlp.c_proj"),
    ("norm_last", "visual.ln_post"),
    ("projection.weight", "visual.proj"),
    ("text_model.embeddings.token_embedding.weight", "token_embedding.weight"),
    ("text_model.embeddings.position_embedding.weight", "positional_embedding"),
    ("text_model.encoder.layers.*.layer_norm1", "transformer.resblocks.*.ln_1"),
    ("text_model.encoder.layers.*.self_attn.q_proj", "transformer.resblocks.*.attn.in_proj_"),
    ("text_model.encoder.layers.*.self_attn.k_proj", "transformer.resblocks.*.attn.in_proj_"),
    ("text_model.encoder.layers.*.self_attn.v_proj", "transformer.resblocks.*.attn.in_proj_"),
    ("text_model.encoder.layers.*.self_attn.out_proj", "transformer.resblocks.*.attn.out_proj"),
    ("text_model.encoder.layers.*.layer_norm2", "transformer.resblocks.*.ln_2"),
    ("text_model.encoder.layers.*.mlp.fc1", "transformer.resblocks.*.mlp.c_fc"),
    ("text_model.encoder.layers.*.mlp.fc2", "transformer.resblocks.*.mlp.c_proj"),
    ("text_model.final_layer_norm", "ln_final"),
    ("text_projection.weight", "text_projection"),
];

const HUGGING_FACE_VIT: Table = &[
    ("class", "embeddings.cls_token"),
    ("positions", "embeddings.position_embeddings"),
    ("patches", "embeddings.patch_embeddings.projection"),
    ("layers.*.norm1", "encoder.layer.*.layernorm_before"),
    ("layers.*.query", "encoder.layer.*.attention.attention.query"),
    ("layers.*.key", "encoder.layer.*.attention.attention.key"),
    ("layers.*.value", "encoder.layer.*.attention.attention.value"),
    ("layers.*.out", "encoder.layer.*.attention.output.dense"),
    ("layers.*.norm2", "encoder.layer.*.layernorm_after"),
    ("layers.*.up", "encoder.layer.*.intermediate.dense"),
    ("layers.*.down", "encoder.layer.*.output.dense"),
    ("norm_last", "layernorm"),
];

const HUGGING_FACE_DINOV2: Table = &[
    ("class", "embeddings.cls_token"),
    ("positions", "embeddings.position_embeddings"),
    ("patches", "embeddings.patch_embeddings.projection"),
    ("layers.*.norm1", "encoder.layer.*.norm1"),
    ("layers.*.query", "encoder.layer.*.attention.attention.query"),
    ("layers.*.key", "encoder.layer.*.attention.attention.key"),
    ("layers.*.value", "encoder.layer.*.attention.attention.value"),
    ("layers.*.out", "encoder.layer.*.attention.output.dense"),
    ("layers.*.scale1", "encoder.layer.*.layer_scale1.lambda1"),
    ("layers.*.norm2", "encoder.layer.*.norm2"),
    ("layers.*.up", "encoder.layer.*.mlp.fc1"),
    ("layers.*.down", "encoder.layer.*.mlp.fc2"),
    ("layers.*.scale2", "encoder.layer.*.layer_scale2.lambda1"),
    ("norm_last", "layernorm"),
];

const FACEBOOK: Table = &[
    ("class", "cls_token"),
    ("positions", "pos_embed"),
    ("patches", "patch_embed.proj"),
    ("layers.*.norm1", "blocks.*.norm1"),
    ("layers.*.query", "blocks.*.attn.qkv"),
    ("layers.*.key", "blocks.*.attn.qkv"),
    ("layers.*.value", "blocks.*.attn.qkv"),
    ("layers.*.out", "blocks.*.attn.proj"),
    ("layers.*.scale1", "blocks.*.ls1.gamma"),
    ("layers.*.norm2", "blocks.*.norm2"),
    ("layers.*.up", "blocks.*.mlp.fc1"),
    ("layers.*.down", "blocks.*.mlp.fc2"),
    ("layers.*.scale2", "blocks.*.ls2.gamma"),
    ("norm_last", "norm"),
];

/// Where a weight lies in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The name there.
    pub name: String,
    /// The part of its rows that is meant, of so many equal ones.
    pub part: Option<(usize, usize)>,
    /// It is a bare parameter there: a matrix then has inputs before outputs.
    pub bare: bool,
}

impl Layout {
    fn table(self) -> Table {
        match self {
            Self::HuggingFaceClip => HUGGING_FACE_CLIP,
            Self::OpenAiClip => OPENAI_CLIP,
            Self::HuggingFaceVit => HUGGING_FACE_VIT,
            Self::HuggingFaceDinov2 => HUGGING_FACE_DINOV2,
            Self::FacebookDino | Self::FacebookDinov2 => FACEBOOK,
        }
    }

    /// Where a weight of ours lies; one that the layout does not name has the same name
    /// there.
    pub fn place(self, ours: &str) -> Place {
        let (starred, number) = starred(ours);
        let whole = |name: &str| self.table().iter().find(|(ours, _)| *ours == name);
        let numbered = |name: &str| name.replacen('*', &number, 1);
        if let Some((_, theirs)) = whole(&starred) {
            return Place { name: numbered(theirs), part: None, bare: true };
        }
        let module = starred.rsplit_once('.');
        let found = module.and_then(|(module, kind)| Some((whole(module)?, kind)));
        let Some(((module, theirs), kind)) = found else {
            return Place { name: ours.to_owned(), part: None, bare: false };
        };
        let joint = if theirs.ends_with('_') { "" } else { "." };
        let sharing: Vec<&str> =
            self.table().iter().filter(|(_, name)| name == theirs).map(|(ours, _)| *ours).collect();
        let index = sharing.iter().position(|ours| ours == module);
        let part = index.filter(|_| sharing.len() > 1).map(|index| (index, sharing.len()));
        Place { name: numbered(&format!("{theirs}{joint}{kind}")), part, bare: false }
    }
}

/// A name with a star in place of the number of a layer, and the number.
fn starred(name: &str) -> (String, String) {
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let Some(number) = name.split('.').find(is_number) else {
        return (name.to_owned(), String::new());
    };
    (name.replacen(&format!(".{number}."), ".*.", 1), number.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(layout: Layout, ours: &str) -> (String, Option<(usize, usize)>, bool) {
        let Place { name, part, bare } = layout.place(ours);
        (name, part, bare)
    }

    #[test]
    fn weights_are_found_under_every_layout() {
        assert_eq!(
            place(Layout::OpenAiClip, "layers.11.key.bias"),
            ("visual.transformer.resblocks.11.attn.in_proj_bias".into(), Some((1, 3)), false)
        );
        assert_eq!(
            place(Layout::OpenAiClip, "projection.weight"),
            ("visual.proj".into(), None, true)
        );
        assert_eq!(
            place(Layout::FacebookDino, "layers.0.value.weight"),
            ("blocks.0.attn.qkv.weight".into(), Some((2, 3)), false)
        );
        assert_eq!(
            place(Layout::HuggingFaceVit, "layers.3.norm1.weight"),
            ("encoder.layer.3.layernorm_before.weight".into(), None, false)
        );
        assert_eq!(
            place(Layout::HuggingFaceClip, "text_model.encoder.layers.1.mlp.fc1.bias"),
            ("text_model.encoder.layers.1.mlp.fc1.bias".into(), None, false)
        );
    }
}
