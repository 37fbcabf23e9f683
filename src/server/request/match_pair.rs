//! What `POST /match` takes.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts as Head;
use bytes::Bytes;
use homolog_core::features::Sampling;
use homolog_core::geometry::Point;
use homolog_core::matching::Matcher;
use serde::Deserialize;
use std::convert::Infallible;
use utoipa::ToSchema;

use super::json::{self, ImageJson};
use super::multipart::Parts;
use super::{Body, accept};
use crate::app::App;
use crate::error::ApiError;

/// What is asked for, beside the images.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MatchSettings {
    /// The model's id; the service's default when left out.
    #[serde(default)]
    pub model: Option<String>,
    /// The points of the source that are looked for.
    #[serde(default)]
    #[schema(required, example = json!([[120.0, 80.0], [200.0, 95.0]]))]
    pub points: Vec<Point>,
    /// How a place is read off the similarities; the model's own way when left out.
    #[serde(default)]
    pub matcher: Option<Matcher>,
    /// How the source is read between its tokens; the model's own way when left out.
    #[serde(default)]
    pub sampling: Option<Sampling>,
    /// Side of the network's input in pixels, one of those the model offers; its default when left out.
    #[serde(default)]
    pub resolution: Option<u32>,
    /// How many candidates to report for each point beside its match; none when left out.
    #[serde(default)]
    pub top_k: Option<usize>,
    /// Whether to match each prediction back and report how far from its point it comes out; not when left out.
    #[serde(default)]
    pub cycle: Option<bool>,
}

/// The parts of the form; here for the specification only, since parts are read as they come.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct MatchForm {
    /// The image with the points: a JPEG, PNG or WebP file.
    #[schema(value_type = String, format = Binary, content_media_type = "application/octet-stream")]
    source: Vec<u8>,
    /// The images to look in; the part may come several times.
    #[schema(value_type = Vec<String>, format = Binary, min_items = 1)]
    target: Vec<Vec<u8>>,
    /// What is asked for, as JSON.
    request: MatchSettings,
}

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

/// A request as the pipeline takes it: the files as they were sent, and what is asked for.
#[derive(Clone, Debug)]
pub struct MatchJob {
    /// What is asked for.
    pub settings: MatchSettings,
    /// The file with the points.
    pub source: Bytes,
    /// The files to look in, at least one.
    pub targets: Vec<Bytes>,
}

impl MatchJob {
    /// Refuses what is missing; the files themselves are looked at by the decoder.
    fn new(
        app: &App,
        settings: MatchSettings,
        source: Option<Bytes>,
        targets: Vec<Bytes>,
    ) -> Result<MatchJob, ApiError> {
        let source = source.ok_or_else(|| ApiError::missing("source", "there is no source image"))?;
        if targets.is_empty() {
            return Err(ApiError::missing("target", "there is no target image"));
        }
        check_targets(app, targets.len())?;
        Ok(MatchJob { settings, source, targets })
    }
}

impl Body for MatchJob {
    type Json = MatchJson;

    async fn from_form(mut parts: Parts<'_>) -> Result<MatchJob, ApiError> {
        let app = parts.app;
        let (mut source, mut targets, mut settings) = (None, Vec::new(), None);
        while let Some(part) = parts.next().await? {
            match part.name.as_str() {
                "source" => part.once(&mut source).await?,
                "request" => part.once(&mut settings).await?,
                "target" => {
                    check_targets(app, targets.len() + 1)?;
                    targets.push(part.bytes().await?);
                }
                _ => return Err(part.unknown("source, target and request")),
            }
        }
        let settings = settings.map(|text| json::parse(&text)).transpose()?;
        // an absent image is worth more of a word than an absent request
        let job = MatchJob::new(app, MatchSettings::default(), source, targets)?;
        let missing = || ApiError::malformed(Some("request"), "the part `request` is missing");
        Ok(MatchJob { settings: settings.ok_or_else(missing)?, ..job })
    }

    fn from_json(app: &App, body: MatchJson) -> Result<MatchJob, ApiError> {
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
        MatchJob::new(app, settings, source.transpose()?, targets.collect::<Result<_, _>>()?)
    }
}

impl FromRequest<App> for MatchJob {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<MatchJob, ApiError> {
        super::read(request, app).await
    }
}

/// Whether the answer is to be a picture: `Accept` likes `image/png` better than JSON.
#[derive(Clone, Copy, Debug)]
pub struct Picture(bool);

impl Picture {
    /// Whether it is.
    pub fn wanted(self) -> bool {
        self.0
    }
}

impl FromRequestParts<App> for Picture {
    type Rejection = Infallible;

    async fn from_request_parts(head: &mut Head, _: &App) -> Result<Picture, Infallible> {
        let preferred = accept::preferred(&head.headers, &["application/json", "image/png"]);
        Ok(Picture(preferred == Some("image/png")))
    }
}

fn check_targets(app: &App, count: usize) -> Result<(), ApiError> {
    let most = app.config().max_targets;
    if count > most {
        let detail = format!("at most {most} target images are accepted in a request");
        return Err(ApiError::invalid("target", detail));
    }
    Ok(())
}
