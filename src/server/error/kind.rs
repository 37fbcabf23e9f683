//! The stable types of problems, their statuses and their titles.

use axum::http::StatusCode;

/// The stable types of problems: the last part of a problem's `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names are what there is to say
pub enum Kind {
    MalformedRequest,
    MissingImage,
    EmptyImage,
    UnsupportedMediaType,
    NotAcceptable,
    BodyTooLarge,
    ImageTooLarge,
    UndecodableImage,
    InvalidRequest,
    UnknownModel,
    Unauthorized,
    NotFound,
    MethodNotAllowed,
    QueueFull,
    RateLimited,
    NotReady,
    SlowBody,
    Timeout,
    UnknownEvaluation,
    UnknownDataset,
    UnknownImage,
    UnusableDataset,
    IdempotencyKeyReused,
    EvaluationNotDone,
    StorageFull,
    StorageUnavailable,
    InternalError,
}

impl Kind {
    /// The status of each type.
    pub fn status(self) -> StatusCode {
        match self {
            Kind::MalformedRequest | Kind::MissingImage | Kind::EmptyImage => StatusCode::BAD_REQUEST,
            Kind::UnknownModel
            | Kind::UnknownEvaluation
            | Kind::UnknownDataset
            | Kind::UnknownImage
            | Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Unauthorized => StatusCode::UNAUTHORIZED,
            Kind::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Kind::EvaluationNotDone => StatusCode::CONFLICT,
            Kind::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
            Kind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Kind::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Kind::BodyTooLarge | Kind::ImageTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Kind::UndecodableImage | Kind::InvalidRequest | Kind::UnusableDataset | Kind::IdempotencyKeyReused => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Kind::QueueFull | Kind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Kind::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
            Kind::NotReady | Kind::StorageUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Kind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// The type's name and its title.
    pub(super) fn words(self) -> (&'static str, &'static str) {
        match self {
            Kind::MalformedRequest => ("malformed-request", "The request cannot be read"),
            Kind::MissingImage => ("missing-image", "An image is missing"),
            Kind::EmptyImage => ("empty-image", "An image has no bytes"),
            Kind::UnsupportedMediaType => ("unsupported-media-type", "The content type is not accepted"),
            Kind::NotAcceptable => ("not-acceptable", "The answer comes in no type that is accepted"),
            Kind::BodyTooLarge => ("body-too-large", "The request is too long"),
            Kind::ImageTooLarge => ("image-too-large", "An image is too large"),
            Kind::UndecodableImage => ("undecodable-image", "An image cannot be decoded"),
            Kind::InvalidRequest => ("invalid-request", "A value of the request makes no sense"),
            Kind::UnknownModel => ("unknown-model", "There is no such model"),
            Kind::Unauthorized => ("unauthorized", "A key is needed"),
            Kind::NotFound => ("not-found", "There is no such path"),
            Kind::MethodNotAllowed => ("method-not-allowed", "The path has no such method"),
            Kind::QueueFull => ("queue-full", "The service is busy"),
            Kind::RateLimited => ("rate-limited", "The key is used too often"),
            Kind::SlowBody => ("slow-body", "The request stopped coming"),
            Kind::NotReady => ("not-ready", "The service is not ready"),
            Kind::Timeout => ("timeout", "The request took too long"),
            Kind::UnknownEvaluation => ("unknown-evaluation", "There is no such evaluation"),
            Kind::UnknownDataset => ("unknown-dataset", "There is no such dataset"),
            Kind::UnknownImage => ("unknown-image", "There is no such image"),
            Kind::UnusableDataset => ("unusable-dataset", "The dataset cannot be evaluated like this"),
            Kind::IdempotencyKeyReused => ("idempotency-key-reused", "The key belongs to another request"),
            Kind::EvaluationNotDone => ("evaluation-not-done", "The evaluation is not done"),
            Kind::StorageFull => ("storage-full", "There is no room to keep it"),
            Kind::StorageUnavailable => ("storage-unavailable", "Evaluations cannot be kept"),
            Kind::InternalError => ("internal-error", "The service failed"),
        }
    }
}
