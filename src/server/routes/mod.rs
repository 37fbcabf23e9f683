//! One resource a file; [`router`](crate::router) lists them.

use axum::http::HeaderName;

pub mod describe;
pub mod docs;
pub mod eval;
pub mod eval_events;
pub mod eval_result;
pub mod health;
pub mod images;
pub mod match_pair;
pub mod metrics;
pub mod models;

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
