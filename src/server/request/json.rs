//! The body as one JSON object, images in base64.

use axum::extract::{FromRequest, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use homolog_core::features::Sampling;
use homolog_core::geometry::Point;
use homolog_core::matching::Matcher;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use utoipa::ToSchema;

use super::{Job, MatchSettings, check_targets, unreadable};
use crate::app::App;
use crate::error::ApiError;

/// [`MatchSettings`] and the images. The fields stand here once more because serde cannot both flatten a struct and refuse
/// unknown fields.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MatchJson {
    /// The image with the points.
    #[serde(default)]
    #[schema(required, nullable = false)]
    source: Option<ImageJson>,
    /// The images to look in, at least one.
    #[serde(default)]
    #[schema(required, min_items = 1)]
    targets: Vec<ImageJson>,
    /// The model's id; the service's default when left out.
    #[serde(default)]
    model: Option<String>,
    /// The points of the source that are looked for.
    #[serde(default)]
    #[schema(required, example = json!([[120.0, 80.0], [200.0, 95.0]]))]
    points: Vec<Point>,
    /// How a place is read off the similarities; the model's own way when left out.
    #[serde(default)]
    matcher: Option<Matcher>,
    /// How the source is read between its tokens; the model's own way when left out.
    #[serde(default)]
    sampling: Option<Sampling>,
    /// Side of the network's input in pixels, one of those the model offers; its default when left out.
    #[serde(default)]
    resolution: Option<u32>,
    /// How many candidates to report for each point beside its match; none when left out.
    #[serde(default)]
    top_k: Option<usize>,
    /// Whether to match each prediction back and report how far from its point it comes out; not when left out.
    #[serde(default)]
    cycle: Option<bool>,
}

/// An image in JSON.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageJson {
    /// The bytes of a JPEG, PNG or WebP file in base64 (the standard alphabet, padded).
    base64: String,
}

impl ImageJson {
    fn decode(&self, field: &str) -> Result<Bytes, ApiError> {
        let bytes = STANDARD
            .decode(&self.base64)
            .map_err(|error| ApiError::malformed(Some(field), format!("this is not base64: {error}")))?;
        Ok(bytes.into())
    }
}

pub(super) async fn read(request: Request, app: &App) -> Result<Job, ApiError> {
    let body = Bytes::from_request(request, app).await;
    let body = body.map_err(|error| unreadable(app, error.status(), error.body_text()))?;
    let owned = app.clone();
    // on the pool: tens of megabytes of base64 would hold up the other requests of this thread
    app.on_cpu(move || job(&owned, &body)).await?
}

fn job(app: &App, body: &[u8]) -> Result<Job, ApiError> {
    let body: MatchJson = parse(body)?;
    check_targets(app, body.targets.len())?;
    let source = body.source.map(|image| image.decode("source"));
    let targets = body.targets.iter().enumerate();
    let targets = targets.map(|(index, image)| image.decode(&format!("target[{index}]")));
    let settings = MatchSettings {
        model: body.model,
        points: body.points,
        matcher: body.matcher,
        sampling: body.sampling,
        resolution: body.resolution,
        top_k: body.top_k,
        cycle: body.cycle,
    };
    Job::new(app, settings, source.transpose()?, targets.collect::<Result<_, _>>()?)
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
