//! Low-rank matrices beside a network's products.

use crate::{Error, Weights, checkpoint::Tensor};
use std::collections::{BTreeMap, BTreeSet};

/// Low-rank adaptation: `y = W x + b + (α / r) · B A x` (Hu et al. 2022, "LoRA", equation 3).
#[derive(Clone, Debug, PartialEq)]
pub struct Lora {
    /// r.
    pub rank: usize,
    /// α.
    pub alpha: f32,
    /// Whether the input of A is thinned out: the graph then takes a mask of 0 and `1 / (1 − p)` for each product.
    pub has_dropout: bool,
    /// The products, say `blocks.11.attn.q`.
    pub modules: BTreeSet<String>,
}

impl Lora {
    /// α / r.
    pub fn scale(&self) -> f32 {
        self.alpha / self.rank as f32
    }

    /// The weights of the adapted products with their matrices merged into them, `W + (α / r) · B A`, by the family's names: what
    /// [`Weights::with`] takes. `matrices` go by [`lora_names`]; others among them are not looked at.
    ///
    /// # Errors
    /// [`Error::Tensor`] when a matrix is missing or of another shape; whatever reading a weight meets.
    pub fn merged(
        &self,
        weights: &Weights,
        matrices: &BTreeMap<String, Tensor>,
    ) -> Result<BTreeMap<String, Tensor>, Error> {
        let merged = self.modules.iter().map(|module| {
            let name = format!("{module}.weight");
            let mut weight = weights.get(&name)?;
            let [out, input] = weight.shape[..] else {
                return Err(Error::Tensor { name, reason: format!("it is {:?}, no matrix", weight.shape) });
            };
            let [down, up] = lora_names(module);
            let down = matrix(matrices, down, [self.rank, input])?;
            let up = matrix(matrices, up, [out, self.rank])?;
            for (row, up) in weight.data.chunks_exact_mut(input).zip(up.data.chunks_exact(self.rank)) {
                for (column, weight) in row.iter_mut().enumerate() {
                    let product =
                        |(place, up): (usize, &f32)| f64::from(*up) * f64::from(down.data[place * input + column]);
                    let product: f64 = up.iter().enumerate().map(product).sum();
                    *weight = (f64::from(*weight) + f64::from(self.scale()) * product) as f32;
                }
            }
            Ok((name, weight))
        });
        merged.collect()
    }
}

/// Names of a product's low-rank matrices: `A [r, in]` and `B [out, r]`.
pub fn lora_names(module: &str) -> [String; 2] {
    [format!("{module}.lora_A.weight"), format!("{module}.lora_B.weight")]
}

/// The graph's input that thins out what a product's A reads, `[rows, in]`.
pub fn dropout_name(module: &str) -> String {
    format!("{module}.dropout")
}

fn matrix(matrices: &BTreeMap<String, Tensor>, name: String, shape: [usize; 2]) -> Result<&Tensor, Error> {
    let reason = match matrices.get(&name) {
        Some(matrix) if matrix.shape == shape => return Ok(matrix),
        Some(matrix) => format!("it is {:?}, not {shape:?}", matrix.shape),
        None => "the adapter has no tensor of this name".into(),
    };
    Err(Error::Tensor { name, reason })
}
