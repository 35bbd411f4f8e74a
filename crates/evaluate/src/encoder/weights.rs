//! The weights of an encoder, read from its file while it is built.

use std::sync::Arc;

use engine::{
    Device, Tensor,
    nn::{Conv2d, ConvShape, Frozen, Linear, WeightSource},
};
use formats::TensorFile;

use super::names::{Layout, Place};
use crate::{Error, Result};

/// A file of weights, under our names.
#[derive(Clone)]
pub(super) struct Weights {
    file: Arc<TensorFile>,
    /// What begins all of its names.
    prefix: String,
    layout: Layout,
    how: Frozen,
}

/// What tells the layouts apart: one of the names.
const MARKS: [(&str, Layout); 5] = [
    ("vision_model.embeddings.class_embedding", Layout::HuggingFaceClip),
    ("visual.class_embedding", Layout::OpenAiClip),
    ("embeddings.cls_token", Layout::HuggingFaceVit),
    ("cls_token", Layout::FacebookDino),
    // Its picture encoder is a convolutional network.
    ("visual.layer1.0.conv1.weight", Layout::OpenAiClip),
];

impl Weights {
    /// Finds out how a file names its weights. All are kept in f32: scores do not
    /// depend on how anything else is kept.
    ///
    /// # Errors
    /// If it is of no known kind.
    pub fn new(file: TensorFile, device: &Device) -> Result<Self> {
        let refuse = |what: &str| Err(Error::encoder(file.path(), what));
        let has = |part: &str| file.names().any(|name| name.contains(part));
        let Some((prefix, mark, layout)) = recognise(&file) else {
            return refuse(
                "it is no picture encoder of a known kind: expected CLIP (Hugging Face's or \
                 OpenAI's file), DINO or DINOv2 (Hugging Face's or facebookresearch's)",
            );
        };
        if mark.contains("layer1") {
            return refuse("it is a CLIP with a ResNet: use one with a ViT, such as ViT-B/32");
        }
        if has("register_tokens") {
            return refuse("it is a DINOv2 with registers: use one without");
        }
        if has("mlp.w12") || has("mlp.weights_in") {
            return refuse("it is a DINOv2 with SwiGLU (ViT-g/14): use ViT-S/14, B/14 or L/14");
        }
        let layout = match layout {
            Layout::HuggingFaceVit if has(".layer_scale1.") => Layout::HuggingFaceDinov2,
            Layout::FacebookDino if has(".ls1.") => Layout::FacebookDinov2,
            other => other,
        };
        Ok(Self { prefix, layout, how: Frozen::new(device), file: Arc::new(file) })
    }

    pub fn layout(&self) -> Layout {
        self.layout
    }

    pub fn file(&self) -> &TensorFile {
        &self.file
    }

    /// Rows of a matrix, or the length of a vector, and the values of a row.
    pub fn shape(&self, name: &str) -> Result<[usize; 2]> {
        let place = self.place(name);
        let shape = &self.file.info(&place.name)?.shape;
        let shape: Vec<usize> = shape.iter().copied().skip_while(|&n| n == 1).collect();
        let rows = shape.first().copied().unwrap_or(1);
        let row = shape.iter().skip(1).product();
        let [rows, row] = if place.bare && shape.len() == 2 && name.ends_with("projection.weight") {
            [row, rows]
        } else {
            [rows, row]
        };
        Ok([rows / place.part.map_or(1, |(_, of)| of), row])
    }

    /// Side of a patch.
    pub fn patch(&self) -> Result<usize> {
        let place = self.place("patches.weight");
        match self.file.info(&place.name)?.shape[..] {
            [_, 3, height, width] if height == width && height > 0 => Ok(height),
            ref other => Err(Error::encoder(
                self.file.path(),
                format!("`{}` has shape {other:?}, expected [width, 3, side, side]", place.name),
            )),
        }
    }

    pub fn has(&self, name: &str) -> bool {
        self.file.contains(&self.place(name).name)
    }

    fn place(&self, name: &str) -> Place {
        let place = self.layout.place(name);
        Place { name: format!("{}{}", self.prefix, place.name), ..place }
    }

    /// Values of a weight, row-major, after it was found to have as many.
    fn read(&self, name: &str, rows: usize, row: usize) -> Result<Vec<f32>> {
        let place = self.place(name);
        let found = &self.file.info(&place.name)?.shape;
        let of = place.part.map_or(1, |(_, of)| of);
        let fits = [
            found.first() == Some(&(rows * of)) && found[1..].iter().product::<usize>() == row,
            rows == 1 && found.iter().product::<usize>() == row,
            found[..] == [1, rows, row],
        ];
        if !fits.contains(&true) {
            self.file.expect_shape(&place.name, &[rows * of, row])?;
        }
        let mut values = self.file.f32(&place.name)?;
        if let Some((index, _)) = place.part {
            values = values[index * rows * row..][..rows * row].to_vec();
        }
        if values.iter().all(|value| value.is_finite()) {
            return Ok(values);
        }
        let what = format!("`{}` holds values that are not finite: get the file anew", place.name);
        Err(Error::encoder(self.file.path(), what))
    }

    fn matrix(&self, name: &str, inputs: usize, outputs: usize) -> Result<Vec<f32>> {
        if !self.place(name).bare {
            return self.read(name, outputs, inputs);
        }
        let turned = self.read(name, inputs, outputs)?;
        let column = |j: usize| turned[j..].iter().step_by(outputs);
        Ok((0..outputs).flat_map(column).copied().collect())
    }
}

/// What begins the names, the name that told it, and the layout. Of a training's student
/// and teacher, the teacher is the model to use.
fn recognise(file: &TensorFile) -> Option<(String, &'static str, Layout)> {
    MARKS.into_iter().find_map(|(mark, layout)| {
        let prefixes = file.names().filter_map(|name| name.strip_suffix(mark));
        let prefixes = prefixes.filter(|prefix| prefix.is_empty() || prefix.ends_with('.'));
        let best = prefixes.min_by_key(|prefix| (!prefix.contains("teacher"), prefix.len()))?;
        Some((best.to_owned(), mark, layout))
    })
}

impl WeightSource for Weights {
    type Error = Error;

    /// A convolution whose kernels do not overlap is a linear layer over patches.
    fn linear(&self, name: &str, inputs: usize, outputs: usize, bias: bool) -> Result<Linear> {
        let weight = self.matrix(&format!("{name}.weight"), inputs, outputs)?;
        let bias = bias.then(|| self.read(&format!("{name}.bias"), outputs, 1)).transpose()?;
        Ok(self.how.linear(inputs, outputs, weight, bias))
    }

    fn conv(&self, name: &str, shape: ConvShape) -> Result<Conv2d> {
        let weight = self.read(&format!("{name}.weight"), shape.outputs, shape.inputs * 9)?;
        let bias = self.read(&format!("{name}.bias"), shape.outputs, 1)?;
        Ok(self.how.conv(shape, weight, bias))
    }

    fn vector(&self, name: &str, length: usize) -> Result<Tensor<1>> {
        Ok(engine::tensor(self.read(name, length, 1)?, [length], &self.how.device))
    }

    fn table(&self, name: &str, rows: usize, width: usize) -> Result<Tensor<2>> {
        Ok(engine::tensor(self.read(name, rows, width)?, [rows, width], &self.how.device))
    }
}
