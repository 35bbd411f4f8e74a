//! Named parameters: what a method learns, and the gradients it gets.

use std::{collections::BTreeMap, convert::Infallible};

use crate::{
    Device, Tensor, TensorData,
    nn::{Conv2d, ConvShape, Frozen, GroupNorm, LayerNorm, Linear, Precision, WeightSource},
    values,
};

/// One learned tensor of any rank, kept flat.
#[derive(Clone, Debug)]
pub struct Param {
    shape: Vec<usize>,
    flat: Tensor<1>,
}

impl Param {
    /// # Panics
    /// If the number of values is not the product of the shape.
    pub fn new(values: Vec<f32>, shape: &[usize], device: &Device) -> Self {
        assert_eq!(values.len(), shape.iter().product::<usize>(), "shape {shape:?}");
        let length = values.len();
        let flat = Tensor::from_data(TensorData::new(values, [length]), device);
        Self { shape: shape.to_vec(), flat }
    }

    /// Shape as in the files, e.g. `[outputs, inputs]`.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// True for a parameter without values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Values in row-major order.
    pub fn values(&self) -> Vec<f32> {
        values(self.flat.clone())
    }
}

/// Named parameters in name order.
///
/// As a plain set they are constants; [`Params::leaves`] makes a copy that
/// collects gradients, sharing the same memory.
#[derive(Clone, Debug, Default)]
pub struct Params {
    entries: BTreeMap<String, Param>,
}

impl Params {
    /// Adds or replaces a parameter.
    pub fn insert(&mut self, name: impl Into<String>, param: Param) {
        self.entries.insert(name.into(), param);
    }

    /// The parameter of that name.
    pub fn get(&self, name: &str) -> Option<&Param> {
        self.entries.get(name)
    }

    /// Names and parameters in name order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Param)> {
        self.entries.iter().map(|(name, param)| (name.as_str(), param))
    }

    /// Number of parameters (tensors).
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True without parameters.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Number of values in all parameters.
    pub fn count(&self) -> usize {
        self.entries.values().map(Param::len).sum()
    }

    /// The parameter as a tensor of rank `D`.
    ///
    /// # Panics
    /// If there is no such name or the shape differs: both are faults of the
    /// program, files are checked when they are read.
    pub fn tensor<const D: usize>(&self, name: &str, shape: [usize; D]) -> Tensor<D> {
        let param = self.entries.get(name).unwrap_or_else(|| panic!("no parameter {name}"));
        assert_eq!(param.shape, shape, "shape of parameter {name}");
        param.flat.clone().reshape(shape)
    }

    /// The parameters whose names begin so, sharing the same memory.
    pub fn starting_with(&self, prefix: &str) -> Self {
        let entries = self.entries.iter().filter(|(name, _)| name.starts_with(prefix));
        Self { entries: entries.map(|(name, param)| (name.clone(), param.clone())).collect() }
    }

    /// The parameters of a part: those whose names begin so, without that beginning,
    /// sharing the same memory.
    pub fn within(&self, prefix: &str) -> Self {
        let part = |(name, param): (&String, &Param)| {
            name.strip_prefix(prefix).map(|name| (name.to_owned(), param.clone()))
        };
        Self { entries: self.entries.iter().filter_map(part).collect() }
    }

    /// The same parameters under longer names.
    pub fn prefixed(self, prefix: &str) -> Self {
        let longer = |(name, param): (String, Param)| (format!("{prefix}{name}"), param);
        Self { entries: self.entries.into_iter().map(longer).collect() }
    }

    /// Adds the parameters of another set.
    pub fn extend(&mut self, other: Self) {
        self.entries.extend(other.entries);
    }

    /// The same values as leaves that collect gradients.
    pub fn leaves(&self) -> Self {
        let leaf = |param: &Param| Param {
            shape: param.shape.clone(),
            flat: param.flat.clone().inner().autodiff().require_grad(),
        };
        let entries = self.entries.iter().map(|(name, p)| (name.clone(), leaf(p))).collect();
        Self { entries }
    }

    /// A source of frozen layers with these values, for using what was learned.
    pub fn frozen(&self, how: &Frozen) -> FrozenParams<'_> {
        FrozenParams { params: self, how: how.clone() }
    }

    /// Moves the gradients that these leaves received into `sum`, adding.
    pub fn collect(&self, from: &mut crate::replay::Gradients, sum: &mut Gradients) {
        for (name, param) in &self.entries {
            if let Some(gradient) = from.take(&param.flat) {
                sum.add(name, gradient);
            }
        }
    }

    pub(crate) fn replace(&mut self, name: &str, update: impl FnOnce(Vec<f32>) -> Vec<f32>) {
        let param = self.entries.get_mut(name).expect("names come from this set");
        let device = param.flat.device();
        // The old handle is dropped first, so that the values are moved, not copied.
        let flat = std::mem::replace(&mut param.flat, Tensor::zeros([0], &device));
        let new = update(values(flat));
        *param = Param::new(new, &param.shape.clone(), &device);
    }
}

/// Layers over parameters by name. A missing name or another shape is a fault
/// of the program, as for [`Params::tensor`].
impl WeightSource for Params {
    type Error = Infallible;

