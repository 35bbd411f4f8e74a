//! CLIP's text transformer (Radford et al. 2021), as Stable Diffusion uses it.

use std::ops::Range;

use engine::{
    Device, Int, Tensor,
    nn::{LayerNorm, Linear, Precision, Replace, WeightSource},
    ops::{self, Attention},
};

use crate::{
    config::TextConfig,
    tokenizer::{Chunk, Prompt, WeightedPrompt},
};

/// Token ids in, context out: the last hidden state after the final norm. A
/// copy shares the weights.
#[derive(Clone)]
pub struct TextEncoder {
    /// Where it is frozen, in the machine's memory: a prompt needs few of its rows.
    tokens: Tensor<2>,
    positions: Tensor<2>,
    layers: Vec<Layer>,
    final_norm: LayerNorm,
    quick_gelu: bool,
    precision: Precision,
}

#[derive(Clone)]
struct Layer {
    norm1: LayerNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    norm2: LayerNorm,
    up: Linear,
    down: Linear,
    heads: usize,
}

/// Names of an attention's projections: query, key, value, out.
const PROJECTIONS: [&str; 4] = ["q_proj", "k_proj", "v_proj", "out_proj"];

fn layer_name(index: usize, part: &str) -> String {
    format!("text_model.encoder.layers.{index}.{part}")
}

impl TextEncoder {
    /// Builds the encoder from weights with transformers' names
    /// (`text_model.encoder.layers.0.self_attn.q_proj.weight`).
    pub fn build<S: WeightSource>(config: &TextConfig, source: &S) -> Result<Self, S::Error> {
        let width = config.hidden_size;
        let embeddings = "text_model.embeddings";
        let layers = 0..config.num_hidden_layers;
        Ok(Self {
            tokens: source.lookup(
                &format!("{embeddings}.token_embedding.weight"),
                config.vocab_size,
                width,
            )?,
            positions: source.table(
                &format!("{embeddings}.position_embedding.weight"),
                config.max_position_embeddings,
                width,
            )?,
            layers: layers.map(|i| Layer::build(config, source, i)).collect::<Result<_, _>>()?,
            final_norm: source.layer_norm(
                "text_model.final_layer_norm",
                width,
                config.layer_norm_eps,
            )?,
            quick_gelu: config.hidden_act == "quick_gelu",
            precision: source.precision(),
        })
    }

    /// The same encoder with other projections in its attentions
    /// (`text_model.encoder.layers.0.self_attn.q_proj`).
    pub fn replaced(&self, replace: &Replace) -> Self {
        let mut encoder = self.clone();
        for (index, layer) in encoder.layers.iter_mut().enumerate() {
            let projections = [&mut layer.query, &mut layer.key, &mut layer.value, &mut layer.out];
            for (part, projection) in PROJECTIONS.iter().zip(projections) {
                let name = layer_name(index, &format!("self_attn.{part}"));
                if let Some(new) = replace(&name, projection) {
                    *projection = new;
                }
            }
        }
        encoder
    }

    /// The names of the projections in the attentions of an encoder, all from its width
    /// to its width.
    pub fn projections(config: &TextConfig) -> Vec<String> {
        let of = |i| PROJECTIONS.map(|part| layer_name(i, &format!("self_attn.{part}")));
        (0..config.num_hidden_layers).flat_map(of).collect()
    }

    /// The device it computes on.
    pub fn device(&self) -> Device {
        self.positions.device()
    }

    /// What its weights are rounded to.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Width of a token's embedding.
    pub fn width(&self) -> usize {
        self.tokens.dims()[1]
    }

    /// The table's row of a token: where a learned token starts.
    pub fn token_embedding(&self, id: u32) -> Vec<f32> {
        engine::values(self.tokens.clone().narrow(0, id as usize, 1))
    }

    /// Rows of the table from an id on, `[rows, width]` row-major: those that
    /// [`add_tokens`](Self::add_tokens) added, if `first` is the model's number of tokens.
    pub fn tokens_from(&self, first: usize) -> Vec<f32> {
        let [rows, _] = self.tokens.dims();
        if first >= rows {
            return Vec::new();
        }
        engine::values(self.tokens.clone().narrow(0, first, rows - first))
    }

    /// Adds rows to the table of tokens, `[rows, width]` row-major, and gives
    /// their ids: the vectors of extra embeddings.
    ///
    /// # Panics
    /// If the values are not whole rows.
    pub fn add_tokens(&mut self, values: Vec<f32>) -> Range<u32> {
        let [first, width] = self.tokens.dims();
        let rows = values.len() / width;
        assert_eq!(values.len(), rows * width, "whole rows");
        let added = engine::tensor(values, [rows, width], &self.tokens.device());
        self.tokens = Tensor::cat(vec![self.tokens.clone(), added], 0);
        first as u32..(first + rows) as u32
    }

    /// The context of prompts. `learned` holds the vectors that stand in place
    /// of the placeholder's table rows; its gradient flows through everything.
    ///
    /// # Shapes
    /// `learned [vectors, width]`; result `[prompts, positions, width]`.
    ///
    /// # Panics
    /// If a prompt has a placeholder and `learned` is missing, or ids lie
    /// outside the table.
    pub fn forward(&self, prompts: &[Prompt], learned: Option<Tensor<2>>) -> Tensor<3> {
        let mut x = self.embed(prompts, learned);
        for layer in &self.layers {
            x = layer.forward(x, self.quick_gelu);
        }
        self.final_norm.forward(x)
    }

