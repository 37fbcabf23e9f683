//! Values in another order, place or number.

use super::{Backward, int, ints, unknown};
use crate::{
    Error,
    onnx::{Attribute, proto::NodeProto, proto::data_type},
};

impl Backward<'_> {
    pub(super) fn identity(&mut self, node: &NodeProto) -> Result<(), Error> {
        let dy = self.cotangent(node)?;
        self.add(&node.input[0], dy);
        Ok(())
    }

    /// Whatever leaves the values in their order.
    pub(super) fn reshaped(&mut self, node: &NodeProto) -> Result<(), Error> {
        let dy = self.cotangent(node)?;
        let dx = self.like(&dy, &node.input[0]);
        self.add(&node.input[0], dx);
        Ok(())
    }

    pub(super) fn transposed(&mut self, node: &NodeProto) -> Result<(), Error> {
        let dy = self.cotangent(node)?;
        let Some(axes) = ints(node, "perm") else { return Err(unknown(node, "its order of axes is not named")) };
        let mut back = vec![0; axes.len()];
        for (to, from) in axes.iter().enumerate() {
            let place = usize::try_from(*from).ok().and_then(|from| back.get_mut(from));
            *place.ok_or_else(|| unknown(node, "its order of axes is none"))? = to as i64;
        }
        let dx = self.graph.node("Transpose", &[&dy], &[Attribute::Ints("perm", &back)]);
        self.add(&node.input[0], dx);
        Ok(())
    }

    pub(super) fn concatenated(&mut self, node: &NodeProto) -> Result<(), Error> {
        let dy = self.cotangent(node)?;
        let axis = int(node, "axis", 0);
        if axis < 0 {
            return Err(unknown(node, "its axis is counted from the end"));
        }
        let mut sizes = Vec::with_capacity(node.input.len());
        for input in &node.input {
            let attributes = [Attribute::Int("start", axis), Attribute::Int("end", axis + 1)];
            sizes.push(self.graph.node("Shape", &[input], &attributes));
        }
        let sizes: Vec<&str> = sizes.iter().map(String::as_str).collect();
        let sizes = self.graph.node("Concat", &sizes, &[Attribute::Int("axis", 0)]);
        let wanted = vec![true; node.input.len()];
        let parts = self.graph.outputs("Split", "", &[&dy, &sizes], &wanted, &[Attribute::Int("axis", axis)]);
        for (input, part) in node.input.iter().zip(parts) {
            if self.is_active(input) {
                self.add(input, part);
            }
        }
        Ok(())
    }

    /// A range along one axis: zero outside of it.
    pub(super) fn sliced(&mut self, node: &NodeProto) -> Result<(), Error> {
        let dy = self.cotangent(node)?;
        let [x, start, end, axis] = &node.input[..] else {
            return Err(unknown(node, "it has steps"));
        };
        let along = match self.graph.integers(axis).as_deref() {
            Some([along]) if *along >= 0 => *along,
            _ => return Err(unknown(node, "its axis is not one constant")),
        };
        let (first, last) = (self.graph.ints(&[0]), self.graph.ints(&[i64::MAX]));
        let zero = self.binary_node("Sub", x, x);
        let before = self.graph.node("Slice", &[&zero, &first, start, axis], &[]);
        let after = self.graph.node("Slice", &[&zero, end, &last, axis], &[]);
        let dx = self.graph.node("Concat", &[&before, &dy, &after], &[Attribute::Int("axis", along)]);
        self.add(x, dx);
        Ok(())
    }

    /// Rows of a table, some more than once, or tokens of `[batch, tokens, channels]`, each once but for those that are not
    /// differentiated.
    pub(super) fn gathered(&mut self, node: &NodeProto) -> Result<(), Error> {
        let dy = self.cotangent(node)?;
        let (x, index) = (&node.input[0], &node.input[1]);
        let dx = match int(node, "axis", 0) {
            0 => {
                let (flat, column) = (self.graph.ints(&[-1]), self.graph.ints(&[1]));
                let index = self.graph.node("Reshape", &[index, &flat], &[]);
                let size = |end| [Attribute::Int("start", end - 1), Attribute::Int("end", end)];
                let rows = self.graph.node("Shape", &[x], &size(1));
                let rows = crate::resample::range(self.graph, &rows);
                let rows = self.graph.node("Unsqueeze", &[&rows, &column], &[]);
                let hit = self.binary_node("Equal", &rows, &index);
                let to = Attribute::Int("to", i64::from(data_type::FLOAT));
                let hit = self.graph.node("Cast", &[&hit], &[to]);
                let rest = self.graph.node("Shape", &[x], &[Attribute::Int("start", 1)]);
                let shape = self.graph.node("Concat", &[&flat, &rest], &[Attribute::Int("axis", 0)]);
                let rows = self.graph.node("Reshape", &[&dy, &shape], &[]);
                self.binary_node("MatMul", &hit, &rows)
            }
            1 => {
                let swap = [Attribute::Ints("perm", &[1, 0, 2])];
                let zero = self.binary_node("Sub", x, x);
                let (zero, rows) =
                    (self.graph.node("Transpose", &[&zero], &swap), self.graph.node("Transpose", &[&dy], &swap));
                let column = self.graph.ints(&[-1, 1]);
                let index = self.graph.node("Reshape", &[index, &column], &[]);
                let add = [Attribute::Text("reduction", "add")];
                let sum = self.graph.node("ScatterND", &[&zero, &index, &rows], &add);
                self.graph.node("Transpose", &[&sum], &swap)
            }
            _ => return Err(unknown(node, "its axis is neither the first nor the second")),
        };
        self.add(x, dx);
        Ok(())
    }

    pub(super) fn expanded(&mut self, node: &NodeProto) -> Result<(), Error> {
        let dy = self.cotangent(node)?;
        let dx = self.reduced_like(&dy, &node.input[0]);
        self.add(&node.input[0], dx);
        Ok(())
    }
}
