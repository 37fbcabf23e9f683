//! The settings of a run. Nothing has a default that is not written down here with its source.

mod recipes;

use crate::{Error, Schedule};
pub use recipes::{RECIPES, Recipe};
use serde::{Deserialize, Serialize};

/// How parameters are trained, whatever they are. The default is [Visual-AI's recipe](Training::visual_ai).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Training {
    /// Passes over the pairs.
    pub epochs: u64,
    /// Steps in all, in place of `epochs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Decides the order of the pairs, flips and what is dropped out. At most 2⁶³ − 1, TOML's largest number.
    pub seed: u64,
    /// AdamW's learning rate at its peak.
    pub learning_rate: f64,
    /// AdamW's β₁ and β₂.
    pub betas: [f64; 2],
    /// AdamW's ε.
    pub eps: f64,
    /// AdamW's decay for each unit of learning rate. Biases, norms and LayerScale have none.
    pub weight_decay: f64,
    /// Steps in which the learning rate rises linearly.
    pub warmup: u64,
    /// The largest global norm of the gradients; 0 for any.
    pub clip_norm: f64,
    /// Steps between validations; 0 for one after each epoch. There is always one at the end.
    pub validate_every: u64,
    /// Validations in a row without a better PCK after which the run stops; 0 for never.
    pub patience: u64,
    /// The α whose per-image PCK decides which parameters are kept.
    pub alpha: f64,
    /// Steps between checkpoints: at most so much is done again after a kill.
    pub checkpoint_every: u64,
    /// How the learning rate goes on after the warm-up.
    pub schedule: Schedule,
    /// What is minimised.
    pub losses: Losses,
}

impl Default for Training {
    fn default() -> Training {
        Training::visual_ai()
    }
}

/// Losses and their weights; what has the weight 0 is not computed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Losses {
    /// Weight of the cross entropy over target tokens, whose truth is smoothed by a Gaussian (Visual-AI, `src/loss.py`).
    pub cross_entropy: f32,
    /// Weight of the distance between truth and soft-argmax over all target tokens (GeoAware, its dense objective).
    pub soft_argmax: f32,
    /// Weight of the symmetric contrastive loss between the descriptors of a pair's points (GeoAware, its sparse objective).
    pub contrastive: f32,
    /// Weight of the cross entropy of each token among learned prototypes of classes (Zhai and Wu 2019), for data that label tokens.
    pub prototypes: f32,
    /// Temperature of the cross entropy's softmax over cosines.
    pub temperature: f32,
    /// Temperature of the soft-argmax.
    pub soft_argmax_temperature: f32,
    /// Side of the cross entropy's Gaussian, in tokens; odd.
    pub kernel: usize,
    /// Standard deviation of the cross entropy's Gaussian, in tokens.
    pub sigma: f32,
    /// What the contrastive loss multiplies cosines with: a temperature of 0.07 in CLIP, where it is the start of a learned scale.
    pub logit_scale: f32,
    /// Temperature of the softmax over cosines with prototypes.
    pub prototype_temperature: f32,
}

impl Default for Losses {
    fn default() -> Losses {
        Losses {
            cross_entropy: 1.0,
            soft_argmax: 0.0,
            contrastive: 0.0,
            prototypes: 0.0,
            // Visual-AI, config/base.py; its σ is half the kernel's half width
            temperature: 0.03,
            kernel: 7,
            sigma: 1.5,
            // GeoAware, its Correlation2Displacement
            soft_argmax_temperature: 0.02,
            // 1 / 0.07, Radford et al., "Learning Transferable Visual Models", 2021, §2.5
            logit_scale: 14.285_714,
            // Zhai and Wu 2019, §4.2
            prototype_temperature: 0.05,
        }
    }
}

impl Training {
    /// Steps of the whole run.
    pub fn steps(&self, steps_per_epoch: u64) -> u64 {
        self.steps.unwrap_or(self.epochs.saturating_mul(steps_per_epoch))
    }

    /// Whether these settings can be.
    ///
    /// # Errors
    /// [`Error::Setting`] names the first that cannot.
    pub fn check(&self) -> Result<(), Error> {
        let [beta1, beta2] = self.betas;
        require("epochs", self.epochs > 0 || self.steps.is_some(), || "at least one".into())?;
        require("steps", self.steps != Some(0), || "at least one".into())?;
        require("seed", i64::try_from(self.seed).is_ok(), || format!("{} is above 2⁶³ − 1", self.seed))?;
        positive("learning_rate", self.learning_rate)?;
        require("betas", [beta1, beta2].iter().all(|beta| (0.0..1.0).contains(beta)), || {
            format!("[{beta1}, {beta2}] must both be at least 0 and below 1")
        })?;
        positive("eps", self.eps)?;
        not_negative("weight_decay", self.weight_decay)?;
        not_negative("clip_norm", self.clip_norm)?;
        positive("alpha", self.alpha)?;
        require("checkpoint_every", self.checkpoint_every > 0, || "at least one step".into())?;
        self.schedule.check(self.warmup)?;
        self.losses.check()
    }
}

impl Schedule {
    fn check(&self, warmup: u64) -> Result<(), Error> {
        match self {
            Schedule::Constant => Ok(()),
            Schedule::Cosine { floor } => share("schedule.floor", *floor),
            Schedule::Steps { factor, epochs } => {
                share("schedule.factor", *factor)?;
                require("schedule.epochs", epochs.is_sorted_by(|a, b| a < b), || {
                    format!("{epochs:?} must ascend without repetition")
                })
            }
            Schedule::OneCycle { rise, start, end } => {
                require("warmup", warmup == 0, || "one_cycle rises by itself: 0, or another schedule".into())?;
                require("schedule.rise", *rise > 0.0 && *rise < 1.0, || format!("{rise} is not between 0 and 1"))?;
                share("schedule.start", *start)?;
                share("schedule.end", *end)
            }
        }
    }
}

impl Losses {
    fn check(&self) -> Result<(), Error> {
        let weights = [
            ("losses.cross_entropy", self.cross_entropy),
            ("losses.soft_argmax", self.soft_argmax),
            ("losses.contrastive", self.contrastive),
            ("losses.prototypes", self.prototypes),
        ];
        for (field, weight) in weights {
            not_negative(field, weight.into())?;
        }
        require("losses", weights.iter().any(|(_, weight)| *weight > 0.0), || {
            "one of the weights must be above 0".into()
        })?;
        positive("losses.temperature", self.temperature.into())?;
        positive("losses.soft_argmax_temperature", self.soft_argmax_temperature.into())?;
        require("losses.kernel", self.kernel % 2 == 1, || format!("{} is not odd", self.kernel))?;
        positive("losses.sigma", self.sigma.into())?;
        positive("losses.logit_scale", self.logit_scale.into())?;
        positive("losses.prototype_temperature", self.prototype_temperature.into())
    }
}

fn require(field: &'static str, holds: bool, reason: impl FnOnce() -> String) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(Error::Setting { field, reason: reason() }) }
}

fn positive(field: &'static str, value: f64) -> Result<(), Error> {
    require(field, value.is_finite() && value > 0.0, || format!("{value} is not above 0"))
}

fn not_negative(field: &'static str, value: f64) -> Result<(), Error> {
    require(field, value.is_finite() && value >= 0.0, || format!("{value} is not at least 0"))
}

fn share(field: &'static str, value: f64) -> Result<(), Error> {
    require(field, (0.0..=1.0).contains(&value), || format!("{value} is not between 0 and 1"))
}
