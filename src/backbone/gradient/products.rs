//! Matrix products.

use super::{Backward, int, unknown};
use crate::{
    Error,
    onnx::{Attribute, Value, proto::NodeProto},
};

impl Backward<'_> {
    /// `A · B + c` or `A · Bᵀ + c`, with `c` a row.
    pub(super) fn gemm(&mut self, node: &NodeProto) -> Result<(), Error> {
        let plain = [("transA", 0)].iter().all(|(name, value)| int(node, name, 0) == *value);
        if !plain || super::float(node, "alpha").is_some() || super::float(node, "beta").is_some() {
            return Err(unknown(node, "only plain products are differentiated"));
        }
        let dy = self.cotangent(node)?;
        let (a, b) = (&node.input[0], &node.input[1]);
        let is_transposed = int(node, "transB", 0) == 1;
        if self.is_active(a) {
            let cotangent = self.graph.node("Gemm", &[&dy, b], &[Attribute::Int("transB", i64::from(!is_transposed))]);
            self.add(a, cotangent);
        }
        if self.is_active(b) {
            let (left, right) = if is_transposed { (&dy, a) } else { (a, &dy) };
            let cotangent = self.graph.node("Gemm", &[left, right], &[Attribute::Int("transA", 1)]);
            self.add(b, cotangent);
        }
        if let Some(c) = node.input.get(2).filter(|c| self.is_active(c)) {
            let cotangent = self.sum(&dy, &[0], false);
            self.add(c, cotangent);
        }
        Ok(())
    }

    /// Products of stacked matrices, of as many axes both.
    pub(super) fn matmul(&mut self, node: &NodeProto) -> Result<(), Error> {
        let dy = self.cotangent(node)?;
        let (a, b) = (&node.input[0], &node.input[1]);
        if self.is_active(a) {
            let cotangent = self.product(&dy, b, [false, true], 1.0);
            let cotangent = self.reduced_like(&cotangent, a);
            self.add(a, cotangent);
        }
        if self.is_active(b) {
            let cotangent = self.product(a, &dy, [true, false], 1.0);
            let cotangent = self.reduced_like(&cotangent, b);
            self.add(b, cotangent);
        }
        Ok(())
    }

    /// `scale · a · b` of stacked matrices, either transposed.
    pub(super) fn product(&mut self, a: &str, b: &str, transposed: [bool; 2], scale: f32) -> Value {
        let attributes = [
            Attribute::Int("transA", i64::from(transposed[0])),
            Attribute::Int("transB", i64::from(transposed[1])),
            Attribute::Float("alpha", scale),
        ];
        self.graph.fused("FusedMatMul", &[a, b], &attributes)
    }
}
