//! Recipes that others have published, each with all its values.

use super::{Losses, Training};
use crate::Schedule;

/// A recipe by its name.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// Its name in a configuration.
    pub name: &'static str,
    /// What it is and where it is from, in one line.
    pub about: &'static str,
    /// Its settings.
    pub training: fn() -> Training,
}

/// All of them; the first is the default.
pub const RECIPES: &[Recipe] = &[
    Recipe {
        name: "visual-ai",
        about: "the last 2 blocks, Gaussian-smoothed cross entropy, halved at epochs 1 and 2 (Zhang et al. 2025)",
        training: Training::visual_ai,
    },
    Recipe {
        name: "light",
        about: "the last N blocks, warm-up and cosine, as in public runs of the paper's kind",
        training: Training::light,
    },
    Recipe { name: "lora-weak", about: "LoRA at the low end of what is published", training: Training::lora_weak },
    Recipe { name: "lora-strong", about: "LoRA at the high end of what is published", training: Training::lora_strong },
    Recipe {
        name: "geoaware",
        about: "a head over frozen features, contrastive and soft-argmax, one cycle (Zhang et al. 2024)",
        training: Training::geoaware,
    },
];

impl Training {
    /// Zhang et al., "Semantic Correspondence: Unified Benchmarking and a Strong Baseline", 2025, `train.py` and `config/base.py`:
    /// AdamW 1e-4 with decay 0.05 and PyTorch's other values, halved at epochs 1 and 2, nothing clipped, batches of 4. Epochs are
    /// given to their script; 3 let both halvings come. Validation, patience and checkpoints are ours.
    pub fn visual_ai() -> Training {
        Training {
            epochs: 3,
            steps: None,
            seed: 0,
            learning_rate: 1e-4,
            betas: [0.9, 0.999],
            eps: 1e-8,
            weight_decay: 0.05,
            warmup: 0,
            clip_norm: 0.0,
            validate_every: 0,
            patience: 0,
            alpha: 0.1,
            checkpoint_every: 100,
            schedule: Schedule::Steps { factor: 0.5, epochs: vec![1, 2] },
            losses: Losses::default(),
        }
    }

    /// Public runs of light fine-tuning of the last 1 to 4 blocks and the norm: AdamW 5e-5 (to 1e-4) with decay 0.01, a warm-up of 100
    /// steps and a cosine to 0 over 5 epochs. They clip at 1, the usual value.
    pub fn light() -> Training {
        Training {
            epochs: 5,
            learning_rate: 5e-5,
            weight_decay: 0.01,
            warmup: 100,
            clip_norm: 1.0,
            schedule: Schedule::Cosine { floor: 0.0 },
            ..Training::visual_ai()
        }
    }

    /// LoRA as the paper's weak result suggests it: what light fine-tuning has, at 1e-4, the lowest rate that is published for it. For
    /// rank 4 and α 4 on q and v.
    pub fn lora_weak() -> Training {
        Training { learning_rate: 1e-4, ..Training::light() }
    }

    /// LoRA at 1e-3, the highest rate that is published for it, and without decay, which would pull the product BA towards the frozen
    /// weights. For rank 16 and α 32 on qkv, proj and the MLP.
    pub fn lora_strong() -> Training {
        Training { learning_rate: 1e-3, weight_decay: 0.0, ..Training::light() }
    }

    /// Zhang et al., "Telling Left from Right", 2024, `pck_train.py`: AdamW 1.25e-3 with decay 1e-3, one cycle over 2 epochs with
    /// PyTorch's shape of it, contrastive loss and soft-argmax evenly. PyTorch's cycle of β₁ is left out.
    pub fn geoaware() -> Training {
        Training {
            epochs: 2,
            learning_rate: 1.25e-3,
            weight_decay: 1e-3,
            // OneCycleLR: from a 25th, to a 10⁴th of that
            schedule: Schedule::OneCycle { rise: 0.3, start: 0.04, end: 4e-6 },
            losses: Losses { cross_entropy: 0.0, soft_argmax: 1.0, contrastive: 1.0, ..Losses::default() },
            ..Training::visual_ai()
        }
    }
}
