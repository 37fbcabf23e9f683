//! Attention and what turns its queries and keys.

use super::{Backward, float, int, unknown};
use crate::{
    Error,
    onnx::{Attribute, Value, proto::NodeProto},
};

impl Backward<'_> {
    /// `softmax(scale · Q Kᵀ) V` in heads. The weights are computed again rather than kept: a matrix of tokens × tokens for each
    /// head lives only while its own block is on its way back (Dao et al. 2022, appendix B).
    pub(super) fn attention(&mut self, node: &NodeProto) -> Result<(), Error> {
        let [q, k, v] = &node.input[..] else {
            return Err(unknown(node, "only attention without masks and biases is differentiated"));
        };
        let dy = self.cotangent(node)?;
        let heads = int(node, "num_heads", 1);
        let Some(scale) = float(node, "scale") else { return Err(unknown(node, "its scale is not named")) };
        let [qh, kh, vh, dyh, yh] = [q, k, v, &dy, &node.output[0]].map(|value| self.in_heads(value, heads));
        let scores = self.product(&qh, &kh, [false, true], scale);
        let weights = self.graph.node("Softmax", &[&scores], &[Attribute::Int("axis", -1)]);
        if self.is_active(v) {
            let cotangent = self.product(&weights, &dyh, [true, false], 1.0);
            self.add_from_heads(v, &cotangent);
        }
        if self.is_active(q) || self.is_active(k) {
            let slopes = self.product(&dyh, &vh, [false, true], 1.0);
            // Σ weights · slopes along keys, without the matrix.
            let shared = self.binary_node("Mul", &dyh, &yh);
            let shared = self.sum(&shared, &[-1], true);
            let slopes = self.binary_node("Sub", &slopes, &shared);
            let slopes = self.binary_node("Mul", &weights, &slopes);
            if self.is_active(q) {
                let cotangent = self.product(&slopes, &kh, [false, false], scale);
                self.add_from_heads(q, &cotangent);
            }
            if self.is_active(k) {
                let cotangent = self.product(&slopes, &qh, [true, false], scale);
                self.add_from_heads(k, &cotangent);
            }
        }
        Ok(())
    }

    /// `[batch, tokens, width]` → `[batch, heads, tokens, width / heads]`.
    fn in_heads(&mut self, value: &str, heads: i64) -> Value {
        let apart = self.graph.ints(&[0, 0, heads, -1]);
        let apart = self.graph.node("Reshape", &[value, &apart], &[]);
        self.graph.node("Transpose", &[&apart], &[Attribute::Ints("perm", &[0, 2, 1, 3])])
    }

    fn add_from_heads(&mut self, value: &str, cotangent: &str) {
        let together = self.graph.node("Transpose", &[cotangent], &[Attribute::Ints("perm", &[0, 2, 1, 3])]);
        let together = self.like(&together, value);
        self.add(value, together);
    }

    /// A turn; its transpose turns back.
    pub(super) fn rotary(&mut self, node: &NodeProto) -> Result<(), Error> {
        let [x, position, cos, sin] = &node.input[..] else {
            return Err(unknown(node, "it has other inputs than q or k, position, cosines and sines"));
        };
        let dy = self.cotangent(node)?;
        let back = self.graph.node("Neg", &[sin], &[]);
        let attributes = [Attribute::Int("interleaved", int(node, "interleaved", 0))];
        let dx = self.graph.fused("RotaryEmbedding", &[&dy, position, cos, &back], &attributes);
        self.add(x, dx);
        Ok(())
    }
}
