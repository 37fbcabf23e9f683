//! Images that are sent once and named afterwards.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use homolog_jobs::ImageInfo;

use crate::access::digest_of;
use crate::app::App;
use crate::error::{ApiError, Problem};
use crate::pipeline;
use crate::request::{Admitted, ImageForm, ImageJob};

/// Keep an image for later requests.
///
/// Its id is the SHA-256 of its bytes: the same image is kept once, whoever sends it. It is forgotten some time after it was last
/// sent (`keep_images_s`), and never while an evaluation needs it.
#[utoipa::path(post, path = "/images", tag = "evaluation",
    request_body(content((ImageForm = "multipart/form-data"), (crate::request::ImageJson = "application/json"))),
    responses(
        (status = CREATED, body = ImageInfo, headers(("location" = String, description = "`/images/{id}`"))),
        (status = BAD_REQUEST, body = Problem, content_type = "application/problem+json", description = "`malformed-request`, `missing-image`, `empty-image`"),
        (status = PAYLOAD_TOO_LARGE, body = Problem, content_type = "application/problem+json", description = "`body-too-large`, `image-too-large`"),
        (status = UNSUPPORTED_MEDIA_TYPE, body = Problem, content_type = "application/problem+json", description = "`unsupported-media-type`"),
        (status = UNPROCESSABLE_ENTITY, body = Problem, content_type = "application/problem+json", description = "`invalid-request`, `undecodable-image`"),
        (status = TOO_MANY_REQUESTS, body = Problem, content_type = "application/problem+json", description = "`queue-full`", headers(("retry-after" = u32, description = "Seconds"))),
        (status = SERVICE_UNAVAILABLE, body = Problem, content_type = "application/problem+json", description = "`not-ready`, `storage-unavailable`"),
        (status = INSUFFICIENT_STORAGE, body = Problem, content_type = "application/problem+json", description = "`storage-full`"),
        (status = INTERNAL_SERVER_ERROR, body = Problem, content_type = "application/problem+json", description = "`internal-error`"),
        (status = GATEWAY_TIMEOUT, body = Problem, content_type = "application/problem+json", description = "`timeout`"),
    ))]
pub async fn send(
    State(app): State<App>,
    Admitted(ImageJob(file), _place): Admitted<ImageJob>,
) -> Result<Response, ApiError> {
    let image = pipeline::keep_image(&app, file, "image").await?;
    let location = format!("/images/{}", image.id);
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(image)).into_response())
}

/// Forget an image.
#[utoipa::path(delete, path = "/images/{id}", tag = "evaluation", params(("id" = String, Path, description = "The image's id")), responses(
    (status = NO_CONTENT, description = "It is forgotten"),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json", description = "`unknown-image`: there is none such, or an evaluation needs it"),
    (status = SERVICE_UNAVAILABLE, body = Problem, content_type = "application/problem+json", description = "`storage-unavailable`"),
))]
pub async fn forget(State(app): State<App>, id: Result<Path<String>, PathRejection>) -> Result<StatusCode, ApiError> {
    let Path(id) = id.map_err(|_| ApiError::NotFound)?;
    match app.jobs()?.store().forget_image(&id).await? {
        true => {
            if let Some(digest) = digest_of(&id) {
                app.cache().forget(&digest).await;
            }
            Ok(StatusCode::NO_CONTENT)
        }
        false => Err(homolog_jobs::Error::UnknownImage { id }.into()),
    }
}
