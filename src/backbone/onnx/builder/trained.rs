//! What training adds to a builder: weights as inputs, and what the gradients' rules ask of the nodes before them.

use super::{Attribute, GraphBuilder, Value};
use crate::{
    Trained,
    checkpoint::Tensor,
    onnx::proto::{NodeProto, data_type},
};

impl GraphBuilder {
    /// From here on, weights that `trained` names are inputs of the graph, and nothing is emitted that cannot be differentiated.
    pub fn train(&mut self, trained: Trained) {
        self.trained = Some(trained);
    }

    /// What is trained, if anything is.
    pub fn trained(&self) -> Option<&Trained> {
        self.trained.as_ref()
    }

    /// Whether a weight is trained.
    pub fn trains(&self, weight: &str) -> bool {
        self.trained.as_ref().is_some_and(|trained| trained.weights.contains(weight))
    }

    /// The trained tensors that the graph turned out to use, in their order, with the values that they begin with.
    pub fn parameters(&self) -> &[(String, Tensor)] {
        &self.parameters
    }

    /// Declares a trained tensor, once, as an input.
    pub fn parameter(&mut self, name: &str, tensor: &Tensor) -> Value {
        if !self.parameters.iter().any(|(known, _)| known == name) {
            let names: Vec<String> = (0..tensor.shape.len()).map(|axis| format!("axis_{axis}")).collect();
            let dims: Vec<(&str, i64)> =
                names.iter().map(String::as_str).zip(tensor.shape.iter().map(|size| *size as i64)).collect();
            self.input(name, data_type::FLOAT, &dims);
            self.parameters.push((name.to_owned(), tensor.clone()));
        }
        name.to_owned()
    }

    /// Adds an operator whose operands have one shape, which its gradient need not find out.
    pub fn aligned(&mut self, op: &str, inputs: &[&str]) -> Value {
        self.aligned.insert(self.graph.node.len());
        self.node(op, inputs, &[] as &[Attribute])
    }

    /// The nodes so far.
    pub(crate) fn nodes(&self) -> &[NodeProto] {
        &self.graph.node
    }

    /// Whether the operands of a node have one shape.
    pub(crate) fn is_aligned(&self, index: usize) -> bool {
        self.aligned.contains(&index)
    }

    /// Asks a node for outputs behind its first; they are named after it.
    pub(crate) fn more_outputs<const N: usize>(&mut self, index: usize, names: [&str; N]) -> [Value; N] {
        let node = &mut self.graph.node[index];
        let values = names.map(|name| format!("{}_{name}", node.name));
        node.output.truncate(1);
        node.output.extend(values.iter().cloned());
        values
    }

    /// Whether a value is a constant without axes.
    pub(crate) fn is_scalar(&self, value: &str) -> bool {
        self.graph.initializer.iter().any(|tensor| tensor.name == value && tensor.dims.is_empty())
    }

    /// The values of a constant of 64-bit integers.
    pub(crate) fn integers(&self, constant: &str) -> Option<Vec<i64>> {
        let tensor = self.graph.initializer.iter().find(|tensor| tensor.name == constant)?;
        let is_integer = tensor.data_type == data_type::INT64;
        is_integer.then(|| tensor.raw_data.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect())
    }
}
