//! What `POST /eval` takes.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use bytes::Bytes;
use homolog_core::features::Sampling;
use homolog_core::matching::{self, Matcher};
use homolog_eval::pck::{self, Alphas, Bootstrap, Operator, Threshold};
use homolog_eval::readers::simple::PairLine;
use homolog_jobs::{Measure, RunSpec};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::json::{self, ImageJson};
use super::multipart::Parts;
use super::{Body, accept, resolution};
use crate::app::App;
use crate::error::ApiError;

/// What is evaluated: a registered dataset, or pairs of the request's own.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EvalSettings {
    /// The key of a registered dataset; either this or `pairs`.
    #[schema(example = "spair")]
    #[serde(default)]
    pub dataset: Option<String>,
    /// Pairs, whose `source` and `target` name images of this request (`images`, or file names of the parts `image`), or ids of
    /// images that were sent to `POST /images`.
    #[serde(default)]
    pub pairs: Option<Vec<PairLine>>,
    /// What the pairs are called; `pairs` when left out.
    #[serde(default)]
    pub name: Option<String>,
    /// What the pairs are run through, in one pass over the images; the default model in its own way when left out.
    #[serde(default)]
    pub runs: Vec<RunSettings>,
    /// How PCK is measured.
    #[serde(default)]
    pub pck: PckRequest,
    /// Whether a single problem of the dataset is an error. Otherwise its pair is left out, and counted.
    #[serde(default)]
    pub strict: bool,
}

/// A model and the way to match with it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RunSettings {
    /// The model's id; the service's default when left out.
    pub model: Option<String>,
    /// Side of the network's input in pixels, one of those the model offers; its default when left out.
    pub resolution: Option<u32>,
    /// How a place is read off the similarities; the model's own way when left out.
    pub matcher: Option<Matcher>,
    /// How the source is read between its tokens; the model's own way when left out.
    pub sampling: Option<Sampling>,
    /// Whether to match each prediction back as well; not when left out.
    pub cycle: bool,
}

/// How PCK is measured. What is left out is what papers do.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PckRequest {
    /// Shares of the extent, ascending; 0.01, 0.05, 0.10, 0.15 and 0.20 when left out.
    pub alphas: Option<Alphas>,
    /// Whether a distance equal to the threshold is right: `<=` when left out.
    pub operator: Option<Operator>,
    /// What the threshold is a share of; the dataset's own when left out.
    pub threshold: Option<Threshold>,
    /// How the 95 % intervals are made; 1,000 resamples with seed 0 when left out, none at 0 resamples.
    pub bootstrap: Option<Bootstrap>,
}

/// The parts of the form; here for the specification only, since parts are read as they come.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct EvalForm {
    /// The images that `pairs` name, by their file names; the part may come several times.
    #[schema(value_type = Option<Vec<String>>, format = Binary, nullable = false)]
    image: Option<Vec<Vec<u8>>>,
    /// What is asked for, as JSON.
    request: EvalSettings,
}

/// [`EvalSettings`] and images. The fields stand here once more because serde cannot both flatten a struct and refuse
/// unknown fields.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EvalJson {
    /// The key of a registered dataset; either this or `pairs`.
    #[serde(default)]
    dataset: Option<String>,
    /// Pairs, whose `source` and `target` are keys of `images`, or ids of images that were sent to `POST /images`.
    #[serde(default)]
    pairs: Option<Vec<PairLine>>,
    /// Images by any names.
    #[serde(default)]
    images: BTreeMap<String, ImageJson>,
    /// What the pairs are called; `pairs` when left out.
    #[serde(default)]
    name: Option<String>,
    /// What the pairs are run through, in one pass over the images; the default model in its own way when left out.
    #[serde(default)]
    runs: Vec<RunSettings>,
    /// How PCK is measured.
    #[serde(default)]
    pck: PckRequest,
    /// Whether a single problem of the dataset is an error. Otherwise its pair is left out, and counted.
    #[serde(default)]
    strict: bool,
}

/// A request as the pipeline takes it.
#[derive(Clone, Debug)]
pub struct EvalJob {
    /// What is asked for.
    pub settings: EvalSettings,
    /// The files that came with it, by the names that its pairs use.
    pub images: BTreeMap<String, Bytes>,
}

impl Body for EvalJob {
    type Json = EvalJson;