    fn linear(
        &self,
        name: &str,
        inputs: usize,
        outputs: usize,
        bias: bool,
    ) -> Result<Linear, Infallible> {
        let weight = self.tensor(&format!("{name}.weight"), [outputs, inputs]);
        let bias = bias.then(|| self.tensor(&format!("{name}.bias"), [outputs]));
        Ok(Linear::from_tensors(weight, bias))
    }

    fn conv(&self, name: &str, shape: ConvShape) -> Result<Conv2d, Infallible> {
        let dims = [shape.outputs, shape.inputs, 3, 3];
        let weight = self.tensor(&format!("{name}.weight"), dims);
        let bias = self.tensor(&format!("{name}.bias"), [shape.outputs]);
        Ok(Conv2d::from_tensors(shape, weight, bias))
    }

    fn group_norm(
        &self,
        name: &str,
        groups: usize,
        channels: usize,
        epsilon: f64,
    ) -> Result<GroupNorm, Infallible> {
        let weight = self.tensor(&format!("{name}.weight"), [channels]);
        let bias = self.tensor(&format!("{name}.bias"), [channels]);
        Ok(GroupNorm::from_tensors(weight, bias, groups, epsilon))
    }

    fn layer_norm(
        &self,
        name: &str,
        channels: usize,
        epsilon: f64,
    ) -> Result<LayerNorm, Infallible> {
        let weight = self.tensor(&format!("{name}.weight"), [channels]);
        let bias = self.tensor(&format!("{name}.bias"), [channels]);
        Ok(LayerNorm::from_tensors(weight, bias, epsilon))
    }

    fn table(&self, name: &str, rows: usize, width: usize) -> Result<Tensor<2>, Infallible> {
        Ok(self.tensor(name, [rows, width]))
    }
}

/// Frozen layers over parameters by name; see [`Params::frozen`].
#[derive(Clone, Debug)]
pub struct FrozenParams<'a> {
    params: &'a Params,
    how: Frozen,
}

impl FrozenParams<'_> {
    fn values<const D: usize>(&self, name: &str, shape: [usize; D]) -> Vec<f32> {
        values(self.params.tensor(name, shape))
    }
}

impl WeightSource for FrozenParams<'_> {
    type Error = Infallible;

    fn precision(&self) -> Precision {
        self.how.precision
    }

    fn linear(
        &self,
        name: &str,
        inputs: usize,
        outputs: usize,
        bias: bool,
    ) -> Result<Linear, Infallible> {
        let weight = self.values(&format!("{name}.weight"), [outputs, inputs]);
        let bias = bias.then(|| self.values(&format!("{name}.bias"), [outputs]));
        Ok(self.how.linear(inputs, outputs, weight, bias))
    }

    fn conv(&self, name: &str, shape: ConvShape) -> Result<Conv2d, Infallible> {
        let dims = [shape.outputs, shape.inputs, 3, 3];
        let weight = self.values(&format!("{name}.weight"), dims);
        let bias = self.values(&format!("{name}.bias"), [shape.outputs]);
        Ok(self.how.conv(shape, weight, bias))
    }

    fn group_norm(
        &self,
        name: &str,
        groups: usize,
        channels: usize,
        epsilon: f64,
    ) -> Result<GroupNorm, Infallible> {
        self.params.group_norm(name, groups, channels, epsilon)
    }

    fn layer_norm(
        &self,
        name: &str,
        channels: usize,
        epsilon: f64,
    ) -> Result<LayerNorm, Infallible> {
        self.params.layer_norm(name, channels, epsilon)
    }

    fn table(&self, name: &str, rows: usize, width: usize) -> Result<Tensor<2>, Infallible> {
        self.params.table(name, rows, width)
    }
}

/// Gradients by parameter name; each is flat.
#[derive(Clone, Debug, Default)]
pub struct Gradients {
    entries: BTreeMap<String, Tensor<1>>,
}

impl Gradients {
    /// Adds to the gradient of that name.
    pub fn add<const D: usize>(&mut self, name: &str, gradient: Tensor<D>) {
        let length = gradient.shape().num_elements();
        let gradient = gradient.inner().reshape([length]);
        let sum = match self.entries.remove(name) {
            Some(old) => old + gradient,
            None => gradient,
        };
        self.entries.insert(name.to_owned(), sum);
    }

    /// Adds all gradients of another set.
    pub fn merge(&mut self, other: Self) {
        for (name, gradient) in other.entries {
            self.add(&name, gradient);
        }
    }

    /// Multiplies every gradient, e.g. by one over the accumulated batches.
    pub fn scale(&mut self, factor: f64) {
        for gradient in self.entries.values_mut() {
            *gradient = gradient.clone() * factor;
        }
    }

    /// Names and flat gradients in name order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor<1>)> {
        self.entries.iter().map(|(name, gradient)| (name.as_str(), gradient))
    }

    /// The gradient of that name.
    pub fn get(&self, name: &str) -> Option<&Tensor<1>> {
        self.entries.get(name)
    }

    /// Removes and returns the gradient of that name.
    pub fn remove(&mut self, name: &str) -> Option<Tensor<1>> {
        self.entries.remove(name)
    }
}
