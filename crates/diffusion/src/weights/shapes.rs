use std::{cell::RefCell, convert::Infallible};

use engine::{
    Device, Tensor,
    nn::{Conv2d, ConvShape, GroupNorm, LayerNorm, Linear, WeightSource},
};

/// Names and shapes of a model's weights, by diffusers' names and in the order of
/// construction; `build` builds it.
pub fn shapes<T>(
    build: impl FnOnce(&Shapes) -> Result<T, Infallible>,
) -> Vec<(String, Vec<usize>)> {
    let shapes = Shapes { found: RefCell::default(), device: engine::cpu() };
    let Ok(_) = build(&shapes);
    shapes.found.into_inner()
}

/// Notes what a model asks for, and gives it empty layers; see [`shapes`].
pub struct Shapes {
    found: RefCell<Vec<(String, Vec<usize>)>>,
    device: Device,
}

impl Shapes {
    fn note(&self, name: String, shape: &[usize]) {
        self.found.borrow_mut().push((name, shape.to_vec()));
    }

    fn note_vectors(&self, name: &str, length: usize) {
        self.note(format!("{name}.weight"), &[length]);
        self.note(format!("{name}.bias"), &[length]);
    }

    fn empty<const D: usize>(&self) -> Tensor<D> {
        Tensor::zeros([0; D], &self.device)
    }
}

impl WeightSource for Shapes {
    type Error = Infallible;

    fn linear(
        &self,
        name: &str,
        inputs: usize,
        outputs: usize,
        bias: bool,
    ) -> Result<Linear, Infallible> {
        self.note(format!("{name}.weight"), &[outputs, inputs]);
        if bias {
            self.note(format!("{name}.bias"), &[outputs]);
        }
        Ok(Linear::from_tensors(self.empty(), None))
    }

    fn conv(&self, name: &str, shape: ConvShape) -> Result<Conv2d, Infallible> {
        self.note(format!("{name}.weight"), &[shape.outputs, shape.inputs, 3, 3]);
        self.note(format!("{name}.bias"), &[shape.outputs]);
        Ok(Conv2d::from_tensors(shape, self.empty(), self.empty()))
    }

    fn group_norm(
        &self,
        name: &str,
        groups: usize,
        channels: usize,
        epsilon: f64,
    ) -> Result<GroupNorm, Infallible> {
        self.note_vectors(name, channels);
        Ok(GroupNorm::from_tensors(self.empty(), self.empty(), groups, epsilon))
    }

    fn layer_norm(
        &self,
        name: &str,
        channels: usize,
        epsilon: f64,
    ) -> Result<LayerNorm, Infallible> {
        self.note_vectors(name, channels);
        Ok(LayerNorm::from_tensors(self.empty(), self.empty(), epsilon))
    }

    fn table(&self, name: &str, rows: usize, width: usize) -> Result<Tensor<2>, Infallible> {
        self.note(name.to_owned(), &[rows, width]);
        Ok(self.empty())
    }
}
