//! Builds one graph, node by node, and writes it with its weights.

mod trained;

use super::proto::{self, AttributeProto, NodeProto, TensorProto, attribute_type, data_type};
use crate::{Error, Trained, checkpoint::Tensor};
use half::f16;
use homolog_core::bundle::Precision;
use prost::Message;
use std::{
    collections::HashSet,
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

/// Operators of `ai.onnx`: the first set with `Gelu`.
const OPSET: i64 = 20;
/// The format version that belongs to opset 20.
const IR_VERSION: i64 = 9;
/// Smaller weights stay in the model file, as ONNX's own tools have it.
const EXTERNAL_FROM: usize = 1024;
/// Page size, so that each weight can be memory-mapped by itself (ONNX's advice in `external_data`).
const ALIGNMENT: u64 = 4096;

/// A value in the graph, by its name.
pub type Value = String;

/// An operator's setting.
pub enum Attribute<'a> {
    /// A float.
    Float(&'a str, f32),
    /// An integer.
    Int(&'a str, i64),
    /// Several integers.
    Ints(&'a str, &'a [i64]),
    /// A text.
    Text(&'a str, &'a str),
    /// What an operator runs by itself: the body of a loop.
    Graph(&'a str, &'a proto::GraphProto),
}

/// One graph on its way to a file.
pub struct GraphBuilder {
    graph: proto::GraphProto,
    precision: Precision,
    path: PathBuf,
    data_name: String,
    data: BufWriter<File>,
    written: u64,
    nodes: usize,
    trained: Option<Trained>,
    parameters: Vec<(String, Tensor)>,
    /// Nodes whose operands have one shape.
    aligned: HashSet<usize>,
}

impl GraphBuilder {
    /// Begins `folder/NAME.onnx`, whose larger weights go to `folder/NAME.bin`.
    ///
    /// # Errors
    /// [`Error::Io`] when the weight file cannot be made.
    pub fn create(folder: &Path, name: &str, precision: Precision) -> Result<GraphBuilder, Error> {
        let data_name = format!("{name}.bin");
        let data_path = folder.join(&data_name);
        let data = BufWriter::new(File::create(&data_path).map_err(Error::io(&data_path))?);
        let graph = proto::GraphProto { name: name.into(), ..Default::default() };
        let path = folder.join(format!("{name}.onnx"));
        Ok(GraphBuilder {
            graph,
            precision,
            path,
            data_name,
            data,
            written: 0,
            nodes: 0,
            trained: None,
            parameters: Vec::new(),
            aligned: HashSet::new(),
        })
    }

    /// What the network is computed in.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The type of activations and of what they are computed with, an ONNX data type.
    pub fn dtype(&self) -> i32 {
        if self.precision == Precision::Fp16 { data_type::FLOAT16 } else { data_type::FLOAT }
    }

    /// Declares an input; a negative size is a free one, named by its place.
    pub fn input(&mut self, name: &str, dtype: i32, dims: &[(&str, i64)]) -> Value {
        self.graph.input.push(value_info(name, dtype, dims));
        name.into()
    }

    /// Gives `value`, whose type is `dtype`, the name of an output.
    pub fn output(&mut self, value: Value, name: &str, dtype: i32, dims: &[(&str, i64)]) {
        self.push_node("Identity", "", &[&value], vec![name.into()], &[]);
        self.graph.output.push(value_info(name, dtype, dims));
    }

    /// A value in single precision, in the network's own type.
    pub fn narrowed(&mut self, value: &str) -> Value {
        self.cast_if_half(value, data_type::FLOAT16)
    }

    /// A value of the network's own type, in single precision.
    pub fn widened(&mut self, value: &str) -> Value {
        self.cast_if_half(value, data_type::FLOAT)
    }

    fn cast_if_half(&mut self, value: &str, to: i32) -> Value {
        if self.precision != Precision::Fp16 {
            return value.into();
        }
        self.node("Cast", &[value], &[Attribute::Int("to", i64::from(to))])
    }

    /// Adds a standard operator with one output.
    pub fn node(&mut self, op: &str, inputs: &[&str], attributes: &[Attribute]) -> Value {
        self.outputs(op, "", inputs, &[true], attributes).remove(0)
    }

    /// Adds one of ONNX Runtime's own operators (`com.microsoft`) with one output.
    pub fn fused(&mut self, op: &str, inputs: &[&str], attributes: &[Attribute]) -> Value {
        self.outputs(op, "com.microsoft", inputs, &[true], attributes).remove(0)
    }

    /// Adds an operator with several outputs, of which those marked are wanted; returns one name for each place.
    pub fn outputs(
        &mut self,
        op: &str,
        domain: &str,
        inputs: &[&str],
        wanted: &[bool],
        attributes: &[Attribute],
    ) -> Vec<Value> {
        let outputs: Vec<Value> = wanted
            .iter()
            .enumerate()
            .map(|(place, wanted)| if *wanted { format!("{op}_{}_{place}", self.nodes) } else { String::new() })
            .collect();
        self.push_node(op, domain, inputs, outputs.clone(), attributes);
        outputs
    }

    /// Emits a loop: what `body` emits is run `times` (a `[1]` tensor of integers) times over. It is given the number of its
    /// turn, a scalar from 0, and may read every value made before, but no weight of its own. The turns' results are of the
    /// network's type and of one shape; they come stacked along a new first axis.
    ///
    /// # Errors
    /// Those of `body`.
    pub fn repeat(
        &mut self,
        times: &str,
        body: impl FnOnce(&mut GraphBuilder, &str) -> Result<Value, Error>,
    ) -> Result<Value, Error> {
        let names = ["turn", "goes_on", "still_goes_on"].map(|name| format!("Loop_{}_{name}", self.nodes));
        let [turn, goes_on, still_goes_on] = names;
        let outside = std::mem::take(&mut self.graph.node);
        let result = body(self, &turn)?;
        self.push_node("Identity", "", &[&goes_on], vec![still_goes_on.clone()], &[]);
        let scalar = |name: &str, dtype| value_info(name, dtype, &[]);
        let floats =
            proto::TypeProto { tensor_type: Some(proto::TensorTypeProto { elem_type: self.dtype(), shape: None }) };
        let result = proto::ValueInfoProto { name: result, r#type: Some(floats) };
        let inside = proto::GraphProto {
            name: turn.clone(),
            node: std::mem::replace(&mut self.graph.node, outside),
            input: vec![scalar(&turn, data_type::INT64), scalar(&goes_on, data_type::BOOL)],
            output: vec![scalar(&still_goes_on, data_type::BOOL), result],
            ..Default::default()
        };
        // An empty name: no condition but the number of turns.
        Ok(self.node("Loop", &[times, ""], &[Attribute::Graph("body", &inside)]))
    }

    fn push_node(&mut self, op: &str, domain: &str, inputs: &[&str], output: Vec<Value>, attributes: &[Attribute]) {
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|input| (*input).to_owned()).collect(),
            output,
            name: format!("{op}_{}", self.nodes),
            op_type: op.into(),
            attribute: attributes.iter().map(attribute).collect(),
            domain: domain.into(),
        });
        self.nodes += 1;
    }

    /// A constant of 64-bit integers (shapes, axes).
    pub fn ints(&mut self, values: &[i64]) -> Value {
        let raw = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(data_type::INT64, &[values.len()], raw)
    }

    /// A scalar of 64-bit integers.
    pub fn int(&mut self, value: i64) -> Value {
        self.constant(data_type::INT64, &[], value.to_le_bytes().to_vec())
    }

    /// A scalar.
    pub fn float(&mut self, value: f32) -> Value {
        self.constant(data_type::FLOAT, &[], value.to_le_bytes().to_vec())
    }

    /// A scalar of unsigned 8-bit integers.
    pub fn byte(&mut self, value: u8) -> Value {
        self.constant(data_type::UINT8, &[], vec![value])
    }

    /// Small fp32 values that must stay exact, whatever the precision.
    pub fn exact(&mut self, tensor: &Tensor) -> Value {
        let raw = tensor.data.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(data_type::FLOAT, &tensor.shape, raw)
    }

    fn constant(&mut self, dtype: i32, shape: &[usize], raw_data: Vec<u8>) -> Value {
        let name = format!("constant_{}", self.graph.initializer.len());
        self.graph.initializer.push(TensorProto {
            dims: dims(shape),
            data_type: dtype,
            name: name.clone(),
            raw_data,
            ..Default::default()
        });
        name
    }

    /// A weight under the name it has in the checkpoint, in the network's own type; an input if it is trained.
    ///
    /// # Errors
    /// [`Error::Io`] when writing fails; [`Error::Tensor`] when half precision cannot hold a value.
    pub fn weight(&mut self, name: &str, tensor: &Tensor) -> Result<Value, Error> {
        if self.trains(name) {
            return Ok(self.parameter(name, tensor));
        }
        match self.precision {
            Precision::Fp16 => self.half(name, tensor),
            Precision::Fp32 | Precision::Fp16Storage | Precision::Int8 => self.single_weight(name, tensor),
        }
    }

    /// The same, computed with in single precision whatever the network is: what positions are interpolated from.
    ///
    /// # Errors
    /// As [`GraphBuilder::weight`].
    pub fn single_weight(&mut self, name: &str, tensor: &Tensor) -> Result<Value, Error> {
        if self.trains(name) {
            return Ok(self.parameter(name, tensor));
        }
        match self.precision {
            Precision::Fp32 | Precision::Int8 => {
                let raw: Vec<u8> = tensor.data.iter().flat_map(|value| value.to_le_bytes()).collect();
                self.initializer(name, data_type::FLOAT, &tensor.shape, raw)
            }
            Precision::Fp16Storage | Precision::Fp16 => {
                let stored = self.half(&format!("{name}.fp16"), tensor)?;
                // Folded when the session is made: the running graph sees an fp32 weight.
                let to = Attribute::Int("to", i64::from(data_type::FLOAT));
                Ok(self.node("Cast", &[&stored], &[to]))
            }
        }
    }

    fn half(&mut self, name: &str, tensor: &Tensor) -> Result<Value, Error> {
        if let Some(value) = tensor.data.iter().find(|value| !f16::from_f32(**value).is_finite()) {
            let reason = format!("{value} does not fit half precision; export it as fp32");
            return Err(Error::Tensor { name: name.into(), reason });
        }
        let raw = tensor.data.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect();
        self.initializer(name, data_type::FLOAT16, &tensor.shape, raw)
    }

    /// A weight of any type: `raw` holds its values, little-endian.
    ///
    /// # Errors
    /// [`Error::Io`] when writing fails.
    pub fn initializer(&mut self, name: &str, dtype: i32, shape: &[usize], raw: Vec<u8>) -> Result<Value, Error> {
        let mut tensor = TensorProto { dims: dims(shape), data_type: dtype, name: name.into(), ..Default::default() };
        if raw.len() < EXTERNAL_FROM {
            tensor.raw_data = raw;
        } else {
            let offset = self.written.next_multiple_of(ALIGNMENT);
            let padding = vec![0u8; (offset - self.written) as usize];
            let write = self.data.write_all(&padding).and_then(|()| self.data.write_all(&raw));
            write.map_err(Error::io(self.path.with_file_name(&self.data_name)))?;
            self.written = offset + raw.len() as u64;
            let entry = |key: &str, value: String| proto::StringStringEntryProto { key: key.into(), value };
            tensor.data_location = proto::EXTERNAL;
            tensor.external_data = vec![
                entry("location", self.data_name.clone()),
                entry("offset", offset.to_string()),
                entry("length", raw.len().to_string()),
            ];
        }
        self.graph.initializer.push(tensor);
        Ok(name.into())
    }

    /// Writes the model file and closes the weight file.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(mut self) -> Result<(), Error> {
        self.data.flush().map_err(Error::io(self.path.with_file_name(&self.data_name)))?;
        let opset = |domain: &str, version| proto::OperatorSetIdProto { domain: domain.into(), version };
        let model = proto::ModelProto {
            ir_version: IR_VERSION,
            producer_name: "homolog".into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            graph: Some(self.graph),
            opset_import: vec![opset("", OPSET), opset("com.microsoft", 1)],
        };
        std::fs::write(&self.path, model.encode_to_vec()).map_err(Error::io(&self.path))
    }
}

