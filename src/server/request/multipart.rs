//! The body as a form: `source`, one or more `target`, and `request`.

use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use utoipa::ToSchema;

use super::{Job, MatchSettings, check_targets, json, unreadable};
use crate::app::App;
use crate::error::ApiError;

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

pub(super) async fn read(request: Request, app: &App) -> Result<Job, ApiError> {
    let form = Multipart::from_request(request, app).await;
    let mut form = form.map_err(|error| unreadable(app, error.status(), error.body_text()))?;
    let (mut source, mut targets, mut settings) = (None, Vec::new(), None);
    while let Some(part) = form.next_field().await.map_err(|error| broken(app, error))? {
        let name = part.name().unwrap_or_default().to_owned();
        match name.as_str() {
            "source" => once(&mut source, &name, bytes(app, part).await?)?,
            "request" => {
                let text = bytes(app, part).await?;
                once(&mut settings, &name, json::parse::<MatchSettings>(&text)?)?;
            }
            "target" => {
                check_targets(app, targets.len() + 1)?;
                targets.push(bytes(app, part).await?);
            }
            _ => {
                let detail = format!("there is no part `{name}`; the parts are source, target and request");
                return Err(ApiError::invalid(name, detail));
            }
        }
    }
    let missing = || ApiError::malformed(Some("request"), "the part `request` is missing");
    // an absent image is worth more of a word than an absent request
    let job = Job::new(app, MatchSettings::default(), source, targets)?;
    Ok(Job { settings: settings.ok_or_else(missing)?, ..job })
}

async fn bytes(app: &App, part: Field<'_>) -> Result<Bytes, ApiError> {
    part.bytes().await.map_err(|error| broken(app, error))
}

fn once<T>(place: &mut Option<T>, name: &str, value: T) -> Result<(), ApiError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => {
            let detail = format!("the part `{name}` may come only once");
            Err(ApiError::malformed(Some(name), detail))
        }
    }
}

fn broken(app: &App, error: MultipartError) -> ApiError {
    unreadable(app, error.status(), error.body_text())
}
