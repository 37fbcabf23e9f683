//! What of a network is trained.

use crate::Lora;
use std::collections::BTreeSet;

/// The weights that training changes, by the family's names, and the low-rank matrices that it adds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trained {
    /// Weights that are trained themselves, say `blocks.11.attn.q.weight`.
    pub weights: BTreeSet<String>,
    /// What is added beside frozen products.
    pub lora: Option<Lora>,
}
