use std::{borrow::Cow, sync::Arc};

use engine::{
    Device, Tensor,
    nn::{Conv2d, ConvShape, Frozen, Linear, Precision, WeightSource},
};
use formats::TensorFile;
use sha2::{Digest, Sha256};

use crate::{
    Error, Result,
    lora::{Lora, Part},
};

/// Translates a diffusers name into the name used in a file.
type Rename = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// The weights of one model (text encoder, U-Net or VAE), read from its file
/// by diffusers' names while the model is built.
#[derive(Clone)]
pub struct Weights {
    file: Arc<TensorFile>,
    /// What begins the file's names of this model.
    family: String,
    rename: Rename,
    /// Which third of a weight in the file another is, if it is one.
    third: fn(&str) -> Option<usize>,
    how: Frozen,
    /// What is merged into the weights as they are read, in this order.
    loras: Vec<(Part, Arc<Lora>)>,
}

/// Number of values in a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// All of them.
    pub all: usize,
    /// Those in kernels of 3x3 convolutions.
    pub conv3x3: usize,
}

/// Names that other versions of the programs that write such files use for the same weight:
/// older ones in the VAE's attention, transformers from 5 on in the text encoder.
const OTHER_NAMES: [(&str, &str); 5] = [
    ("text_model.", ""),
    (".to_q.", ".query."),
    (".to_k.", ".key."),
    (".to_v.", ".value."),
    (".to_out.0.", ".proj_attn."),
];

impl Weights {
    /// Weights of `file`, whose names begin with `family` and are `rename` of
    /// diffusers' names; the model is built on `device`.
    pub fn new(
        file: Arc<TensorFile>,
        family: impl Into<String>,
        rename: impl Fn(&str) -> String + Send + Sync + 'static,
        device: &Device,
    ) -> Self {
        let (family, rename) = (family.into(), Arc::new(rename));
        let how = Frozen::new(device);
        Self { file, family, rename, third: |_| None, how, loras: Vec::new() }
    }

    /// The same weights, some of which (by diffusers' names) are a third of one in the file:
    /// OpenCLIP keeps query, key and value above one another.
    pub(crate) fn in_thirds(self, third: fn(&str) -> Option<usize>) -> Self {
        Self { third, ..self }
    }

    /// Number of values in the model, buffers of whole numbers left out.
    pub fn parameters(&self) -> Count {
        let own = self.file.names().filter(|name| name.starts_with(&self.family));
        let infos = own.filter_map(|name| self.file.get(name)).filter(|i| !i.dtype.is_integer());
        let mut count = Count { all: 0, conv3x3: 0 };
        for info in infos {
            let values = info.shape.iter().product::<usize>();
            count.all += values;
            if matches!(info.shape[..], [_, _, 3, 3]) {
                count.conv3x3 += values;
            }
        }
        count
    }

    /// The same weights, kept in another way by the models built from them.
    pub fn kept(self, how: Frozen) -> Self {
        Self { how, ..self }
    }

    /// The same weights with a LoRA merged into them, this model being its
    /// `part`.
    pub fn merged(mut self, part: Part, lora: Arc<Lora>) -> Self {
        self.loras.push((part, lora));
        self
    }

