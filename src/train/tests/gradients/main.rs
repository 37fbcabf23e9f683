//! Losses, gradients and optimiser steps against PyTorch's, over tiny networks of every family.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod adapters;
mod course;
mod finetune;
mod golden;
mod lora;
mod losses;
mod low_rank;
