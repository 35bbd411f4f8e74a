//! Names in LoRA files, and the layers they are of.
//!
//! | program | name |
//! |---|---|
//! | kohya, LyCORIS | `lora_unet_down_blocks_0_.._attn1_to_q.lora_down.weight`, `lora_te_..` |
//! | diffusers | `unet.down_blocks.0.._attn1.to_q.lora.down.weight`, `.lora_A.weight`, `text_encoder.._lora_linear_layer.down.weight` |
//! | diffusers before 0.22 | `unet.._attn1.processor.to_q_lora.down.weight` |
//! | PEFT | `base_model.model.._attn1.to_q.lora_A.weight` |

/// The model that a layer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The text encoder.
    Text,
    /// The U-Net.
    Unet,
}

/// What a tensor of a LoRA is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The first factor, `[rank, inputs, ..]`.
    Down,
    /// The last factor, `[outputs, rank, ..]`.
    Up,
    /// The kernel between two factors of a convolution, `[rank, rank, ..]`.
    Mid,
    /// The number that is divided by the rank.
    Alpha,
}

/// A name, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub part: Part,
    /// The layer by diffusers' name.
    pub module: String,
    pub role: Role,
}

/// Takes a name apart, or says why it cannot be used.
pub(super) fn parse(name: &str) -> Result<Key, String> {
    const KINDS: [(&str, &str); 9] = [
        ("hada_", "it is a LoHa, which is not read"),
        ("lokr_", "it is a LoKr, which is not read"),
        ("dora_scale", "it is a DoRA, which is not read"),
        ("lora_magnitude", "it is a DoRA, which is not read"),
        ("lora_te1_", "it is for Stable Diffusion XL"),
        ("lora_te2_", "it is for Stable Diffusion XL"),
        ("text_encoder_2.", "it is for Stable Diffusion XL"),
        ("lora_transformer_", "it is for a model with a diffusion transformer"),
        ("transformer.", "it is for a model with a diffusion transformer"),
    ];
    // A U-Net's own `.transformer_blocks.` has no point behind the word.
    if let Some((_, what)) = KINDS.iter().find(|(part, _)| name.contains(part)) {
        return Err((*what).into());
    }
    flat(name).or_else(|| dotted(name)).ok_or_else(|| "no LoRA has such a tensor".into())
}

/// Words of layer names that have underscores of their own; all other
/// underscores of a flat name were points.
const WORDS: [&str; 24] = [
    "down_blocks",
    "up_blocks",
    "mid_block",
    "transformer_blocks",
    "to_q",
    "to_k",
    "to_v",
    "to_out",
    "proj_in",
    "proj_out",
    "time_emb_proj",
    "time_embedding",
    "linear_1",
    "linear_2",
    "conv_shortcut",
    "conv_in",
    "conv_out",
    "text_model",
    "self_attn",
    "q_proj",
    "k_proj",
    "v_proj",
    "out_proj",
    "conv_norm_out",
];

fn flat(name: &str) -> Option<Key> {
    let (part, rest) = match (name.strip_prefix("lora_unet_"), name.strip_prefix("lora_te_")) {
        (Some(rest), _) => (Part::Unet, rest),
        (_, Some(rest)) => (Part::Text, rest),
        _ => return None,
    };
    let (mut flat, tail) = rest.split_once('.')?;
    let role = match tail {
        "lora_down.weight" => Role::Down,
        "lora_up.weight" => Role::Up,
        "lora_mid.weight" => Role::Mid,
        "alpha" => Role::Alpha,
        _ => return None,
    };
    let mut words = Vec::new();
    while !flat.is_empty() {
        let ends = |word: &&&str| {
            flat.strip_prefix(**word).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
        };
        let known = WORDS.iter().filter(ends).max_by_key(|word| word.len());
        let length = known.map_or_else(|| flat.find('_').unwrap_or(flat.len()), |w| w.len());
        words.push(&flat[..length]);
        flat = flat[length..].trim_start_matches('_');
    }
    Some(Key { part, module: words.join("."), role })
}