    /// The shape of a weight, if the model has it.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let mut shape = self.file.get(&self.locate(name))?.shape.clone();
        if let (Some(_), Some(rows)) = ((self.third)(name), shape.first_mut()) {
            *rows /= 3;
        }
        Some(shape)
    }

    /// The device that models are built on.
    pub fn device(&self) -> &Device {
        &self.how.device
    }

    /// Adds a weight, rounded to f16, to a digest.
    pub fn digest(&self, name: &str, digest: &mut Sha256) -> Result<()> {
        let values = self.file.f32(&self.locate(name))?;
        let bits: Vec<u8> =
            values.iter().flat_map(|&v| half::f16::from_f32(v).to_le_bytes()).collect();
        digest.update(&bits);
        Ok(())
    }

    /// Values of a weight, row-major, after its shape was found to be one of
    /// `shapes` and its values finite.
    pub(super) fn read(&self, name: &str, shapes: &[&[usize]]) -> Result<Vec<f32>> {
        let (module, third) = (name.strip_suffix(".weight"), (self.third)(name));
        let name = self.locate(name);
        let mut values = match third {
            Some(third) => self.third(&name, third, shapes[0])?,
            None => self.whole(&name, shapes)?,
        };
        for (part, lora) in &self.loras {
            if let Some(module) = module {
                lora.merge(*part, module, &mut values, &self.how.device)?;
            }
        }
        if !values.iter().all(|v| v.is_finite()) {
            return Err(Error::NotFinite {
                tensor: name.into_owned(),
                place: self.file.path().display().to_string(),
                advice: "the file is damaged or was saved from a diverged training: get it anew"
                    .into(),
            });
        }
        Ok(values)
    }

    /// Values of a weight of exactly this shape, row-major, with LoRAs merged.
    ///
    /// # Errors
    /// If the model has none of that name or shape, or one that is not finite.
    pub fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self.read(name, &[shape])
    }

    fn whole(&self, name: &str, shapes: &[&[usize]]) -> Result<Vec<f32>> {
        let found = self.file.get(name).map(|info| info.shape.as_slice());
        if !found.is_some_and(|shape| shapes.contains(&shape)) {
            self.file.expect_shape(name, shapes[0])?;
        }
        Ok(self.file.f32(name)?)
    }

    /// One of three weights of a shape that lie above one another.
    fn third(&self, name: &str, third: usize, shape: &[usize]) -> Result<Vec<f32>> {
        let mut all = shape.to_vec();
        all[0] *= 3;
        self.file.expect_shape(name, &all)?;
        let count: usize = shape.iter().product();
        Ok(self.file.f32(name)?[third * count..][..count].to_vec())
    }

    /// The name under which the file holds a weight: the usual one, or the other.
    fn locate(&self, name: &str) -> Cow<'static, str> {
        let usual = (self.rename)(name);
        if !self.file.contains(&usual) {
            let other = OTHER_NAMES.iter().find(|(new, _)| name.contains(new));
            let other = other.map(|(new, old)| (self.rename)(&name.replace(new, old)));
            if let Some(other) = other.filter(|name| self.file.contains(name)) {
                return other.into();
            }
        }
        usual.into()
    }
}

impl WeightSource for Weights {
    type Error = Error;

    fn precision(&self) -> Precision {
        self.how.precision
    }

    /// A 1x1 convolution in the file is a linear layer here: activations are
    /// channels-last, so both are the same product.
    fn linear(&self, name: &str, inputs: usize, outputs: usize, bias: bool) -> Result<Linear> {
        let shapes: [&[usize]; 2] = [&[outputs, inputs], &[outputs, inputs, 1, 1]];
        let weight = self.read(&format!("{name}.weight"), &shapes)?;
        let bias = bias.then(|| self.read(&format!("{name}.bias"), &[&[outputs]])).transpose()?;
        Ok(self.how.linear(inputs, outputs, weight, bias))
    }

    fn conv(&self, name: &str, shape: ConvShape) -> Result<Conv2d> {
        let dims = [shape.outputs, shape.inputs, 3, 3];
        let weight = self.read(&format!("{name}.weight"), &[&dims])?;
        let bias = self.read(&format!("{name}.bias"), &[&[shape.outputs]])?;
        Ok(self.how.conv(shape, weight, bias))
    }

    fn vector(&self, name: &str, length: usize) -> Result<Tensor<1>> {
        Ok(engine::tensor(self.read(name, &[&[length]])?, [length], &self.how.device))
    }

    fn table(&self, name: &str, rows: usize, width: usize) -> Result<Tensor<2>> {
        let values = self.read(name, &[&[rows, width]])?;
        Ok(engine::tensor(values, [rows, width], &self.how.device))
    }

    fn lookup(&self, name: &str, rows: usize, width: usize) -> Result<Tensor<2>> {
        Ok(engine::tensor(self.read(name, &[&[rows, width]])?, [rows, width], &engine::cpu()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_older_names_of_the_vae_attention() {
        let open = |name: &str| {
            let file = TensorFile::open(golden::path(name)).unwrap();
            Weights::new(Arc::new(file), "", |n: &str| n.to_owned(), &engine::cpu())
        };
        let today = open("tiny-sd/vae/diffusion_pytorch_model.safetensors");
        let older = open("vae-attention-old-names.safetensors");
        assert!(older.file.names().any(|name| name.contains(".query.")));
        let attention = today.file.names().filter(|name| name.contains(".attentions."));
        let mut compared = 0;
        for name in attention {
            let shape = &today.file.get(name).unwrap().shape;
            let same = (today.read(name, &[shape]).unwrap(), older.read(name, &[shape]).unwrap());
            assert_eq!(same.0, same.1, "{name}");
            compared += 1;
        }
        assert_eq!(compared, older.file.names().count());
    }
}
