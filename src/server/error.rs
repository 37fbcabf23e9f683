//! Every error of the API, and the only place where one becomes a response (RFC 9457, `application/problem+json`).
//!
//! Take [`ApiError::Malformed`] for what cannot be read at all, [`ApiError::Invalid`] for what can be read and makes no sense,
//! [`ApiError::Image`] for a file that is no picture, and [`ApiError::Internal`] for what the caller cannot help; its cause is
//! logged and not sent. [`ApiError::kind`] gives each its stable type, [`Kind::status`] each type its status.

mod kind;

use std::time::Duration;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::middleware::request_id;
pub use kind::Kind;

/// What can go wrong between a request and its answer.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The body, or a part of it, cannot be read.
    #[error("{detail}")]
    Malformed {
        /// The part, where it is known.
        field: Option<String>,
        /// What is wrong with it.
        detail: String,
    },
    /// An image that must be there is not.
    #[error("{detail}")]
    MissingImage {
        /// `source`, `target` or `image`.
        field: String,
        /// What is missing.
        detail: String,
    },
    /// The body is of a type that is not understood here.
    #[error(
        "the body must be multipart/form-data or application/json, not {}",
        found.as_deref().unwrap_or("without a content type")
    )]
    MediaType {
        /// The content type that was sent.
        found: Option<String>,
    },
    /// The answer comes in none of the types that `Accept` names.
    #[error("the answer comes as {offered}, and `Accept` admits none of these")]
    NotAcceptable {
        /// The types it comes in.
        offered: String,
    },
    /// The body is longer than is accepted.
    #[error("the body is longer than {limit} bytes")]
    BodyTooLarge {
        /// The bound.
        limit: usize,
    },
    /// An image that cannot be decoded, or asks for too much.
    #[error("{error}")]
    Image {
        /// `source`, `target[i]` or `image`.
        field: String,
        /// What the decoder says.
        error: homolog_core::Error,
    },
    /// A value that makes no sense here.
    #[error("{detail}")]
    Invalid {
        /// Where it stands.
        field: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A model that is not loaded.
    #[error("there is no model `{id}`; loaded: {loaded}")]
    UnknownModel {
        /// What was asked for.
        id: String,
        /// The ids that exist.
        loaded: String,
    },
    /// A path that is none.
    #[error("there is nothing at this path; see /docs")]
    NotFound,
    /// A path that does not understand the method.
    #[error("this path does not understand this method; see /docs")]
    MethodNotAllowed,
    /// As many images wait as may wait, or more than are run before the request's time is over.
    #[error("{waiting} images wait already; try again in {}", seconds(*after))]
    QueueFull {
        /// How many.
        waiting: usize,
        /// When to try again.
        after: Duration,
    },
    /// The bodies of the requests that are being answered are as long as may be.
    #[error("requests of {limit} bytes are being answered already; try again in a moment")]
    BodyMemory {
        /// The bound, all requests together.
        limit: u64,
    },
    /// The answers that wait to be read are as long as may be.
    #[error("answers of {limit} bytes wait to be read already; try again in a moment")]
    AnswerMemory {
        /// The bound, all answers together.
        limit: u64,
    },
    /// An image that was not sent before, or is forgotten.
    #[error("there is no image `{id}`: send it to POST /images first")]
    UnknownImage {
        /// `source`, `target[i]` or `image`.
        field: String,
        /// What was asked for.
        id: String,
    },
    /// There is no key, or one that is not known.
    #[error("this service wants a key: `Authorization: Bearer KEY`")]
    Unauthorized,
    /// A key is used more often than it may be.
    #[error("the key `{key}` may be used {per_second} times a second; try again in {}", seconds(*after))]
    RateLimited {
        /// The key's name.
        key: String,
        /// Its rate.
        per_second: u32,
        /// When to try again.
        after: Duration,
    },
    /// The body stopped coming.
    #[error("nothing of the body came for {}", seconds(*silence))]
    SlowBody {
        /// How long nothing came.
        silence: Duration,
    },
    /// As many requests are being answered as may be.
    #[error("{limit} requests are being answered already; try again in a moment")]
    TooManyRequests {
        /// The bound.
        limit: usize,
    },
    /// Models are still being loaded, or the service is stopping.
    #[error("{0}")]
    NotReady(&'static str),
    /// The request took too long.
    #[error("the request was not finished within {}", seconds(*limit))]
    Timeout {
        /// The bound.
        limit: Duration,
    },
    /// Evaluations are kept nowhere at the moment.
    #[error("evaluations cannot be taken at the moment: {reason}")]
    NoEvaluations {
        /// Why.
        reason: String,
    },
    /// What the evaluations say.
    #[error(transparent)]
    Evaluation(#[from] homolog_jobs::Error),
    /// Nothing that the caller could have done otherwise.
    #[error("{0}")]
    Internal(String),
}

/// What an error response holds (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// `/problems/` and the kind (`undecodable-image`, `queue-full`, …, as each route lists them): stable, made to be
    /// compared by programs.
    #[serde(rename = "type")]
    #[schema(example = "/problems/undecodable-image")]
    pub kind: String,
    /// The kind in words.
    pub title: &'static str,
    /// The status of the response.
    #[schema(example = 422)]
    pub status: u16,
    /// What is wrong with this very request.
    pub detail: String,
    /// The part of the request that is meant, say `points[3]` or `target[1]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The request's id, as in the header `x-request-id` and in the service's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

impl ApiError {
    /// A value that makes no sense, and where it stands.
    pub fn invalid(field: impl Into<String>, detail: impl Into<String>) -> ApiError {
        ApiError::Invalid { field: field.into(), detail: detail.into() }
    }

    /// A body, or part of one, that cannot be read.
    pub fn malformed(field: Option<&str>, detail: impl Into<String>) -> ApiError {
        ApiError::Malformed { field: field.map(str::to_owned), detail: detail.into() }
    }

    /// An image that is not there.
    pub fn missing(field: &str, detail: &str) -> ApiError {
        ApiError::MissingImage { field: field.to_owned(), detail: detail.to_owned() }
    }

    /// The stable type of this error.
    pub fn kind(&self) -> Kind {
        use homolog_core::Error as Core;
        match self {
            ApiError::Malformed { .. } => Kind::MalformedRequest,
            ApiError::MissingImage { .. } => Kind::MissingImage,
            ApiError::MediaType { .. } => Kind::UnsupportedMediaType,
            ApiError::NotAcceptable { .. } => Kind::NotAcceptable,
            ApiError::BodyTooLarge { .. } => Kind::BodyTooLarge,
            ApiError::Image { error, .. } => match error {
                Core::ImageEmpty => Kind::EmptyImage,
                Core::ImageTooLarge { .. } | Core::ImageMemory { .. } => Kind::ImageTooLarge,
                _ => Kind::UndecodableImage,
            },
            ApiError::Invalid { .. } => Kind::InvalidRequest,
            ApiError::UnknownModel { .. } => Kind::UnknownModel,
            ApiError::NotFound => Kind::NotFound,
            ApiError::MethodNotAllowed => Kind::MethodNotAllowed,
            ApiError::QueueFull { .. }
            | ApiError::TooManyRequests { .. }
            | ApiError::BodyMemory { .. }
            | ApiError::AnswerMemory { .. } => Kind::QueueFull,
            ApiError::UnknownImage { .. } => Kind::UnknownImage,
            ApiError::Unauthorized => Kind::Unauthorized,
            ApiError::RateLimited { .. } => Kind::RateLimited,
            ApiError::SlowBody { .. } => Kind::SlowBody,
            ApiError::NotReady(_) => Kind::NotReady,
            ApiError::Timeout { .. } => Kind::Timeout,
            ApiError::NoEvaluations { .. } => Kind::StorageUnavailable,
            ApiError::Evaluation(error) => of_evaluation(error),
            ApiError::Internal(_) => Kind::InternalError,
        }
    }

    /// The part of the request that is to blame.
    pub fn field(&self) -> Option<&str> {
        match self {
            ApiError::Malformed { field, .. } => field.as_deref(),
            ApiError::MissingImage { field, .. }
            | ApiError::Image { field, .. }
            | ApiError::Invalid { field, .. }
            | ApiError::UnknownImage { field, .. } => Some(field),
            ApiError::UnknownModel { .. } => Some("model"),
            ApiError::NotAcceptable { .. } => Some("accept"),
            ApiError::Evaluation(homolog_jobs::Error::Pairs(_)) => Some("pairs"),
            ApiError::Evaluation(_) if matches!(self.kind(), Kind::UnknownDataset | Kind::UnusableDataset) => {
                Some("dataset")
            }
            ApiError::Evaluation(homolog_jobs::Error::KeyReused { .. }) => Some("idempotency-key"),
            _ => None,
        }
    }
}

/// A duration as people say it.
fn seconds(duration: Duration) -> String {
    match duration.as_secs_f64() {
        one if (0.999..=1.001).contains(&one) => "1 second".to_owned(),
        some => format!("{} seconds", (some * 1e3).round() / 1e3),
    }
}

fn of_evaluation(error: &homolog_jobs::Error) -> Kind {
    use homolog_jobs::Error as Jobs;
    match error {
        Jobs::UnknownJob { .. } => Kind::UnknownEvaluation,
        Jobs::UnknownDataset { .. } => Kind::UnknownDataset,
        Jobs::UnknownImage { .. } => Kind::UnknownImage,
        Jobs::NotDone { .. } => Kind::EvaluationNotDone,
        Jobs::TooMany { .. } => Kind::QueueFull,
        Jobs::KeyReused { .. } => Kind::IdempotencyKeyReused,
        Jobs::Eval(_) | Jobs::Pairs(_) | Jobs::DatasetChanged { .. } => Kind::UnusableDataset,
        Jobs::Full { .. } | Jobs::ImagesFull { .. } => Kind::StorageFull,
        Jobs::System { reason, .. } if reason.kind() == std::io::ErrorKind::StorageFull => Kind::StorageFull,
        Jobs::ReadOnly { .. } | Jobs::Store { .. } | Jobs::Open { .. } | Jobs::InUse { .. } => Kind::StorageUnavailable,
        Jobs::Address { .. } | Jobs::Corrupt { .. } | Jobs::System { .. } | Jobs::Encoder { .. } => Kind::InternalError,
    }
}

impl From<homolog_engine::Error> for ApiError {
    fn from(error: homolog_engine::Error) -> ApiError {
        match error {
            homolog_engine::Error::QueueFull { waiting } => {
                ApiError::QueueFull { waiting, after: Duration::from_secs(1) }
            }
            homolog_engine::Error::Stopped => ApiError::NotReady("the service is stopping"),
            other => ApiError::Internal(other.to_string()),
        }
    }
}

impl ApiError {
    /// The error as it is sent: its cause is logged, and of what the caller cannot help nothing is said.
    pub fn problem(&self) -> Problem {
        let kind = self.kind();
        let detail = match self {
            cause if kind == Kind::InternalError => {
                tracing::error!(%cause, "the service failed");
                "the service failed; its log has the cause under this request's id".to_owned()
            }
            other => {
                tracing::info!(field = self.field(), problem = %other, "refused");
                other.to_string()
            }
        };
        let (name, title) = kind.words();
        Problem {
            kind: format!("/problems/{name}"),
            title,
            status: kind.status().as_u16(),
            detail,
            field: self.field().map(str::to_owned),
            instance: request_id(),
        }
    }

    /// When to try again, s, for what passes by itself.
    fn retry_after(&self) -> Option<u64> {
        match self {
            ApiError::QueueFull { after, .. } | ApiError::RateLimited { after, .. } => {
                Some(after.as_secs_f64().ceil().max(1.0) as u64)
            }
            // evaluations end after minutes, images after moments
            ApiError::Evaluation(homolog_jobs::Error::TooMany { .. }) => Some(30),
            other => match other.kind() {
                Kind::QueueFull | Kind::NotReady | Kind::StorageFull | Kind::StorageUnavailable => Some(1),
                _ => None,
            },
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.kind().status();
        let mut response = (status, axum::Json(self.problem())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == axum::http::StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
