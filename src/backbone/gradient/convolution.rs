//! Convolutions that keep height and width.

use super::{Backward, ints, unknown};
use crate::{
    Error,
    onnx::{Attribute, proto::NodeProto},
};

impl Backward<'_> {
    /// A square kernel of odd side, padded by half of it, without bias; `x` is `[batch, in, h, w]`.
    pub(super) fn convolution(&mut self, node: &NodeProto) -> Result<(), Error> {
        let (sides, pads) = (ints(node, "kernel_shape").unwrap_or(&[]), ints(node, "pads").unwrap_or(&[0; 4]));
        let keeps = matches!(sides, [a, b] if a == b && a % 2 == 1 && pads == [a / 2; 4].as_slice());
        if !keeps || ints(node, "strides").is_some() || node.input.len() != 2 {
            return Err(unknown(node, "only kernels without bias that keep height and width are differentiated"));
        }
        let dy = self.cotangent(node)?;
        let (x, kernel) = (&node.input[0], &node.input[1]);
        if self.is_active(x) {
            let attributes = [Attribute::Ints("kernel_shape", sides), Attribute::Ints("pads", pads)];
            let cotangent = self.graph.node("ConvTranspose", &[&dy, kernel], &attributes);
            self.add(x, cotangent);
        }
        if self.is_active(kernel) {
            // The batch takes the channels' place: what comes out at a shift is the kernel's gradient there.
            let swap = [Attribute::Ints("perm", &[1, 0, 2, 3])];
            let (over, by) = (self.graph.node("Transpose", &[x], &swap), self.graph.node("Transpose", &[&dy], &swap));
            let cotangent = self.graph.node("Conv", &[&over, &by], &[Attribute::Ints("pads", pads)]);
            let cotangent = self.graph.node("Transpose", &[&cotangent], &swap);
            self.add(kernel, cotangent);
        }
        Ok(())
    }
}