/// What ends a name with points.
const ENDS: [(&str, Role); 11] = [
    (".lora_linear_layer.down.weight", Role::Down),
    (".lora_linear_layer.up.weight", Role::Up),
    (".lora.down.weight", Role::Down),
    (".lora.up.weight", Role::Up),
    ("_lora.down.weight", Role::Down),
    ("_lora.up.weight", Role::Up),
    (".lora_down.weight", Role::Down),
    (".lora_up.weight", Role::Up),
    (".lora_A.weight", Role::Down),
    (".lora_B.weight", Role::Up),
    (".alpha", Role::Alpha),
];

fn dotted(name: &str) -> Option<Key> {
    let name = name.strip_prefix(super::PEFT_PREFIX).unwrap_or(name);
    let (end, role) = ENDS.iter().find(|(end, _)| name.ends_with(end))?;
    let module = &name[..name.len() - end.len()];
    let (part, module) = match module.split_once('.') {
        Some(("unet", module)) => (Part::Unet, module),
        Some(("text_encoder", module)) => (Part::Text, module),
        Some(("text_model" | "encoder", _)) => (Part::Text, module),
        _ => (Part::Unet, module),
    };
    let mut module = module.replace(".processor.", ".");
    if module.ends_with(".to_out") {
        module.push_str(".0");
    }
    // Since version 5 transformers leaves this out.
    if part == Part::Text && module.starts_with("encoder.") {
        module.insert_str(0, "text_model.");
    }
    Some(Key { part, module, role: *role })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_program() {
        let attention = "down_blocks.0.attentions.1.transformer_blocks.0.attn1";
        let text = "text_model.encoder.layers.11.self_attn.q_proj";
        for (name, part, module, role) in [
            (
                "lora_unet_down_blocks_0_attentions_1_transformer_blocks_0_attn1_to_out_0.lora_up.weight",
                Part::Unet,
                format!("{attention}.to_out.0"),
                Role::Up,
            ),
            (
                "lora_unet_up_blocks_1_upsamplers_0_conv.lora_mid.weight",
                Part::Unet,
                "up_blocks.1.upsamplers.0.conv".into(),
                Role::Mid,
            ),
            (
                "lora_unet_mid_block_resnets_0_time_emb_proj.alpha",
                Part::Unet,
                "mid_block.resnets.0.time_emb_proj".into(),
                Role::Alpha,
            ),
            (
                "lora_te_text_model_encoder_layers_11_self_attn_q_proj.lora_down.weight",
                Part::Text,
                text.into(),
                Role::Down,
            ),
            (
                "unet.down_blocks.0.attentions.1.transformer_blocks.0.attn1.processor.to_out_lora.up.weight",
                Part::Unet,
                format!("{attention}.to_out.0"),
                Role::Up,
            ),
            (
                "base_model.model.mid_block.resnets.0.conv1.lora_B.weight",
                Part::Unet,
                "mid_block.resnets.0.conv1".into(),
                Role::Up,
            ),
            (
                "text_encoder.encoder.layers.11.self_attn.q_proj.lora_linear_layer.down.weight",
                Part::Text,
                text.into(),
                Role::Down,
            ),
        ] {
            assert_eq!(parse(name), Ok(Key { part, module, role }), "{name}");
        }
    }

    #[test]
    fn names_that_cannot_be_used() {
        for (name, word) in [
            ("lora_unet_conv_in.hada_w1_a", "LoHa"),
            ("lora_te2_text_model_encoder_layers_0_mlp_fc1.alpha", "XL"),
            ("unet.conv_in.lora_magnitude_vector", "DoRA"),
            ("transformer.single_blocks.0.lora_A.weight", "diffusion transformer"),
            ("lora_unet_conv_in.lora_left.weight", "no LoRA"),
            ("bundle_emb.toy.string_to_param.*", "no LoRA"),
        ] {
            let refused = parse(name).unwrap_err();
            assert!(refused.contains(word), "{name}: {refused}");
        }
    }
}
