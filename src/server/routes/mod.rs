//! One resource a file; [`router`](crate::router) lists them.

pub mod docs;
pub mod health;
pub mod match_pair;
pub mod models;
