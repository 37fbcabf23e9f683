//! Pieces of graphs that the families share: the residual stream of a pre-norm transformer, in ONNX Runtime's operators.

use crate::{
    Error, Weights,
    checkpoint::Tensor,
    onnx::{Attribute, GraphBuilder, Value},
};

/// The residual stream of a pre-norm transformer, `[batch · tokens, width]`.
///
/// A branch's output is not added at once: the addition is done by the next norm (`SkipLayerNormalization`), which no fusion
/// of ONNX Runtime finds by itself on a pre-norm residual.
pub(crate) struct Stream<'g, 'w> {
    pub graph: &'g mut GraphBuilder,
    pub weights: &'g Weights<'w>,
    pub epsilon: f32,
    pub heads: usize,
    /// `[batch, tokens, width]` as a shape tensor.
    shape: Value,
    x: Value,
    pending: Option<Value>,
}

impl<'g, 'w> Stream<'g, 'w> {
    /// Enters with tokens `[batch, tokens, width]`.
    pub fn enter(
        graph: &'g mut GraphBuilder,
        weights: &'g Weights<'w>,
        tokens: &str,
        width: usize,
        heads: usize,
        epsilon: f32,
    ) -> Stream<'g, 'w> {
        let shape = graph.node("Shape", &[tokens], &[]);
        let rows = graph.ints(&[-1, width as i64]);
        let x = graph.node("Reshape", &[tokens, &rows], &[]);
        Stream { graph, weights, epsilon, heads, shape, x, pending: None }
    }

    /// Leaves with the sum of everything, `[batch, tokens, width]`.
    pub fn leave(mut self) -> Value {
        if let Some(branch) = self.pending.take() {
            self.x = self.graph.node("Add", &[&self.x, &branch], &[]);
        }
        self.graph.node("Reshape", &[&self.x, &self.shape], &[])
    }

    /// Leaves through a last norm.
    pub fn leave_normed(mut self, name: &str) -> Result<Value, Error> {
        let normed = self.norm(name)?;
        Ok(self.graph.node("Reshape", &[&normed, &self.shape], &[]))
    }

    /// LayerNorm of the stream, after adding what is pending.
    fn norm(&mut self, name: &str) -> Result<Value, Error> {
        let gamma = self.weight(&format!("{name}.weight"))?;
        let beta = self.weight(&format!("{name}.bias"))?;
        let epsilon = Attribute::Float("epsilon", self.epsilon);
        Ok(match self.pending.take() {
            None => self.graph.node("LayerNormalization", &[&self.x, &gamma, &beta], &[epsilon]),
            Some(branch) => {
                let mut outputs = self.graph.outputs(
                    "SkipLayerNormalization",
                    "com.microsoft",
                    &[&self.x, &branch, &gamma, &beta],
                    // Output 3 is the sum, which the next residual needs.
                    &[true, false, false, true],
                    &[epsilon],
                );
                self.x = outputs.swap_remove(3);
                outputs.swap_remove(0)
            }
        })
    }

    /// One block: attention and MLP, each behind a norm, each scaled by its LayerScale (folded into the last product).
    pub fn block(&mut self, index: usize) -> Result<(), Error> {
        let name = |part: &str| format!("blocks.{index}.{part}");

        let normed = self.norm(&name("norm1"))?;
        let mut qkv = Vec::with_capacity(3);
        for part in ["attn.q", "attn.k", "attn.v"] {
            let flat = self.linear(&name(part), &normed, None)?;
            qkv.push(self.graph.node("Reshape", &[&flat, &self.shape], &[]));
        }
        let heads = Attribute::Int("num_heads", self.heads as i64);
        let attended = self.graph.fused("MultiHeadAttention", &[&qkv[0], &qkv[1], &qkv[2]], &[heads]);
        let width = self.weights.get(&name("attn.proj.bias"))?.shape[0];
        let rows = self.graph.ints(&[-1, width as i64]);
        let attended = self.graph.node("Reshape", &[&attended, &rows], &[]);
        let branch = self.linear(&name("attn.proj"), &attended, Some(&name("ls1.gamma")))?;
        self.pending = Some(branch);

        let normed = self.norm(&name("norm2"))?;
        let hidden = self.linear(&name("mlp.fc1"), &normed, None)?;
        let hidden = self.graph.node("Gelu", &[&hidden], &[]);
        self.pending = Some(self.linear(&name("mlp.fc2"), &hidden, Some(&name("ls2.gamma")))?);
        Ok(())
    }

    /// `x · Wᵀ + b` as one `Gemm`, whose bias is fused; a LayerScale `gamma` multiplies the outputs, that is, the rows of W.
    fn linear(&mut self, name: &str, input: &str, gamma: Option<&str>) -> Result<Value, Error> {
        let mut weight = self.weights.get(&format!("{name}.weight"))?;
        let mut bias = self.weights.get(&format!("{name}.bias"))?;
        if let Some(gamma) = gamma {
            let gamma = self.weights.get(gamma)?;
            scale_rows(&mut weight, &gamma);
            scale_rows(&mut bias, &gamma);
        }
        let weight = self.graph.weight(&format!("{name}.weight"), &transposed(&weight))?;
        let bias = self.graph.weight(&format!("{name}.bias"), &bias)?;
        Ok(self.graph.node("Gemm", &[input, &weight, &bias], &[]))
    }

    fn weight(&mut self, name: &str) -> Result<Value, Error> {
        self.graph.weight(name, &self.weights.get(name)?)
    }
}

fn scale_rows(tensor: &mut Tensor, gamma: &Tensor) {
    let width: usize = tensor.shape[1..].iter().product();
    for (row, gamma) in tensor.data.chunks_exact_mut(width).zip(&gamma.data) {
        row.iter_mut().for_each(|value| *value *= gamma);
    }
}

/// `[out, in]` as PyTorch keeps it → `[in, out]` as the product reads it, once here rather than on every run.
pub(crate) fn transposed(weight: &Tensor) -> Tensor {
    let (out, input) = (weight.shape[0], weight.shape[1]);
    let mut data = vec![0.0; weight.data.len()];
    for (o, row) in weight.data.chunks_exact(input).enumerate() {
        for (i, value) in row.iter().enumerate() {
            data[i * out + o] = *value;
        }
    }
    Tensor { shape: vec![input, out], data }
}
