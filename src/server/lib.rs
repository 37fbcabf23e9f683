//! The service and the command line of Homolog.
//!
//! A request passes [`middleware`], becomes a job ([`request`]), and is answered by the [`pipeline`], which the command line calls as
//! well, so that both give the same answer. [`router`] lists all routes; [`error::ApiError`] is the only type that
//! becomes an error response. Knows nothing about tensors or ONNX Runtime: that is `homolog-engine`.

pub mod access;
pub mod app;
pub mod backlog;
pub mod cli;
mod commands;
pub mod config;
pub mod error;
mod listen;
mod logging;
pub mod metrics;
pub mod middleware;
pub mod pipeline;
pub mod pool;
pub mod render;
pub mod request;
pub mod response;
pub mod router;
pub mod routes;
pub mod serve;
