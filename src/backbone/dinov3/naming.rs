//! The three namings of DINOv3 checkpoints: the original release's, that of the files on Hugging Face, and that of the modules of
//! transformers 5, which has `model.` before `layer.N` and nowhere else. Inside Homolog a weight has the original's name, but
//! q, k and v apart (`blocks.0.attn.q.weight`).
//!
//! K has no bias: in training it is held at zero by a mask, and Hugging Face's files leave it out. Whatever an original file
//! has in that third of `attn.qkv.bias` is not read.

use super::Config;
use crate::{Error, Mlp, Source, Weights, checkpoint::Checkpoint, weights};
use std::collections::BTreeMap;

/// Of use in pre-training only. `local_cls_norm` is in the files of the networks trained on satellite pictures.
const IGNORED: &[&str] = &["mask_token", "embeddings.mask_token", "local_cls_norm.weight", "local_cls_norm.bias"];

#[derive(Clone, Copy)]
enum Naming {
    Original,
    HuggingFace,
    Transformers5,
}

/// Names and shapes of the original release's checkpoint of `config`, without the tensors that it can do without: mask token,
/// bias masks, and the periods of the rotary positions.
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
        ("embeddings.cls_token", "model.layer.0.attention.q_proj.weight", Naming::Transformers5),
        ("embeddings.cls_token", "layer.0.attention.q_proj.weight", Naming::HuggingFace),
        // DINOv2 has blocks of the same names, and no storage tokens.
        ("storage_tokens", "blocks.0.attn.qkv.weight", Naming::Original),
    ];
    let (prefix, naming) = weights::naming(checkpoint, network, &telling)?;
    let mut sources = sources(config, naming);
    let periods = "rope_embed.periods";
    if checkpoint.shapes().contains_key(&format!("{prefix}{periods}")) {
        sources.insert(periods.into(), Source::whole(periods, &[config.periods()]));
    }
    let masks: Vec<String> = (0..config.depth).map(|block| format!("blocks.{block}.attn.qkv.bias_mask")).collect();
    let ignored: Vec<&str> = IGNORED.iter().copied().chain(masks.iter().map(String::as_str)).collect();
    Weights::resolve(checkpoint, network, prefix, sources, &ignored)
}

/// Where each weight lies, by naming.
fn sources(config: &Config, naming: Naming) -> BTreeMap<String, Source> {
    let (c, hidden, p) = (config.width, config.hidden, config.patch as usize);
    let mut all = BTreeMap::new();
    let mut put = |ours: String, source: Source| drop(all.insert(ours, source));
    let theirs = |original: &'static str, hugging_face: &'static str| match naming {
        Naming::Original => original,
        Naming::HuggingFace | Naming::Transformers5 => hugging_face,
    };

    let tokens = [
        ("cls_token", "embeddings.cls_token", vec![1, 1, c]),
        ("storage_tokens", "embeddings.register_tokens", vec![1, config.registers, c]),
        ("patch_embed.proj.weight", "embeddings.patch_embeddings.weight", vec![c, 3, p, p]),
        ("patch_embed.proj.bias", "embeddings.patch_embeddings.bias", vec![c]),
        ("norm.weight", "norm.weight", vec![c]),
        ("norm.bias", "norm.bias", vec![c]),
    ];
    for (original, hugging_face, shape) in tokens {
        put(original.into(), Source::whole(theirs(original, hugging_face), &shape));
    }

    // q, k and v share a tensor in the original: which part it is, of how many.
    let whole = (0, 1);
    let third = |part| if let Naming::Original = naming { (part, 3) } else { whole };
    let mut products = vec![
        ("attn.q", theirs("attn.qkv", "attention.q_proj"), third(0), c, c),
        ("attn.k", theirs("attn.qkv", "attention.k_proj"), third(1), c, c),
        ("attn.v", theirs("attn.qkv", "attention.v_proj"), third(2), c, c),
        ("attn.proj", theirs("attn.proj", "attention.o_proj"), whole, c, c),
    ];
    products.extend(match config.mlp {
        Mlp::Gelu => vec![
            ("mlp.fc1", theirs("mlp.fc1", "mlp.up_proj"), whole, hidden, c),
            ("mlp.fc2", theirs("mlp.fc2", "mlp.down_proj"), whole, c, hidden),
        ],
        Mlp::SwiGlu => vec![
            ("mlp.w1", theirs("mlp.w1", "mlp.gate_proj"), whole, hidden, c),
            ("mlp.w2", theirs("mlp.w2", "mlp.up_proj"), whole, hidden, c),
            ("mlp.w3", theirs("mlp.w3", "mlp.down_proj"), whole, c, hidden),
        ],
    });
    let in_block = match naming {
        Naming::Original => "blocks",
        Naming::HuggingFace => "layer",
        Naming::Transformers5 => "model.layer",
    };
    for block in 0..config.depth {
        let vectors = [
            ("ls1.gamma", "layer_scale1.lambda1"),
            ("ls2.gamma", "layer_scale2.lambda1"),
            ("norm1.weight", "norm1.weight"),
            ("norm1.bias", "norm1.bias"),
            ("norm2.weight", "norm2.weight"),
            ("norm2.bias", "norm2.bias"),
        ];
        for (original, hugging_face) in vectors {
            let there = format!("{in_block}.{block}.{}", theirs(original, hugging_face));
            put(format!("blocks.{block}.{original}"), Source::whole(there, &[c]));
        }
        for (name, there, part, out, input) in &products {
            let (ours, there) = (format!("blocks.{block}.{name}"), format!("{in_block}.{block}.{there}"));
            put(format!("{ours}.weight"), Source::part(format!("{there}.weight"), &[*out, *input], *part));
            if *name != "attn.k" {
                put(format!("{ours}.bias"), Source::part(format!("{there}.bias"), &[*out], *part));
            }
        }
    }
    all
}
