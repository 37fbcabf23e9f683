//! The three namings of DINOv2 checkpoints: the original release's, that of the files on Hugging Face, and the one that
//! transformers 5 writes. Inside Homolog a weight has the original's name, but q, k and v apart (`blocks.0.attn.q.weight`).

use super::Config;
use crate::{Error, Source, Weights, checkpoint::Checkpoint};
use std::collections::BTreeMap;

/// In every checkpoint of the family, and of use in pre-training only.
const IGNORED: &[&str] = &["mask_token", "embeddings.mask_token"];

#[derive(Clone, Copy)]
enum Naming {
    Original,
    HuggingFace,
    Transformers5,
}

/// Names and shapes of the original release's checkpoint of `config`, mask token aside.
pub fn original_shapes(config: &Config) -> BTreeMap<String, Vec<usize>> {
    sources(config, Naming::Original).into_values().map(|source| (source.name, source.shape)).collect()
}

/// Finds out which naming the checkpoint uses, and under which prefix, and checks that every tensor of the network is there.
///
/// # Errors
/// [`Error::UnknownNaming`], [`Error::Mismatch`].
pub fn resolve<'a>(checkpoint: &'a Checkpoint, config: &Config, network: &str) -> Result<Weights<'a>, Error> {
    // A name that only one naming has, the most telling first. The prefix is what stands before it: "model." around
    // checkpoints of fine-tuning, "teacher.backbone." in those of pre-training.
    let telling = [
        ("embeddings.cls_token", "encoder.layer.0.attention.q_proj.weight", Naming::Transformers5),
        ("embeddings.cls_token", "encoder.layer.0.attention.attention.query.weight", Naming::HuggingFace),
        ("cls_token", "blocks.0.attn.qkv.weight", Naming::Original),
    ];
    for (first, second, naming) in telling {
        let prefixes = checkpoint.shapes().keys().filter_map(|name| name.strip_suffix(first));
        let mut fitting = prefixes.filter(|prefix| checkpoint.shapes().contains_key(&format!("{prefix}{second}")));
        if let Some(prefix) = fitting.next() {
            return Weights::resolve(checkpoint, network, prefix, sources(config, naming), IGNORED);
        }
    }
    let found: Vec<&str> = checkpoint.shapes().keys().take(5).map(String::as_str).collect();
    Err(Error::UnknownNaming {
        network: network.into(),
        tried: telling.map(|(_, second, _)| second).join(" nor "),
        found: if found.is_empty() { "none".into() } else { found.join(", ") },
    })
}

/// Where each weight lies, by naming.
fn sources(config: &Config, naming: Naming) -> BTreeMap<String, Source> {
    let (c, hidden, p) = (config.width, config.hidden, config.patch as usize);
    let mut all = BTreeMap::new();
    let mut put = |ours: String, source: Source| drop(all.insert(ours, source));
    let theirs = |original: &str, hugging_face: &str| match naming {
        Naming::Original => original.to_owned(),
        Naming::HuggingFace | Naming::Transformers5 => hugging_face.to_owned(),
    };

    let tokens = [
        ("cls_token", "embeddings.cls_token", vec![1, 1, c]),
        ("pos_embed", "embeddings.position_embeddings", vec![1, 1 + config.position_grid.pow(2), c]),
        ("patch_embed.proj.weight", "embeddings.patch_embeddings.projection.weight", vec![c, 3, p, p]),
        ("patch_embed.proj.bias", "embeddings.patch_embeddings.projection.bias", vec![c]),
        ("norm.weight", "layernorm.weight", vec![c]),
        ("norm.bias", "layernorm.bias", vec![c]),
    ];
    for (original, hugging_face, shape) in tokens {
        put(original.into(), Source::whole(theirs(original, hugging_face), &shape));
    }
    if config.registers > 0 {
        let name = theirs("register_tokens", "embeddings.register_tokens");
        put("register_tokens".into(), Source::whole(name, &[1, config.registers, c]));
    }

    for block in 0..config.depth {
        let ours = |name: &str| format!("blocks.{block}.{name}");
        let in_block = |original: &str, hugging_face: &str| match naming {
            Naming::Original => format!("blocks.{block}.{original}"),
            _ => format!("encoder.layer.{block}.{hugging_face}"),
        };
        for (name, hugging_face) in [("ls1.gamma", "layer_scale1.lambda1"), ("ls2.gamma", "layer_scale2.lambda1")] {
            put(ours(name), Source::whole(in_block(name, hugging_face), &[c]));
        }
        for (suffix, inner) in [("weight", true), ("bias", false)] {
            let shape = |out: usize, input: usize| if inner { vec![out, input] } else { vec![out] };
            let output = match naming {
                Naming::Transformers5 => "attention.o_proj",
                _ => "attention.output.dense",
            };
            let linear = [
                ("norm1", "norm1", vec![c]),
                ("norm2", "norm2", vec![c]),
                ("attn.proj", output, shape(c, c)),
                ("mlp.fc1", "mlp.fc1", shape(hidden, c)),
                ("mlp.fc2", "mlp.fc2", shape(c, hidden)),
            ];
            for (original, hugging_face, shape) in linear {
                let name = in_block(&format!("{original}.{suffix}"), &format!("{hugging_face}.{suffix}"));
                put(ours(&format!("{original}.{suffix}")), Source::whole(name, &shape));
            }
            for (part, (ours_is, query)) in [("q", "query"), ("k", "key"), ("v", "value")].into_iter().enumerate() {
                let source = match naming {
                    Naming::Original => Source {
                        name: format!("blocks.{block}.attn.qkv.{suffix}"),
                        shape: shape(3 * c, c),
                        rows: Some(part * c..(part + 1) * c),
                    },
                    Naming::HuggingFace => {
                        Source::whole(in_block("", &format!("attention.attention.{query}.{suffix}")), &shape(c, c))
                    }
                    Naming::Transformers5 => {
                        Source::whole(in_block("", &format!("attention.{ours_is}_proj.{suffix}")), &shape(c, c))
                    }
                };
                put(ours(&format!("attn.{ours_is}.{suffix}")), source);
            }
        }
    }
    all
}
