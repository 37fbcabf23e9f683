//! The three namings of DINOv2 checkpoints: the original release's, that of the files on Hugging Face, and the one that
//! transformers 5 writes. Inside Homolog a weight has the original's name, but q, k and v apart (`blocks.0.attn.q.weight`), and
//! so the two halves of SwiGLU's `w12` (`mlp.w1`, which goes through silu, and `mlp.w2`).

use super::Config;
use crate::{Error, Mlp, Source, Weights, checkpoint::Checkpoint, weights};
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

/// Where each weight lies in the files on Hugging Face.
pub(crate) fn hub(config: &Config) -> BTreeMap<String, Source> {
    sources(config, Naming::HuggingFace)
}

/// Finds out which naming the checkpoint uses, and under which prefix, and checks that every tensor of the network is there.
///
/// # Errors
/// [`Error::UnknownNaming`], [`Error::Mismatch`].
pub fn resolve<'a>(checkpoint: &'a Checkpoint, config: &Config, network: &str) -> Result<Weights<'a>, Error> {
    let telling = [
        ("embeddings.cls_token", "encoder.layer.0.attention.q_proj.weight", Naming::Transformers5),
        ("embeddings.cls_token", "encoder.layer.0.attention.attention.query.weight", Naming::HuggingFace),
        ("cls_token", "blocks.0.attn.qkv.weight", Naming::Original),
    ];
    let (prefix, naming) = weights::naming(checkpoint, network, &telling)?;
    Weights::resolve(checkpoint, network, prefix, sources(config, naming), IGNORED)
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

    let pick = |original: &'static str, hub: &'static str, transformers5: &'static str| match naming {
        Naming::Original => original,
        Naming::HuggingFace => hub,
        Naming::Transformers5 => transformers5,
    };
    // Several products may share a tensor: which part it is, of how many.
    let whole = (0, 1);
    let third = |part| if let Naming::Original = naming { (part, 3) } else { whole };
    let half = |part| if let Naming::Transformers5 = naming { whole } else { (part, 2) };
    let mut products = vec![
        ("attn.q", pick("attn.qkv", "attention.attention.query", "attention.q_proj"), third(0), c, c),
        ("attn.k", pick("attn.qkv", "attention.attention.key", "attention.k_proj"), third(1), c, c),
        ("attn.v", pick("attn.qkv", "attention.attention.value", "attention.v_proj"), third(2), c, c),
        ("attn.proj", pick("attn.proj", "attention.output.dense", "attention.o_proj"), whole, c, c),
    ];
    products.extend(match config.mlp {
        Mlp::Gelu => vec![("mlp.fc1", "mlp.fc1", whole, hidden, c), ("mlp.fc2", "mlp.fc2", whole, c, hidden)],
        Mlp::SwiGlu => vec![
            ("mlp.w1", pick("mlp.w12", "mlp.weights_in", "mlp.gate_proj"), half(0), hidden, c),
            ("mlp.w2", pick("mlp.w12", "mlp.weights_in", "mlp.up_proj"), half(1), hidden, c),
            ("mlp.w3", pick("mlp.w3", "mlp.weights_out", "mlp.down_proj"), whole, c, hidden),
        ],
    });
    for block in 0..config.depth {
        let ours = |name: &str, suffix: &str| format!("blocks.{block}.{name}.{suffix}");
        let in_block = theirs("blocks", "encoder.layer");
        for (name, suffix, hugging_face) in [
            ("ls1", "gamma", "layer_scale1.lambda1"),
            ("ls2", "gamma", "layer_scale2.lambda1"),
            ("norm1", "weight", "norm1.weight"),
            ("norm1", "bias", "norm1.bias"),
            ("norm2", "weight", "norm2.weight"),
            ("norm2", "bias", "norm2.bias"),
        ] {
            let name_there = theirs(&format!("{name}.{suffix}"), hugging_face);
            put(ours(name, suffix), Source::whole(format!("{in_block}.{block}.{name_there}"), &[c]));
        }
        for (name, name_there, part, out, input) in &products {
            let name_there = format!("{in_block}.{block}.{name_there}");
            put(ours(name, "weight"), Source::part(format!("{name_there}.weight"), &[*out, *input], *part));
            put(ours(name, "bias"), Source::part(format!("{name_there}.bias"), &[*out], *part));
        }
    }
    all
}
