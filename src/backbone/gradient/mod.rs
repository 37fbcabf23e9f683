//! Reverse-mode differentiation of emitted graphs: the graph that is trained is the graph that is served, and what ONNX Runtime
//! runs are its gradients. For every operator that the families and the losses use there is a rule that emits the product of
//! a cotangent with the operator's Jacobian (Griewank & Walther, "Evaluating Derivatives", 2008, chapter 3).
//!
//! Shapes are not known here. Where an operand is spread over the other's shape, both have as many axes, and its gradient
//! is summed along those that differ, which the running graph finds out.

mod arithmetic;
mod attention;
mod convolution;
mod layout;
mod norm;
mod products;

use crate::{
    Error,
    onnx::{Attribute, GraphBuilder, Value, proto::NodeProto},
};
use std::collections::{HashMap, HashSet};

/// Emits the gradients of the scalar `loss` with respect to the values `of`, in their order and shapes.
///
/// # Errors
/// [`Error::Gradient`] for an operator without a rule on the way from one to the other, and for a value that the loss does not
/// depend on.
pub fn gradients(graph: &mut GraphBuilder, loss: &str, of: &[Value]) -> Result<Vec<Value>, Error> {
    let nodes = graph.nodes().to_vec();
    let mut active: HashSet<Value> = of.iter().cloned().collect();
    for node in &nodes {
        if node.input.iter().any(|input| active.contains(input)) {
            active.extend(node.output.iter().filter(|output| !output.is_empty()).cloned());
        }
    }
    let one = graph.float(1.0);
    let mut backward = Backward { graph, active, cotangents: HashMap::from([(loss.to_owned(), one)]) };
    for (index, node) in nodes.iter().enumerate().rev() {
        let asked = node.output.iter().any(|output| backward.cotangents.contains_key(output));
        if asked && node.input.iter().any(|input| backward.active.contains(input)) {
            backward.node(index, node)?;
        }
    }
    let found = of.iter().map(|value| {
        let none = || Error::Gradient { what: value.clone(), reason: "the loss does not depend on it".into() };
        backward.cotangents.get(value).cloned().ok_or_else(none)
    });
    found.collect()
}

/// The state of a walk from the loss back to what it depends on.
struct Backward<'g> {
    graph: &'g mut GraphBuilder,
    /// Values that depend on what is differentiated for.
    active: HashSet<Value>,
    /// The gradients of the loss, as far as they are known: complete for a value once its node is reached.
    cotangents: HashMap<Value, Value>,
}

impl Backward<'_> {
    fn node(&mut self, index: usize, node: &NodeProto) -> Result<(), Error> {
        match (node.domain.as_str(), node.op_type.as_str()) {
            ("", "Add" | "Sub" | "Mul" | "Div") => self.binary(index, node),
            ("", "Exp" | "Log" | "Sqrt" | "Neg" | "Relu" | "Gelu" | "Softmax" | "LogSoftmax") => self.unary(node),
            ("com.microsoft", "QuickGelu") => self.silu(node),
            ("", "Gemm") => self.gemm(node),
            ("", "MatMul") => self.matmul(node),
            ("", "Conv") => self.convolution(node),
            ("", "Identity") => self.identity(node),
            ("", "Reshape" | "Unsqueeze" | "Squeeze") => self.reshaped(node),
            ("", "Transpose") => self.transposed(node),
            ("", "Concat") => self.concatenated(node),
            ("", "Slice") => self.sliced(node),
            ("", "Gather") => self.gathered(node),
            ("", "Expand") => self.expanded(node),
            ("", "ReduceSum") => self.summed(node),
            ("", "LayerNormalization") => self.layer_norm(index, node),
            ("", "InstanceNormalization") => self.instance_norm(node),
            ("com.microsoft", "MultiHeadAttention") => self.attention(node),
            ("com.microsoft", "RotaryEmbedding") => self.rotary(node),
            // A shape does not change with the values.
            ("", "Shape") => Ok(()),
            _ => Err(unknown(node, "there is no rule for its gradient")),
        }
    }

    fn is_active(&self, value: &str) -> bool {
        self.active.contains(value)
    }

    /// The cotangent of a node's first output.
    fn cotangent(&self, node: &NodeProto) -> Result<Value, Error> {
        let known = node.output.first().and_then(|output| self.cotangents.get(output));
        known.cloned().ok_or_else(|| unknown(node, "another output than its first is differentiated"))
    }

    /// Adds to what is known of a value's gradient.
    fn add(&mut self, value: &str, cotangent: Value) {
        let sum = match self.cotangents.remove(value) {
            Some(before) => self.graph.node("Add", &[&before, &cotangent], &[]),
            None => cotangent,
        };
        self.cotangents.insert(value.to_owned(), sum);
    }

    /// `cotangent` summed along the axes that `operand`, of as many axes, was spread over.
    fn reduced_like(&mut self, cotangent: &str, operand: &str) -> Value {
        let graph = &mut *self.graph;
        let (found, wanted) = (graph.node("Shape", &[cotangent], &[]), graph.node("Shape", &[operand], &[]));
        let same = graph.node("Equal", &[&found, &wanted], &[]);
        let differ = graph.node("Not", &[&same], &[]);
        let axes = graph.node("NonZero", &[&differ], &[]);
        let flat = graph.ints(&[-1]);
        let axes = graph.node("Reshape", &[&axes, &flat], &[]);
        let attributes = [Attribute::Int("keepdims", 1), Attribute::Int("noop_with_empty_axes", 1)];
        graph.node("ReduceSum", &[cotangent, &axes], &attributes)
    }

    /// Sums along constant axes.
    fn sum(&mut self, value: &str, axes: &[i64], keep: bool) -> Value {
        let axes = self.graph.ints(axes);
        self.graph.node("ReduceSum", &[value, &axes], &[Attribute::Int("keepdims", i64::from(keep))])
    }

    fn binary_node(&mut self, op: &str, a: &str, b: &str) -> Value {
        self.graph.node(op, &[a, b], &[])
    }

    fn scaled(&mut self, value: &str, factor: f32) -> Value {
        let factor = self.graph.float(factor);
        self.binary_node("Mul", value, &factor)
    }

    fn like(&mut self, value: &str, shape_of: &str) -> Value {
        let shape = self.graph.node("Shape", &[shape_of], &[]);
        self.graph.node("Reshape", &[value, &shape], &[])
    }
}

fn unknown(node: &NodeProto, reason: &str) -> Error {
    Error::Gradient { what: format!("{} ({})", node.op_type, node.name), reason: reason.into() }
}

/// An integer attribute, or what it is when it is absent.
fn int(node: &NodeProto, name: &str, default: i64) -> i64 {
    node.attribute.iter().find(|attribute| attribute.name == name).and_then(|attribute| attribute.i).unwrap_or(default)
}

fn ints<'n>(node: &'n NodeProto, name: &str) -> Option<&'n [i64]> {
    node.attribute.iter().find(|attribute| attribute.name == name).map(|attribute| attribute.ints.as_slice())
}

fn float(node: &NodeProto, name: &str) -> Option<f32> {
    node.attribute.iter().find(|attribute| attribute.name == name).and_then(|attribute| attribute.f)
}
