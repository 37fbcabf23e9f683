//! What is trained: the last blocks, low-rank matrices beside frozen products, or a network over frozen descriptors.

use crate::Error;
use clap::Args;
use homolog_adapt::{Parameters, Training, data::random};
use homolog_backbone::{Adapter, Lora, Trained, Weights};
use homolog_core::bundle::{Adaptation, Feature, LoraTarget, Manifest};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A regime of adaptation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Method {
    /// The last blocks, and what comes after them.
    Finetune {
        /// How many.
        blocks: usize,
    },
    /// Low-rank matrices.
    Lora(LoraArgs),
    /// A bottleneck over frozen descriptors.
    Head(HeadArgs),
}

/// Low-rank matrices beside frozen products.
#[derive(Args, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoraArgs {
    /// The matrices' rank.
    #[arg(long, default_value_t = 8)]
    pub rank: usize,
    /// Their product is scaled by alpha / rank.
    #[arg(long, default_value_t = 16.0)]
    pub alpha: f32,
    /// The share of their inputs that is left out in training.
    #[arg(long, default_value_t = 0.0)]
    pub dropout: f32,
    /// The products they stand beside: q, k, v, proj, mlp.
    #[arg(long, value_delimiter = ',', default_values = ["q", "v"])]
    pub targets: Vec<String>,
    /// The blocks, counted from 0 [default: all]. Where only late ones are named, tokens of the others are computed once.
    #[arg(long, value_delimiter = ',')]
    pub blocks: Vec<usize>,
}

/// A network of the GeoAware kind over frozen descriptors.
#[derive(Args, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadArgs {
    /// Channels inside the bottleneck, a multiple of 32.
    #[arg(long, default_value_t = 256)]
    pub width: usize,
    /// Channels of the new descriptors, a multiple of 32 [default: those of the old ones].
    #[arg(long)]
    pub channels: Option<usize>,
}

/// What a method trains of a network.
pub struct Chosen {
    /// Blocks before the first that is trained.
    pub first: usize,
    /// What is trained.
    pub trained: Trained,
}

impl Method {
    /// The method's usual recipe.
    pub fn recipe(&self) -> Training {
        match self {
            Method::Finetune { .. } => Training::light(),
            Method::Lora(_) => Training::lora_strong(),
            Method::Head(_) => Training::geoaware(),
        }
    }

    /// What is trained of a network.
    ///
    /// # Errors
    /// [`Error::Failed`] naming the argument that does not fit the network.
    pub fn trained(&self, weights: &Weights, manifest: &Manifest) -> Result<Chosen, Error> {
        let depth = manifest.backbone.depth;
        let wrong = |reason: String| Err(Error::Failed(reason));
        match self {
            Method::Finetune { blocks } if !(1..=depth).contains(blocks) => {
                wrong(format!("blocks: {blocks} of the {depth} there are"))
            }
            Method::Finetune { blocks } => {
                let first = depth - blocks;
                let block = |name: &str| name.strip_prefix("blocks.")?.split('.').next()?.parse::<usize>().ok();
                let after = match manifest.feature {
                    Feature::PostNorm => "norm.",
                    Feature::Neck => "neck.",
                    Feature::PreNorm => "\0",
                };
                let is_trained =
                    |name: &&str| block(name).is_some_and(|block| block >= first) || name.starts_with(after);
                let weights = weights.names().filter(is_trained).map(str::to_owned).collect();
                Ok(Chosen { first, trained: Trained { weights, lora: None } })
            }
            Method::Lora(LoraArgs { rank, alpha, dropout, blocks, .. }) => {
                if *rank == 0 || !alpha.is_finite() || !(0.0..1.0).contains(dropout) {
                    return wrong("rank: at least 1; alpha: a number; dropout: from 0 to below 1".into());
                }
                if let Some(block) = blocks.iter().find(|block| **block >= depth) {
                    return wrong(format!("blocks: there is no block {block}, the last is {}", depth - 1));
                }
                let blocks: BTreeSet<usize> =
                    if blocks.is_empty() { (0..depth).collect() } else { blocks.iter().copied().collect() };
                let mut modules = BTreeSet::new();
                for target in self.targets()? {
                    let parts: &[&str] = match target {
                        LoraTarget::Q => &["attn.q"],
                        LoraTarget::K => &["attn.k"],
                        LoraTarget::V => &["attn.v"],
                        LoraTarget::Proj => &["attn.proj"],
                        LoraTarget::Mlp => {
                            &["mlp.fc1", "mlp.fc2", "mlp.w1", "mlp.w2", "mlp.w3", "mlp.lin1", "mlp.lin2"]
                        }
                    };
                    let named =
                        blocks.iter().flat_map(|block| parts.iter().map(move |part| format!("blocks.{block}.{part}")));
                    modules.extend(named.filter(|module| weights.has(&format!("{module}.weight"))));
                }
                let lora = Lora { rank: *rank, alpha: *alpha, has_dropout: *dropout > 0.0, modules };
                let first = blocks.first().copied().unwrap_or(depth);
                Ok(Chosen { first, trained: Trained { weights: BTreeSet::new(), lora: Some(lora) } })
            }
            Method::Head(_) => {
                let channels = weights.get("norm.weight").map_or(manifest.channels, |norm| norm.data.len());
                let adapter = self.adapter(channels, 0)?;
                let weights = adapter.iter().flat_map(Adapter::weight_names).collect();
                Ok(Chosen { first: depth, trained: Trained { weights, lora: None } })
            }
        }
    }

