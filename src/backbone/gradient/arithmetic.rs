//! Value by value.

use super::{Backward, float, int, unknown};
use crate::{
    Error,
    onnx::{Attribute, proto::NodeProto},
};
use std::f32::consts::{FRAC_1_SQRT_2, PI};

impl Backward<'_> {
    /// `a + b`, `a − b`, `a · b`, `a / b`, each spread over the other where they differ.
    pub(super) fn binary(&mut self, index: usize, node: &NodeProto) -> Result<(), Error> {
        let dy = self.cotangent(node)?;
        let (a, b, y) = (&node.input[0], &node.input[1], &node.output[0]);
        let aligned = self.graph.is_aligned(index);
        for (operand, is_second) in [(a, false), (b, true)] {
            if !self.is_active(operand) {
                continue;
            }
            let mut cotangent = match (node.op_type.as_str(), is_second) {
                ("Add", _) | ("Sub", false) => dy.clone(),
                ("Sub", true) => self.graph.node("Neg", &[&dy], &[]),
                ("Mul", false) => self.binary_node("Mul", &dy, b),
                ("Mul", true) => self.binary_node("Mul", &dy, a),
                ("Div", false) => self.binary_node("Div", &dy, b),
                _ => {
                    let quotient = self.binary_node("Div", y, b);
                    let product = self.binary_node("Mul", &dy, &quotient);
                    self.graph.node("Neg", &[&product], &[])
                }
            };
            let other = if is_second { a } else { b };
            if !aligned && !self.graph.is_scalar(other) {
                cotangent = self.reduced_like(&cotangent, operand);
            }
            self.add(operand, cotangent);
        }
        Ok(())
    }

    pub(super) fn unary(&mut self, node: &NodeProto) -> Result<(), Error> {
        let dy = self.cotangent(node)?;
        let (x, y) = (&node.input[0], &node.output[0]);
        let dx = match node.op_type.as_str() {
            "Exp" => self.binary_node("Mul", &dy, y),
            "Log" => self.binary_node("Div", &dy, x),
            "Sqrt" => {
                let half = self.binary_node("Div", &dy, y);
                self.scaled(&half, 0.5)
            }
            "Neg" => self.graph.node("Neg", &[&dy], &[]),
            "Relu" => {
                let zero = self.graph.float(0.0);
                let above = self.binary_node("Greater", x, &zero);
                self.graph.node("Where", &[&above, &dy, &zero], &[])
            }
            "Gelu" => {
                let slope = self.gelu_slope(x);
                self.binary_node("Mul", &dy, &slope)
            }
            _ if int(node, "axis", -1) != -1 => return Err(unknown(node, "only its last axis is differentiated")),
            "Softmax" => {
                let weighted = self.binary_node("Mul", &dy, y);
                let sum = self.sum(&weighted, &[-1], true);
                let shared = self.binary_node("Mul", y, &sum);
                self.binary_node("Sub", &weighted, &shared)
            }
            _ => {
                let softmax = self.graph.node("Exp", &[y], &[]);
                let sum = self.sum(&dy, &[-1], true);
                let shared = self.binary_node("Mul", &softmax, &sum);
                self.binary_node("Sub", &dy, &shared)
            }
        };
        self.add(x, dx);
        Ok(())
    }

    /// `Φ(x) + x · φ(x)`, with the normal distribution and its density.
    fn gelu_slope(&mut self, x: &str) -> String {
        let scaled = self.scaled(x, FRAC_1_SQRT_2);
        let erf = self.graph.node("Erf", &[&scaled], &[]);
        let half = self.scaled(&erf, 0.5);
        let (one_half, negative) = (self.graph.float(0.5), self.graph.node("Neg", &[&scaled], &[]));
        let cumulative = self.binary_node("Add", &half, &one_half);
        let square = self.binary_node("Mul", &negative, &scaled);
        let density = self.graph.node("Exp", &[&square], &[]);
        let density = self.scaled(&density, (2.0 * PI).sqrt().recip());
        let slope = self.binary_node("Mul", x, &density);
        self.binary_node("Add", &cumulative, &slope)
    }

    /// `x · σ(α · x)`.
    pub(super) fn silu(&mut self, node: &NodeProto) -> Result<(), Error> {
        let dy = self.cotangent(node)?;
        let (x, y) = (&node.input[0], &node.output[0]);
        let alpha = float(node, "alpha").unwrap_or(1.702);
        let scaled = self.scaled(x, alpha);
        let sigmoid = self.graph.node("Sigmoid", &[&scaled], &[]);
        // σ + α · y · (1 − σ)
        let one = self.graph.float(1.0);
        let rest = self.binary_node("Sub", &one, &sigmoid);
        let bent = self.binary_node("Mul", y, &rest);
        let bent = self.scaled(&bent, alpha);
        let slope = self.binary_node("Add", &sigmoid, &bent);
        let dx = self.binary_node("Mul", &dy, &slope);
        self.add(x, dx);
        Ok(())
    }

    /// A sum along axes that are kept.
    pub(super) fn summed(&mut self, node: &NodeProto) -> Result<(), Error> {
        if int(node, "keepdims", 1) != 1 {
            return Err(unknown(node, "only sums that keep their axes are differentiated"));
        }
        let dy = self.cotangent(node)?;
        let shape = self.graph.node("Shape", &[&node.input[0]], &[] as &[Attribute]);
        let dx = self.graph.node("Expand", &[&dy, &shape], &[]);
        self.add(&node.input[0], dx);
        Ok(())
    }
}