    /// The contexts of prompts with weights, the chunks of each side by side. As in
    /// AUTOMATIC1111's program ("Original" emphasis), every position is multiplied by its weight
    /// and the chunk then scaled so that its mean is what it was. A chunk without weights is
    /// that of [`forward`](Self::forward) to the bit. Nothing is learned through this.
    ///
    /// # Shapes
    /// `learned [vectors, width]`; result `[prompts, chunks * positions, width]`.
    ///
    /// # Panics
    /// If prompts differ in their number of chunks, and as `forward` does.
    pub fn contexts(&self, prompts: &[WeightedPrompt], learned: Option<Tensor<2>>) -> Tensor<3> {
        let count = prompts[0].chunks().len();
        assert!(prompts.iter().all(|p| p.chunks().len() == count), "padded to one length");
        let chunks: Vec<&Chunk> = prompts.iter().flat_map(WeightedPrompt::chunks).collect();
        let rows: Vec<Prompt> = chunks.iter().map(|chunk| chunk.prompt.clone()).collect();
        let mut context = self.forward(&rows, learned);
        if chunks.iter().any(|chunk| is_weighted(chunk)) {
            context = emphasised(context, &chunks);
        }
        let [_, positions, width] = context.dims();
        context.reshape([prompts.len(), count * positions, width])
    }

    fn embed(&self, prompts: &[Prompt], learned: Option<Tensor<2>>) -> Tensor<3> {
        let device = self.device();
        let [positions, width] = self.positions.dims();
        let ids: Vec<i64> = prompts.iter().flat_map(|p| &p.ids).map(|&id| i64::from(id)).collect();
        let ids = Tensor::<1, Int>::from_data(ids.as_slice(), &self.tokens.device());
        let mut rows = self.tokens.clone().select(0, ids).to_device(&device);
        if prompts.iter().any(|p| !p.placeholders.is_empty()) {
            let learned = learned.expect("a prompt with a placeholder needs its vectors");
            rows = substitute(rows, prompts, learned, positions, &device);
        }
        rows.reshape([prompts.len(), positions, width]) + self.positions.clone().unsqueeze::<3>()
    }
}

fn is_weighted(chunk: &Chunk) -> bool {
    chunk.weights.iter().any(|&weight| weight != 1.0)
}

/// Each chunk's row times its weights, its mean restored.
fn emphasised(context: Tensor<3>, chunks: &[&Chunk]) -> Tensor<3> {
    let ([rows, positions, width], device) = (context.dims(), context.device());
    let mut values = engine::values(context);
    for (row, chunk) in values.chunks_mut(positions * width).zip(chunks) {
        if is_weighted(chunk) {
            emphasise(row, &chunk.weights, width);
        }
    }
    engine::tensor(values, [rows, positions, width], &device)
}

fn emphasise(row: &mut [f32], weights: &[f32], width: usize) {
    let mean = |row: &[f32]| row.iter().map(|&v| f64::from(v)).sum::<f64>() / row.len() as f64;
    let before = mean(row);
    for (position, &weight) in row.chunks_mut(width).zip(weights) {
        position.iter_mut().for_each(|v| *v *= weight);
    }
    let scale = (before / mean(row)) as f32;
    row.iter_mut().for_each(|v| *v *= scale);
}

/// Puts the learned vectors in place of the table's rows. Written as products
/// with zeros and ones, which are exact and let the gradient through.
fn substitute(
    rows: Tensor<2>,
    prompts: &[Prompt],
    learned: Tensor<2>,
    positions: usize,
    device: &Device,
) -> Tensor<2> {
    let count = prompts.len() * positions;
    let vectors = learned.dims()[0];
    let mut keep = vec![1.0; count];
    let mut place = vec![0.0; count * vectors];
    for (b, prompt) in prompts.iter().enumerate() {
        for &(position, vector) in &prompt.placeholders {
            let row = b * positions + position;
            keep[row] = 0.0;
            place[row * vectors + vector] = 1.0;
        }
    }
    let keep = engine::tensor(keep, [count, 1], device);
    let place = engine::tensor(place, [count, vectors], device);
    rows * keep + ops::product(place, learned, Precision::F32)
}

impl Layer {
    fn build<S: WeightSource>(
        config: &TextConfig,
        source: &S,
        index: usize,
    ) -> Result<Self, S::Error> {
        let name = |part: &str| layer_name(index, part);
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        let square = |part: &str| source.linear(&name(part), width, width, true);
        Ok(Self {
            norm1: source.layer_norm(&name("layer_norm1"), width, config.layer_norm_eps)?,
            query: square("self_attn.q_proj")?,
            key: square("self_attn.k_proj")?,
            value: square("self_attn.v_proj")?,
            out: square("self_attn.out_proj")?,
            norm2: source.layer_norm(&name("layer_norm2"), width, config.layer_norm_eps)?,
            up: source.linear(&name("mlp.fc1"), width, inner, true)?,
            down: source.linear(&name("mlp.fc2"), inner, width, true)?,
            heads: config.num_attention_heads,
        })
    }

    fn forward(&self, x: Tensor<3>, quick_gelu: bool) -> Tensor<3> {
        let how = Attention { causal: true, ..Attention::heads(self.heads) };
        let n = self.norm1.forward(x.clone());
        let (q, k) = (self.query.forward(n.clone()), self.key.forward(n.clone()));
        let mixed = ops::attention(q, k, self.value.forward(n), &how);
        let x = x + self.out.forward(mixed);
        let inner = self.up.forward(self.norm2.forward(x.clone()));
        let inner = if quick_gelu { ops::quick_gelu(inner) } else { ops::gelu(inner) };
        x + self.down.forward(inner)
    }
}