fn dims(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|size| *size as i64).collect()
}

fn attribute(attribute: &Attribute) -> AttributeProto {
    let made = |name: &str, r#type| AttributeProto { name: name.into(), r#type, ..Default::default() };
    match attribute {
        Attribute::Float(name, value) => AttributeProto { f: Some(*value), ..made(name, attribute_type::FLOAT) },
        Attribute::Int(name, value) => AttributeProto { i: Some(*value), ..made(name, attribute_type::INT) },
        Attribute::Ints(name, values) => AttributeProto { ints: values.to_vec(), ..made(name, attribute_type::INTS) },
        Attribute::Graph(name, value) => {
            AttributeProto { g: Some((*value).clone()), ..made(name, attribute_type::GRAPH) }
        }
        Attribute::Text(name, value) => {
            AttributeProto { s: Some(value.as_bytes().to_vec()), ..made(name, attribute_type::STRING) }
        }
    }
}

fn value_info(name: &str, dtype: i32, sizes: &[(&str, i64)]) -> proto::ValueInfoProto {
    let dim = |(name, size): &(&str, i64)| proto::DimensionProto {
        value: Some(if *size < 0 { proto::Dimension::Name((*name).into()) } else { proto::Dimension::Size(*size) }),
    };
    let shape = proto::TensorShapeProto { dim: sizes.iter().map(dim).collect() };
    let tensor = proto::TensorTypeProto { elem_type: dtype, shape: Some(shape) };
    proto::ValueInfoProto { name: name.into(), r#type: Some(proto::TypeProto { tensor_type: Some(tensor) }) }
}
