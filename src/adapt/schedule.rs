//! How the learning rate changes during a run.

use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// The learning rate after the warm-up, as a share of its peak.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// It stays.
    Constant,
    /// Half a cosine from 1 at the end of the warm-up to `floor` at the end of the run. Loshchilov and Hutter, "SGDR", 2017, eq. 5,
    /// without restarts.
    Cosine {
        /// The share at the end, 0 to 1.
        #[serde(default)]
        floor: f64,
    },
    /// Multiplied by `factor` where each of `epochs` begins (`torch.optim.lr_scheduler.MultiStepLR`).
    Steps {
        /// The factor, 0 to 1.
        factor: f64,
        /// Epochs from 0, ascending.
        epochs: Vec<u64>,
    },
    /// Up and down again by half cosines (`torch.optim.lr_scheduler.OneCycleLR`, without its cycle of β₁). Smith and Topin,
    /// "Super-Convergence", 2019.
    OneCycle {
        /// The share of the run in which it rises, between 0 and 1.
        rise: f64,
        /// The share of the peak that it starts from, 0 to 1.
        start: f64,
        /// The share of the peak that it ends at, 0 to 1.
        end: f64,
    },
}

/// Where a run stands, and how long it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    /// The step, from 0.
    pub step: u64,
    /// Steps of the whole run.
    pub steps: u64,
    /// Steps of an epoch.
    pub steps_per_epoch: u64,
    /// Steps of the warm-up.
    pub warmup: u64,
}

impl Schedule {
    /// The share of the peak at a step. The warm-up is linear and ends at 1: its step `i` from 0 has `(i + 1) / warmup`, so that no
    /// step is lost to a rate of 0. Steps of the warm-up count where epochs do.
    pub fn share(&self, at: Position) -> f64 {
        if at.step < at.warmup {
            return (at.step + 1) as f64 / at.warmup as f64;
        }
        match self {
            Schedule::Constant => 1.0,
            Schedule::Cosine { floor } => {
                let length = at.steps.saturating_sub(at.warmup).max(1);
                half_cosine(1.0, *floor, (at.step - at.warmup) as f64 / length as f64)
            }
            Schedule::Steps { factor, epochs } => {
                let epoch = at.step / at.steps_per_epoch.max(1);
                let passed = epochs.iter().filter(|&&begins| begins <= epoch).count();
                (0..passed).fold(1.0, |share, _| share * factor)
            }
            Schedule::OneCycle { rise, start, end } => {
                // the first step has the start, the peak falls on `top`, and the last step has the end, as in PyTorch
                let (step, last) = (at.step as f64, at.steps.saturating_sub(1) as f64);
                let top = (rise * at.steps as f64 - 1.0).max(0.0);
                match step < top {
                    true => half_cosine(*start, 1.0, step / top),
                    false => half_cosine(1.0, *end, (step - top) / (last - top).max(1.0)),
                }
            }
        }
    }
}

/// From `from` at 0 to `to` at 1.
fn half_cosine(from: f64, to: f64, progress: f64) -> f64 {
    to + (from - to) * 0.5 * (1.0 + (PI * progress).cos())
}
