//! What of a network is trained.

use std::collections::BTreeSet;

/// The weights that training changes, by the family's names, and the low-rank matrices that it adds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trained {
    /// Weights that are trained themselves, say `blocks.11.attn.q.weight`.
    pub weights: BTreeSet<String>,
    /// What is added beside frozen products.
    pub lora: Option<Lora>,
}

/// Low-rank adaptation: `y = W x + b + (α / r) · B A x` (Hu et al. 2022, "LoRA", equation 3).
#[derive(Clone, Debug, PartialEq)]
pub struct Lora {
    /// r.
    pub rank: usize,
    /// α.
    pub alpha: f32,
    /// Whether the input of A is thinned out: the graph then takes a mask of 0 and `1 / (1 − p)` for each product.
    pub has_dropout: bool,
    /// The products, say `blocks.11.attn.q`.
    pub modules: BTreeSet<String>,
}

impl Lora {
    /// α / r.
    pub fn scale(&self) -> f32 {
        self.alpha / self.rank as f32
    }
}

/// Names of a product's low-rank matrices: `A [r, in]` and `B [out, r]`.
pub fn lora_names(module: &str) -> [String; 2] {
    [format!("{module}.lora_A.weight"), format!("{module}.lora_B.weight")]
}

/// The graph's input that thins out what a product's A reads, `[rows, in]`.
pub fn dropout_name(module: &str) -> String {
    format!("{module}.dropout")
}
