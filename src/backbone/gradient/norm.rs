//! Norms: with x̂ the normed input and g its cotangent, `dx = (g − mean(g) − x̂ · mean(g · x̂)) / σ`
//! (Ioffe & Szegedy 2015, section 3, for means along the axis that is normed).

use super::{Backward, float, int, unknown};
use crate::{
    Error,
    onnx::{Attribute, Value, proto::NodeProto},
};

impl Backward<'_> {
    pub(super) fn layer_norm(&mut self, index: usize, node: &NodeProto) -> Result<(), Error> {
        if int(node, "axis", -1) != -1 {
            return Err(unknown(node, "only its last axis is differentiated"));
        }
        let dy = self.cotangent(node)?;
        let (x, gamma) = (&node.input[0], &node.input[1]);
        // The statistics of the forward pass, which the operator gives when it is asked for them.
        let [mean, inverse] = self.graph.more_outputs(index, ["mean", "inverse"]);
        let centred = self.binary_node("Sub", x, &mean);
        let normed = self.binary_node("Mul", &centred, &inverse);
        let channels = self.graph.node("Shape", &[gamma], &[]);
        let rows = self.graph.ints(&[-1]);
        let rows = self.graph.node("Concat", &[&rows, &channels], &[Attribute::Int("axis", 0)]);
        if self.is_active(gamma) {
            let product = self.binary_node("Mul", &dy, &normed);
            let product = self.graph.node("Reshape", &[&product, &rows], &[]);
            let cotangent = self.sum(&product, &[0], false);
            self.add(gamma, cotangent);
        }
        if let Some(beta) = node.input.get(2).filter(|beta| self.is_active(beta)) {
            let flat = self.graph.node("Reshape", &[&dy, &rows], &[]);
            let cotangent = self.sum(&flat, &[0], false);
            self.add(beta, cotangent);
        }
        if self.is_active(x) {
            let g = self.binary_node("Mul", &dy, gamma);
            let dx = self.through_norm(&g, &normed, &inverse);
            self.add(x, dx);
        }
        Ok(())
    }

    /// Over `[batch, groups, values]`; its own scale and shift are constants.
    pub(super) fn instance_norm(&mut self, node: &NodeProto) -> Result<(), Error> {
        let dy = self.cotangent(node)?;
        let x = &node.input[0];
        if node.input[1..].iter().any(|input| self.is_active(input)) {
            return Err(unknown(node, "its scale and shift are taken for constants"));
        }
        let mean = self.mean(x);
        let centred = self.binary_node("Sub", x, &mean);
        let square = self.binary_node("Mul", &centred, &centred);
        let variance = self.mean(&square);
        let epsilon = self.graph.float(float(node, "epsilon").unwrap_or(1e-5));
        let variance = self.binary_node("Add", &variance, &epsilon);
        let deviation = self.graph.node("Sqrt", &[&variance], &[]);
        let inverse = self.graph.node("Reciprocal", &[&deviation], &[]);
        let normed = self.binary_node("Mul", &centred, &inverse);
        let dx = self.through_norm(&dy, &normed, &inverse);
        self.add(x, dx);
        Ok(())
    }

    fn through_norm(&mut self, g: &str, normed: &str, inverse: &str) -> Value {
        let product = self.binary_node("Mul", g, normed);
        let (along, level) = (self.mean(&product), self.mean(g));
        let along = self.binary_node("Mul", normed, &along);
        let rest = self.binary_node("Sub", g, &level);
        let rest = self.binary_node("Sub", &rest, &along);
        self.binary_node("Mul", &rest, inverse)
    }

    fn mean(&mut self, value: &str) -> Value {
        let axes = self.graph.ints(&[-1]);
        self.graph.node("ReduceMean", &[value, &axes], &[Attribute::Int("keepdims", 1)])
    }
}
