//! The body as a form, part by part.

use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{FromRequest, Request};
use bytes::Bytes;

use super::unreadable;
use crate::app::App;
use crate::error::ApiError;

/// The parts of a form, as they come.
pub struct Parts<'a> {
    pub(super) app: &'a App,
    form: Multipart,
}

impl<'a> Parts<'a> {
    pub(super) async fn new(request: Request, app: &'a App) -> Result<Parts<'a>, ApiError> {
        let form = Multipart::from_request(request, app).await;
        let form = form.map_err(|error| unreadable(app, error.status(), error.body_text()))?;
        Ok(Parts { app, form })
    }

    /// The next part, of which only the name was read so far.
    pub(super) async fn next(&mut self) -> Result<Option<Part<'_>>, ApiError> {
        let app = self.app;
        let field = self.form.next_field().await.map_err(|error| broken(app, error))?;
        Ok(field.map(|field| Part { app, name: field.name().unwrap_or_default().to_owned(), field }))
    }
}

/// One part.
pub(super) struct Part<'a> {
    pub(super) name: String,
    app: &'a App,
    field: Field<'a>,
}

impl Part<'_> {
    /// The name that the file had on the caller's disk.
    pub(super) fn file_name(&self) -> Option<String> {
        self.field.file_name().filter(|name| !name.is_empty()).map(str::to_owned)
    }

    pub(super) async fn bytes(self) -> Result<Bytes, ApiError> {
        self.field.bytes().await.map_err(|error| broken(self.app, error))
    }

    /// Reads the part into its place, which must be empty still.
    pub(super) async fn once(self, place: &mut Option<Bytes>) -> Result<(), ApiError> {
        if place.is_some() {
            let name = &self.name;
            return Err(ApiError::malformed(Some(name), format!("the part `{name}` may come only once")));
        }
        *place = Some(self.bytes().await?);
        Ok(())
    }

    /// A part that there is no place for; `parts` are those there are.
    pub(super) fn unknown(self, parts: &str) -> ApiError {
        let detail = format!("there is no part `{}`; the parts are {parts}", self.name);
        ApiError::invalid(self.name, detail)
    }
}

fn broken(app: &App, error: MultipartError) -> ApiError {
    unreadable(app, error.status(), error.body_text())
}
