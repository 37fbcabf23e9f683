//! The body as one JSON object, images in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use utoipa::ToSchema;

use crate::error::ApiError;

/// An image in JSON.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageJson {
    /// The bytes of a JPEG, PNG or WebP file in base64 (the standard alphabet, padded).
    base64: String,
}

impl ImageJson {
    pub(super) fn decode(&self, field: &str) -> Result<Bytes, ApiError> {
        bytes(&self.base64, field)
    }
}

/// Decodes base64.
pub(super) fn bytes(base64: &str, field: &str) -> Result<Bytes, ApiError> {
    let bytes = STANDARD.decode(base64);
    let bytes = bytes.map_err(|error| ApiError::malformed(Some(field), format!("this is not base64: {error}")))?;
    Ok(bytes.into())
}

/// Reads JSON: what is not JSON is malformed, what is JSON of another shape is invalid, with the path to the place.
pub(super) fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, ApiError> {
    // serde would take an array for a struct, its values in the order of the fields
    if json.trim_ascii_start().first() == Some(&b'[') {
        return Err(ApiError::invalid("request", "this is a JSON array where an object is wanted"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        let detail = error.to_string();
        // JSON without doubt, but beyond every float: serde_json takes it for a matter of syntax
        let overflow = detail.starts_with("number out of range");
        match error.classify() {
            Category::Data => ApiError::invalid(field(&path, &detail), detail),
            _ if overflow => ApiError::invalid(path, detail),
            _ => ApiError::malformed(None, format!("this is not JSON: {detail}")),
        }
    })?;
    let rest = deserializer.end();
    rest.map_err(|error| ApiError::malformed(None, format!("this is not JSON: {error}")))?;
    Ok(value)
}

/// The path to a field; of an unknown or missing one serde only knows the parent.
fn field(path: &str, detail: &str) -> String {
    let parent = match path {
        "." => "",
        path => path,
    };
    let named = ["unknown field `", "missing field `"]
        .iter()
        .find_map(|start| detail.strip_prefix(start))
        .and_then(|rest| rest.split_once('`'));
    match named {
        Some((name, _)) if parent.is_empty() => name.to_owned(),
        Some((name, _)) if parent != name && !parent.ends_with(&format!(".{name}")) => {
            format!("{parent}.{name}")
        }
        _ => parent.to_owned(),
    }
}
