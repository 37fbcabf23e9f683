//! The weights of a bundle, out of its graphs: what training goes on from where no checkpoint is at hand.
//!
//! They are those that the service runs with. LayerScale is folded into them (`emit`), so it comes back as one.

use crate::{
    Error, Family,
    checkpoint::{Checkpoint, Tensor},
    emit::transposed,
    onnx::proto::{EXTERNAL, ModelProto, TensorProto, data_type},
};
use half::f16;
use prost::Message;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

/// Reads the weights of the bundle in `folder` as a checkpoint in the original release's naming.
///
/// # Errors
/// [`Error::Io`]; [`Error::Tensor`] for a weight that the graphs do not hold as numbers, as those of 8 bits.
pub fn unpack(folder: &Path, family: &Family) -> Result<Checkpoint, Error> {
    let mut found = Initializers::new();
    for name in ["backbone.onnx", "head.onnx"] {
        let path = folder.join(name);
        let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
        let reason = |error: prost::DecodeError| Error::Io { path: path.clone(), source: std::io::Error::other(error) };
        let graph = ModelProto::decode(bytes.as_slice()).map_err(reason)?.graph.unwrap_or_default();
        found.extend(graph.initializer.into_iter().map(|tensor| (tensor.name.clone(), tensor)));
    }
    let shapes = family.original_shapes();
    let zeros = |shape: &Vec<usize>| Tensor { shape: shape.clone(), data: vec![0.0; shape.iter().product()] };
    let empty = Checkpoint::from_tensors(shapes.iter().map(|(name, shape)| (name.clone(), zeros(shape))).collect());
    let weights = family.resolve(&empty, family.name())?;
    let mut tensors = BTreeMap::new();
    let prefix = found.get("prefix_tokens").or_else(|| found.get("prefix_tokens.fp16"));
    let mut prefix = prefix.map(|tensor| values(folder, tensor)).transpose()?.unwrap_or_default().into_iter();
    // The order in which the families lay them one after the other.
    for name in ["cls_token", "register_tokens", "storage_tokens"].into_iter().filter(|name| weights.has(name)) {
        let shape = weights.get(name)?.shape;
        let count = shape.iter().product();
        tensors.insert(name.to_owned(), Tensor::new(shape, prefix.by_ref().take(count).collect())?);
    }
    for name in weights.names() {
        let shape = weights.get(name)?.shape;
        let tensor = match (find(&found, name), find(&found, &format!("{name}.patches"))) {
            _ if tensors.contains_key(name) => continue,
            _ if name.ends_with("gamma") => Tensor::new(shape.clone(), vec![1.0; shape.iter().product()])?,
            (Some(tensor), _) if is_product(name, &shape) => {
                transposed(&Tensor::new(vec![shape[1], shape[0]], values(folder, tensor)?)?)
            }
            (Some(tensor), _) => Tensor::new(shape, values(folder, tensor)?)?,
            // CLS has its position in it already.
            (None, Some(patches)) => {
                let patches = values(folder, patches)?;
                let first = vec![0.0; shape.iter().product::<usize>().saturating_sub(patches.len())];
                Tensor::new(shape, [first, patches].concat())?
            }
            // What the graphs' feature does not need: the last norm of a network whose descriptors are taken before it.
            (None, None) if name.starts_with("norm.") || name.starts_with("neck.") => {
                let value = f32::from(name.ends_with("weight"));
                Tensor::new(shape.clone(), vec![value; shape.iter().product()])?
            }
            (None, None) => {
                let reason = "the bundle's graphs do not hold it as numbers; name the checkpoint it was made of";
                return Err(Error::Tensor { name: name.into(), reason: reason.into() });
            }
        };
        tensors.insert(name.to_owned(), tensor);
    }
    drop(prefix);
    Ok(Checkpoint::from_tensors(weights.with(tensors)?.checkpoint()?))
}

type Initializers = BTreeMap<String, TensorProto>;

fn find<'f>(found: &'f Initializers, name: &str) -> Option<&'f TensorProto> {
    found.get(name).or_else(|| found.get(&format!("{name}.fp16")))
}

/// Whether the graphs hold it as `[in, out]`.
fn is_product(name: &str, shape: &[usize]) -> bool {
    name.ends_with(".weight") && shape.len() == 2 && (name.contains(".attn.") || name.contains(".mlp."))
}

fn values(folder: &Path, tensor: &TensorProto) -> Result<Vec<f32>, Error> {
    let wrong = |reason: &str| Error::Tensor { name: tensor.name.clone(), reason: reason.into() };
    let mut raw = tensor.raw_data.clone();
    if tensor.data_location == EXTERNAL {
        let entry = |key: &str| tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
        let number =
            |key| entry(key).and_then(|value| value.parse::<u64>().ok()).ok_or_else(|| wrong("it lies nowhere"));
        let location = entry("location").ok_or_else(|| wrong("it lies nowhere"))?;
        if location.contains(['/', '\\']) {
            return Err(wrong("it lies outside of the bundle"));
        }
        let path = folder.join(location);
        let mut file = File::open(&path).map_err(Error::io(&path))?;
        file.seek(SeekFrom::Start(number("offset")?)).map_err(Error::io(&path))?;
        raw = Vec::new();
        file.take(number("length")?).read_to_end(&mut raw).map_err(Error::io(&path))?;
    }
    match tensor.data_type {
        data_type::FLOAT => Ok(raw.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()),
        data_type::FLOAT16 => Ok(raw.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect()),
        _ => Err(wrong("it is of a type that is not trained")),
    }
}
