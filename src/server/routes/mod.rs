//! One resource a file; [`router`](crate::router) lists them.

use axum::http::HeaderName;

pub mod describe;
pub mod docs;
pub mod health;
pub mod match_pair;
pub mod models;

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
