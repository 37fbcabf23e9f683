//! ONNX files: the messages of the format that Homolog needs ([`proto`]) and a builder of graphs whose larger weights go
//! to one file beside the model ([`GraphBuilder`]).

mod builder;
pub mod proto;

pub use builder::{Attribute, GraphBuilder, Value};
