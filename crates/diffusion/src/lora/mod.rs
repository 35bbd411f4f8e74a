//! LoRAs (Hu et al. 2021) merged into the weights of a base model as these are
//! read: `W + weight * alpha / rank * up @ down`.

mod alpha;
mod names;
mod write;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use engine::{Device, Tensor};
use formats::TensorFile;

use self::{
    alpha::Alphas,
    names::{Key, Role},
};
use crate::{Error, Result};

pub use names::Part;
pub use write::{Factors, write_kohya};

/// What PEFT puts before every name when it saves a model by itself.
const PEFT_PREFIX: &str = "base_model.model.";

/// Names of the weight file where a folder is given: diffusers', PEFT's.
const IN_FOLDER: [&str; 2] = ["pytorch_lora_weights.safetensors", "adapter_model.safetensors"];

/// A LoRA file that was found and understood; its factors are read when they
/// are needed.
#[derive(Debug)]
pub struct Lora {
    file: TensorFile,
    weight: f64,
    layers: BTreeMap<(Part, String), Layer>,
}

/// The tensors of a layer, by name.
#[derive(Debug)]
struct Layer {
    down: String,
    up: String,
    mid: Option<String>,
    /// What the product is multiplied by, besides the weight.
    scale: f64,
}

/// The tensors of a layer as they are found.
#[derive(Default)]
struct Found {
    down: Option<String>,
    up: Option<String>,
    mid: Option<String>,
    alpha: Option<String>,
}

impl Lora {
    /// Opens a LoRA of kohya's, diffusers' or PEFT's making, or a folder with
    /// one of the latter, to be merged with a weight (1 as it was trained).
    ///
    /// # Errors
    /// If the file is none, or one of its tensors has no use here: none is left
    /// out silently.
    pub fn open(path: &Path, weight: f64) -> Result<Self> {
        let inside = IN_FOLDER.map(|name| path.join(name));
        let path = inside.iter().find(|file| file.is_file()).map_or(path, PathBuf::as_path);
        let file = TensorFile::open(path)?;
        let mut found: BTreeMap<(Part, String), Found> = BTreeMap::new();
        for name in file.names() {
            let wrong = |what| Error::Lora { path: path.to_owned(), key: name.to_owned(), what };
            let Key { part, module, role } = names::parse(name).map_err(wrong)?;
            let layer = found.entry((part, module)).or_default();
            let place = match role {
                Role::Down => &mut layer.down,
                Role::Up => &mut layer.up,
                Role::Mid => &mut layer.mid,
                Role::Alpha => &mut layer.alpha,
            };
            if let Some(other) = place.replace(name.to_owned()) {
                return Err(wrong(format!("it is of the same layer as `{other}`")));
            }
        }
        let alphas = Alphas::read(&file)?;
        let mut layers = BTreeMap::new();
        for ((part, module), found) in found {
            let layer = Layer::new(&file, &alphas, part, &module, found)?;
            layers.insert((part, module), layer);
        }
        Ok(Self { file, weight, layers })
    }

    /// Number of layers that it changes.
    pub fn layers(&self) -> usize {
        self.layers.len()
    }

    /// A short hash of the file (8 hexadecimal digits), and the weight.
    pub fn fingerprint(&self) -> Result<String> {
        Ok(format!("{}:{}", &self.file.sha256()?[..8], self.weight))
    }

    /// Checks that every layer is one of the model, by the shapes of its
    /// weights.
    ///
    /// # Errors
    /// The name of the first tensor that does not fit, and why.
    pub(crate) fn check(&self, shape: impl Fn(Part, &str) -> Option<Vec<usize>>) -> Result<()> {
        for ((part, module), layer) in &self.layers {
            let weight = shape(*part, &format!("{module}.weight")).ok_or_else(|| {
                self.wrong(&layer.down, format!("the base model has no layer {module}"))
            })?;
            let (outputs, inputs) = matrix(&weight);
            let sides = self.sides(layer)?;
            let expect = |key: &str, found, expected: [usize; 2]| {
                let what = format!(
                    "it makes a matrix of {found:?} where {module}, which is {weight:?}, wants \
                     {expected:?}: the LoRA is for another model"
                );
                if found == expected { Ok(()) } else { Err(self.wrong(key, what)) }
            };
            let rank = sides.up[1];
            expect(&layer.up, sides.up, [outputs, rank])?;
            match (sides.mid, &layer.mid) {
                (Some(mid), Some(key)) => {
                    let kernel = weight[2..].iter().product::<usize>();
                    expect(key, mid, [rank, sides.down[0] * kernel])?;
                    expect(&layer.down, sides.down, [sides.down[0], inputs / kernel.max(1)])?;
                }
                _ => expect(&layer.down, sides.down, [rank, inputs])?,
            }
        }
        Ok(())
    }