    fn targets(&self) -> Result<Vec<LoraTarget>, Error> {
        let Method::Lora(LoraArgs { targets, .. }) = self else { return Ok(Vec::new()) };
        let one = |target: &String| match target.as_str() {
            "q" => Ok(vec![LoraTarget::Q]),
            "k" => Ok(vec![LoraTarget::K]),
            "v" => Ok(vec![LoraTarget::V]),
            "qkv" => Ok(vec![LoraTarget::Q, LoraTarget::K, LoraTarget::V]),
            "proj" => Ok(vec![LoraTarget::Proj]),
            "mlp" => Ok(vec![LoraTarget::Mlp]),
            _ => Err(Error::Failed(format!("targets: `{target}` is none of q, k, v, qkv, proj, mlp"))),
        };
        Ok(targets.iter().map(one).collect::<Result<Vec<_>, _>>()?.concat())
    }

    /// The network over descriptors of `channels` channels that is trained, with random weights.
    ///
    /// # Errors
    /// [`homolog_backbone::Error::Option`] for widths that do not fall into groups.
    pub fn adapter(&self, channels: usize, seed: u64) -> Result<Option<Adapter>, Error> {
        let Method::Head(HeadArgs { width, channels: output }) = self else { return Ok(None) };
        Ok(Some(Adapter::initial(channels, *width, output.unwrap_or(channels), seed)?))
    }

    /// Gives low-rank matrices their first values: A uniform within 1/√in (Kaiming with a = √5, as Hu et al.'s code has it), B zero.
    pub fn begin(&self, parameters: &mut Parameters, seed: u64) {
        for (index, parameter) in parameters.iter_mut().enumerate() {
            if parameter.name.ends_with(".lora_A.weight") {
                let mut draw = random::stream("lora_A", &[seed, index as u64]);
                let bound = (*parameter.shape.last().unwrap_or(&1) as f32).sqrt().recip();
                parameter.data.iter_mut().for_each(|value| *value = bound * (2.0 * draw.random::<f32>() - 1.0));
            }
        }
    }

    /// The share of low-rank matrices' inputs that is left out.
    pub fn dropout(&self) -> f32 {
        if let Method::Lora(LoraArgs { dropout, .. }) = self { *dropout } else { 0.0 }
    }

    /// What a manifest says.
    ///
    /// # Errors
    /// [`Error::Failed`] for a target that is none.
    pub fn adaptation(&self, adapter: Option<&Adapter>) -> Result<Adaptation, Error> {
        Ok(match (self, adapter) {
            (_, Some(adapter)) => adapter.adaptation(),
            (Method::Finetune { blocks }, _) => Adaptation::Finetune { blocks: *blocks },
            (Method::Lora(LoraArgs { rank, alpha, .. }), _) => {
                Adaptation::Lora { rank: *rank, alpha: *alpha, targets: self.targets()? }
            }
            (Method::Head(_), None) => Adaptation::None {},
        })
    }
}
