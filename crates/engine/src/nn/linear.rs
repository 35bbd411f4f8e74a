use crate::Tensor;

/// `y = x W^T + b` over the last dimension.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
}

impl Linear {
    /// A layer whose weight `[outputs, inputs]` and bias `[outputs]` are tensors.
    pub fn from_tensors(weight: Tensor<2>, bias: Option<Tensor<1>>) -> Self {
        Self { weight, bias }
    }

    /// # Shapes
    /// `[.., inputs] -> [.., outputs]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let mut shape = x.dims();
        let inputs = shape[D - 1];
        let rows = shape.iter().product::<usize>() / inputs;
        let mut y = x.reshape([rows, inputs]).matmul(self.weight.clone().transpose());
        if let Some(bias) = &self.bias {
            y = y + bias.clone().unsqueeze::<2>();
        }
        shape[D - 1] = self.weight.dims()[0];
        y.reshape(shape)
    }
}