    /// Adds what the LoRA learned to the values of a weight of this shape.
    pub(crate) fn merge(
        &self,
        part: Part,
        module: &str,
        values: &mut [f32],
        device: &Device,
    ) -> Result<()> {
        let Some(layer) = self.layers.get(&(part, module.to_owned())) else { return Ok(()) };
        let sides = self.sides(layer)?;
        let up = self.tensor(&layer.up, sides.up, device)?;
        let down = self.tensor(&layer.down, sides.down, device)?;
        let inner = match (&layer.mid, sides.mid) {
            (Some(name), Some(shape)) => {
                // `mid[p, r, k] down[r, i]` summed over r, as `[p, i, k]`.
                let ([rank, _], [inner, inputs]) = (shape, sides.down);
                let kernel = shape[1] / inner;
                let mid = self.tensor(name, shape, device)?.reshape([rank, inner, kernel]);
                let mid = mid.swap_dims(1, 2).reshape([rank * kernel, inner]);
                let product = mid.matmul(down).reshape([rank, kernel, inputs]);
                product.swap_dims(1, 2).reshape([rank, inputs * kernel])
            }
            _ => down,
        };
        let change = engine::values(up.matmul(inner) * (self.weight * layer.scale));
        values.iter_mut().zip(change).for_each(|(value, change)| *value += change);
        Ok(())
    }

    fn tensor(&self, name: &str, shape: [usize; 2], device: &Device) -> Result<Tensor<2>> {
        let values = self.file.f32(name)?;
        if !values.iter().all(|v| v.is_finite()) {
            return Err(self.wrong(name, "it holds values that are not finite".into()));
        }
        Ok(engine::tensor(values, shape, device))
    }

    fn sides(&self, layer: &Layer) -> Result<Sides> {
        let side = |name: &str| -> Result<[usize; 2]> {
            let (rows, columns) = matrix(&self.file.info(name)?.shape);
            Ok([rows, columns])
        };
        let mid = layer.mid.as_deref().map(side).transpose()?;
        Ok(Sides { down: side(&layer.down)?, up: side(&layer.up)?, mid })
    }

    fn wrong(&self, key: &str, what: String) -> Error {
        Error::Lora { path: self.file.path().to_owned(), key: key.to_owned(), what }
    }
}

/// Rows and columns of a layer's factors as matrices.
struct Sides {
    down: [usize; 2],
    up: [usize; 2],
    mid: Option<[usize; 2]>,
}

/// The first extent, and the product of the others.
fn matrix(shape: &[usize]) -> (usize, usize) {
    let (first, rest) = shape.split_first().unwrap_or((&1, &[]));
    (*first, rest.iter().product())
}

impl Layer {
    fn new(
        file: &TensorFile,
        alphas: &Alphas,
        part: Part,
        module: &str,
        found: Found,
    ) -> Result<Self> {
        let some = [&found.down, &found.up, &found.mid, &found.alpha].into_iter().flatten().next();
        let missing = |which: &str| Error::Lora {
            path: file.path().to_owned(),
            key: some.cloned().unwrap_or_default(),
            what: format!("its layer has no {which} factor"),
        };
        let down = found.down.clone().ok_or_else(|| missing("down"))?;
        let up = found.up.clone().ok_or_else(|| missing("up"))?;
        let (rank, _) = matrix(&file.info(&down)?.shape);
        let scale = match found.alpha {
            Some(name) => {
                file.expect_shape(&name, &[]).or_else(|_| file.expect_shape(&name, &[1]))?;
                f64::from(file.f32(&name)?[0]) / rank as f64
            }
            None => alphas.scale(part, module, rank),
        };
        if !scale.is_finite() {
            let what = "its alpha is not finite, or its rank is 0".into();
            return Err(Error::Lora { path: file.path().to_owned(), key: down, what });
        }
        Ok(Self { down, up, mid: found.mid, scale })
    }
}
