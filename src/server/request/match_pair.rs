//! What `POST /match` takes.

use axum::extract::FromRequestParts;
use axum::http::request::Parts as Head;
use homolog_core::features::Sampling;
use homolog_core::geometry::Point;
use homolog_core::matching::Matcher;
use serde::Deserialize;
use std::convert::Infallible;
use utoipa::ToSchema;

use super::image::{ImageChoice, ImageRef, ImageSource};
use super::json;
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
    #[schema(required, nullable = false, value_type = ImageChoice)]
    source: Option<ImageRef>,
    /// The images to look in, at least one.
    #[serde(default)]
    #[schema(required, min_items = 1, value_type = Vec<ImageChoice>)]
    targets: Vec<ImageRef>,
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
    /// The image with the points.
    pub source: ImageSource,
    /// The images to look in, at least one.
    pub targets: Vec<ImageSource>,
}

impl MatchJob {
    /// Refuses what is missing; the files themselves are looked at by the decoder.
    fn new(
        app: &App,
        settings: MatchSettings,
        source: Option<ImageSource>,
        targets: Vec<ImageSource>,
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
                    targets.push(ImageSource::File(part.bytes().await?));
                }
                _ => return Err(part.unknown("source, target and request")),
            }
        }
        let settings = settings.map(|text| json::parse(&text)).transpose()?;
        // an absent image is worth more of a word than an absent request
        let job = MatchJob::new(app, MatchSettings::default(), source.map(ImageSource::File), targets)?;
        let missing = || ApiError::malformed(Some("request"), "the part `request` is missing");
        Ok(MatchJob { settings: settings.ok_or_else(missing)?, ..job })
    }

    fn from_json(app: &App, body: MatchJson) -> Result<MatchJob, ApiError> {
        check_targets(app, body.targets.len())?;
        let source = body.source.map(|image| image.source("source"));
        let targets = body.targets.into_iter().enumerate();
        let targets = targets.map(|(index, image)| image.source(&format!("target[{index}]")));
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

/// The form of the answer: what `Accept` likes best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// One JSON object.
    Json,
    /// A line of JSON for each target, as soon as it is searched.
    Lines,
    /// A picture.
    Picture,
}

impl Answered {
    /// The media type of [`Answered::Lines`].
    pub const LINES: &str = "application/x-ndjson";
}

impl FromRequestParts<App> for Answered {
    type Rejection = Infallible;

    async fn from_request_parts(head: &mut Head, _: &App) -> Result<Answered, Infallible> {
        let offered = ["application/json", Answered::LINES, "image/png"];
        Ok(match accept::preferred(&head.headers, &offered) {
            Some("image/png") => Answered::Picture,
            Some(Answered::LINES) => Answered::Lines,
            _ => Answered::Json,
        })
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