    async fn from_form(mut parts: Parts<'_>) -> Result<EvalJob, ApiError> {
        let (mut images, mut settings) = (BTreeMap::new(), None);
        while let Some(part) = parts.next().await? {
            match part.name.as_str() {
                "request" => part.once(&mut settings).await?,
                "image" => {
                    let missing = || {
                        ApiError::malformed(Some("image"), "a part `image` has no file name, by which pairs name it")
                    };
                    let name = part.file_name().ok_or_else(missing)?;
                    let twice = format!("two parts `image` are called {name:?}");
                    if images.insert(name, part.bytes().await?).is_some() {
                        return Err(ApiError::invalid("image", twice));
                    }
                }
                _ => return Err(part.unknown("image and request")),
            }
        }
        let missing = || ApiError::malformed(Some("request"), "the part `request` is missing");
        let settings = settings.map(|text| json::parse(&text)).transpose()?.ok_or_else(missing)?;
        Ok(EvalJob { settings, images })
    }

    fn from_json(_: &App, body: EvalJson) -> Result<EvalJob, ApiError> {
        let decode = |(name, image): (String, ImageJson)| {
            let bytes = image.decode(&format!("images.{name}"))?;
            Ok((name, bytes))
        };
        let images = body.images.into_iter().map(decode).collect::<Result<_, ApiError>>()?;
        let EvalJson { dataset, pairs, name, runs, pck, strict, .. } = body;
        Ok(EvalJob { settings: EvalSettings { dataset, pairs, name, runs, pck, strict }, images })
    }
}

/// As what the result of an evaluation is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultType {
    /// The document.
    Json,
    /// A table.
    Csv,
}

impl ResultType {
    /// What `Accept` prefers; the document when it has no preference.
    ///
    /// # Errors
    /// [`ApiError::NotAcceptable`].
    pub fn new(headers: &HeaderMap) -> Result<ResultType, ApiError> {
        let offered = [ResultType::Json.name(), ResultType::Csv.name()];
        match accept::preferred(headers, &offered) {
            Some(media) if media == ResultType::Csv.name() => Ok(ResultType::Csv),
            Some(_) => Ok(ResultType::Json),
            None => Err(ApiError::NotAcceptable { offered: offered.join(", ") }),
        }
    }

    /// Its media type.
    pub fn name(self) -> &'static str {
        match self {
            ResultType::Json => "application/json",
            ResultType::Csv => "text/csv",
        }
    }
}

impl RunSettings {
    /// The run with every default filled in; `field` is its place in the request.
    ///
    /// # Errors
    /// [`ApiError::UnknownModel`], [`ApiError::Invalid`] for a resolution that is not offered.
    pub fn specify(&self, app: &App, field: &str) -> Result<RunSpec, ApiError> {
        let model = app.model(self.model.as_deref())?;
        let manifest = model.manifest();
        Ok(RunSpec {
            model: manifest.id.clone(),
            digest: model.bundle().digest(),
            description: manifest.description.clone(),
            resolution: resolution(manifest, self.resolution, &format!("{field}.resolution"))?,
            matching: matching::Settings {
                matcher: self.matcher.unwrap_or(manifest.matcher),
                sampling: self.sampling.unwrap_or(manifest.sampling),
                top_k: 0,
                cycle: self.cycle,
            },
        })
    }
}

impl PckRequest {
    /// The same with every default filled in, the threshold apart, which is the dataset's.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] for more resamples than are computed.
    pub fn measure(self) -> Result<Measure, ApiError> {
        let default = pck::Settings::default();
        let bootstrap = self.bootstrap.or(default.bootstrap).filter(|bootstrap| bootstrap.resamples > 0);
        if let Some(found) = bootstrap.map(|bootstrap| bootstrap.resamples).filter(|found| *found > Bootstrap::MOST) {
            let detail = format!("{found} resamples; at most {} are drawn", Bootstrap::MOST);
            return Err(ApiError::invalid("pck.bootstrap.resamples", detail));
        }
        let settings = pck::Settings {
            alphas: self.alphas.unwrap_or(default.alphas),
            operator: self.operator.unwrap_or(default.operator),
            threshold: default.threshold,
            bootstrap,
        };
        Ok(Measure { settings, threshold: self.threshold })
    }
}
