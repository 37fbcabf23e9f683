//! Pieces of graphs that the families share: the residual stream of a pre-norm transformer, in ONNX Runtime's operators.

use crate::{
    Error, Weights,
    checkpoint::Tensor,
    lora::{dropout_name, lora_names},
    onnx::{Attribute, GraphBuilder, Value, proto::data_type},
    quantise::Quantised,
};
use homolog_core::bundle::Precision;

/// The residual stream of a pre-norm transformer, `[batch · tokens, width]`.
///
/// A branch's output is not added at once: the addition is done by the next norm (`SkipLayerNormalization`), which no fusion
/// of ONNX Runtime finds by itself on a pre-norm residual.
pub(crate) struct Stream<'g, 'w> {
    pub graph: &'g mut GraphBuilder,
    pub weights: &'g Weights<'w>,
    pub epsilon: f32,
    pub heads: usize,
    /// What turns q and k, in families with rotary positions.
    pub rotary: Option<Rotary>,
    /// `[batch, tokens, width]` as a shape tensor.
    pub shape: Value,
    x: Value,
    pending: Option<Value>,
    /// What products of 8 bits read last, with its name before: q, k and v read the same.
    quantised: Option<(Value, Quantised)>,
}

/// Cosines and sines of the angle by which a pair of channels is turned, `[tokens, width / heads / 2]` each, the same for all
/// heads: channel i of a head goes with channel i + half.
pub(crate) struct Rotary {
    pub cos: Value,
    pub sin: Value,
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
        Stream { graph, weights, epsilon, heads, rotary: None, shape, x, pending: None, quantised: None }
    }

    /// Leaves with the sum of everything, `[batch, tokens, width]`.
    pub fn leave(mut self) -> Value {
        if let Some(branch) = self.pending.take() {
            self.x = self.graph.aligned("Add", &[&self.x, &branch]);
        }
        self.graph.node("Reshape", &[&self.x, &self.shape], &[])
    }

    /// Leaves through a last norm.
    pub fn leave_normed(mut self, name: &str) -> Result<Value, Error> {
        let normed = self.norm(name)?;
        Ok(self.graph.node("Reshape", &[&normed, &self.shape], &[]))
    }

    /// LayerNorm of the stream, after adding what is pending.
    pub fn norm(&mut self, name: &str) -> Result<Value, Error> {
        let gamma = self.weight(&format!("{name}.weight"))?;
        let beta = self.weight(&format!("{name}.bias"))?;
        let epsilon = Attribute::Float("epsilon", self.epsilon);
        Ok(match self.pending.take() {
            None => self.graph.node("LayerNormalization", &[&self.x, &gamma, &beta], &[epsilon]),
            // ONNX lays down single precision for LayerNormalization's statistics; how SkipLayerNormalization computes them in
            // half precision is a provider's own affair. Of the two, only LayerNormalization is differentiated.
            Some(branch) if self.graph.precision() == Precision::Fp16 || self.graph.trained().is_some() => {
                self.x = self.graph.aligned("Add", &[&self.x, &branch]);
                self.graph.node("LayerNormalization", &[&self.x, &gamma, &beta], &[epsilon])
            }
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

    /// Adds what a branch gave, `[batch · tokens, width]`.
    pub fn add(&mut self, branch: Value) {
        self.pending = Some(branch);
    }

    /// One block: attention and MLP, each behind a norm, each scaled by its LayerScale (folded into the last product). What the
    /// family's names hold says which MLP it is and which products have a bias.
    pub fn block(&mut self, index: usize) -> Result<(), Error> {
        let name = |part: &str| format!("blocks.{index}.{part}");

        let normed = self.norm(&name("norm1"))?;
        let mut qkv = Vec::with_capacity(3);
        for part in ["attn.q", "attn.k", "attn.v"] {
            let flat = self.linear(&name(part), &normed, None)?;
            let tokens = self.graph.node("Reshape", &[&flat, &self.shape], &[]);
            qkv.push(if part == "attn.v" { tokens } else { self.turned(tokens) });
        }
        let width = self.weights.get(&name("attn.proj.bias"))?.shape[0];
        let mut attributes = vec![Attribute::Int("num_heads", self.heads as i64)];
        if self.graph.trained().is_some() {
            // Its default, which the gradient needs by name.
            attributes.push(Attribute::Float("scale", ((width / self.heads) as f32).sqrt().recip()));
        }
        let attended = self.graph.fused("MultiHeadAttention", &[&qkv[0], &qkv[1], &qkv[2]], &attributes);
        let rows = self.graph.ints(&[-1, width as i64]);
        let attended = self.graph.node("Reshape", &[&attended, &rows], &[]);
        let branch = self.linear(&name("attn.proj"), &attended, Some(&name("ls1.gamma")))?;
        self.add(branch);

        let normed = self.norm(&name("norm2"))?;
        let (hidden, last) = if self.weights.has(&name("mlp.w3.weight")) {
            // SwiGLU: w3 · (silu(w1 · x) ⊙ (w2 · x)). QuickGelu is x · sigmoid(alpha · x).
            let gate = self.linear(&name("mlp.w1"), &normed, None)?;
            let gate = self.graph.fused("QuickGelu", &[&gate], &[Attribute::Float("alpha", 1.0)]);
            let value = self.linear(&name("mlp.w2"), &normed, None)?;
            (self.graph.aligned("Mul", &[&gate, &value]), "mlp.w3")
        } else {
            let hidden = self.linear(&name("mlp.fc1"), &normed, None)?;
            (self.graph.node("Gelu", &[&hidden], &[]), "mlp.fc2")
        };
        let branch = self.linear(&name(last), &hidden, Some(&name("ls2.gamma")))?;
        self.add(branch);
        Ok(())
    }

    /// q or k, `[batch, tokens, width]`, with its rotary position.
    fn turned(&mut self, tokens: Value) -> Value {
        let Some(Rotary { cos, sin }) = &self.rotary else { return tokens };
        // One position: row i of the tables is token i's.
        let first = self.graph.ints(&[0]);
        self.graph.fused("RotaryEmbedding", &[&tokens, &first, cos, sin], &[Attribute::Int("interleaved", 0)])
    }

    /// `x · Wᵀ + b` as one `Gemm`, whose bias, if there is one, is fused; a LayerScale `gamma` multiplies the outputs, that is,
    /// the rows of W. In 8 bits where that is the network's precision.
    pub fn linear(&mut self, name: &str, input: &str, gamma: Option<&str>) -> Result<Value, Error> {
        if self.is_trained(name, gamma) {
            return self.trained_linear(name, input, gamma);
        }
        let bias = format!("{name}.bias");
        let mut weight = self.weights.get(&format!("{name}.weight"))?;
        let mut shift = self.weights.has(&bias).then(|| self.weights.get(&bias)).transpose()?;
        if let Some(gamma) = gamma {
            let gamma = self.weights.get(gamma)?;
            scale_rows(&mut weight, &gamma);
            shift.iter_mut().for_each(|shift| scale_rows(shift, &gamma));
        }
        let shift = shift.map(|shift| self.graph.weight(&bias, &shift)).transpose()?;
        let (name, weight) = (format!("{name}.weight"), transposed(&weight));
        if self.graph.precision() == Precision::Int8 {
            let product = self.quantised(input).product(self.graph, &name, &weight)?;
            return Ok(match shift {
                Some(shift) => self.graph.node("Add", &[&product, &shift], &[]),
                None => product,
            });
        }
        let weight = self.graph.weight(&name, &weight)?;
        let operands: Vec<&str> = [input, &weight].into_iter().chain(shift.as_deref()).collect();
        Ok(self.graph.node("Gemm", &operands, &[]))
    }

    fn is_trained(&self, name: &str, gamma: Option<&str>) -> bool {
        let lora = self.graph.trained().and_then(|trained| trained.lora.as_ref());
        let weights = [format!("{name}.weight"), format!("{name}.bias")];
        lora.is_some_and(|lora| lora.modules.contains(name))
            || weights.iter().map(String::as_str).chain(gamma).any(|weight| self.graph.trains(weight))
    }

    /// The same with weights as the checkpoint has them, each trained by itself, and low-rank matrices beside them.
    fn trained_linear(&mut self, name: &str, input: &str, gamma: Option<&str>) -> Result<Value, Error> {
        let bias = format!("{name}.bias");
        let sizes = self.weights.get(&format!("{name}.weight"))?.shape;
        let mut weight = self.weight(&format!("{name}.weight"))?;
        let mut shift = self.weights.has(&bias).then(|| self.weight(&bias)).transpose()?;
        let mut column = None;
        if let Some(gamma) = gamma {
            let gamma = self.weight(gamma)?;
            let shape = self.graph.ints(&[-1, 1]);
            let rows = self.graph.node("Reshape", &[&gamma, &shape], &[]);
            weight = self.graph.node("Mul", &[&weight, &rows], &[]);
            shift = shift.map(|shift| self.graph.aligned("Mul", &[&shift, &gamma]));
            column = Some(rows);
        }
        let by_rows = [Attribute::Int("transB", 1)];
        let operands: Vec<&str> = [input, &weight].into_iter().chain(shift.as_deref()).collect();
        let product = self.graph.node("Gemm", &operands, &by_rows);
        let lora = self.graph.trained().and_then(|trained| trained.lora.clone());
        let Some(lora) = lora.filter(|lora| lora.modules.contains(name)) else { return Ok(product) };

        let zeros = |rows: usize, columns: usize| Tensor::new(vec![rows, columns], vec![0.0; rows * columns]);
        let [down, up] = lora_names(name);
        let down = self.graph.parameter(&down, &zeros(lora.rank, sizes[1])?);
        let mut up = self.graph.parameter(&up, &zeros(sizes[0], lora.rank)?);
        let mut thinned: Value = input.into();
        if lora.has_dropout {
            let mask =
                self.graph.input(&dropout_name(name), data_type::FLOAT, &[("rows", -1), ("in", sizes[1] as i64)]);
            thinned = self.graph.aligned("Mul", &[input, &mask]);
        }
        if let Some(column) = column {
            up = self.graph.node("Mul", &[&up, &column], &[]);
        }
        let scale = self.graph.float(lora.scale());
        let inner = self.graph.node("Gemm", &[&thinned, &down], &by_rows);
        let inner = self.graph.node("Mul", &[&inner, &scale], &[]);
        let added = self.graph.node("Gemm", &[&inner, &up], &by_rows);
        Ok(self.graph.aligned("Add", &[&product, &added]))
    }

    /// `input [rows, channels]` in 8 bits, made once for products that read the same.
    fn quantised(&mut self, input: &str) -> Quantised {
        match &self.quantised {
            Some((name, quantised)) if name == input => quantised.clone(),
            _ => {
                let quantised = Quantised::of(self.graph, input);
                self.quantised = Some((input.into(), quantised.clone()));
                quantised
            }
        }
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
