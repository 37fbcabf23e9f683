//! The two namings of SAM checkpoints: the original release's and that of Hugging Face, which transformers 5 writes too. Both
//! files hold the prompt encoder and the mask decoder beside the image encoder; they stand outside its prefix and are left alone.
//! Inside Homolog a weight has the original's name, but q, k and v apart (`blocks.0.attn.q.weight`).

use super::Config;
use crate::{Error, Source, Weights, checkpoint::Checkpoint};
use std::collections::BTreeMap;

/// Where the image encoder lies in the original release's files; Hugging Face has it in `vision_encoder.`.
const PREFIX: &str = "image_encoder.";

#[derive(Clone, Copy)]
enum Naming {
    Original,
    HuggingFace,
}

/// Names and shapes of the image encoder in the original release's checkpoint of `config`.
pub fn original_shapes(config: &Config) -> BTreeMap<String, Vec<usize>> {
    let sources = sources(config, Naming::Original).into_values();
    sources.map(|source| (format!("{PREFIX}{}", source.name), source.shape)).collect()
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
        ("layers.0.attn.rel_pos_h", "patch_embed.projection.weight", Naming::HuggingFace),
        ("blocks.0.attn.rel_pos_h", "patch_embed.proj.weight", Naming::Original),
    ];
    for (first, second, naming) in telling {
        let prefixes = checkpoint.shapes().keys().filter_map(|name| name.strip_suffix(first));
        let mut fitting = prefixes.filter(|prefix| checkpoint.shapes().contains_key(&format!("{prefix}{second}")));
        if let Some(prefix) = fitting.next() {
            return Weights::resolve(checkpoint, network, prefix, sources(config, naming), &[]);
        }
    }
    let found: Vec<&str> = checkpoint.shapes().keys().take(5).map(String::as_str).collect();
    Err(Error::UnknownNaming {
        network: network.into(),
        tried: telling.map(|(first, ..)| first).join(" nor "),
        found: if found.is_empty() { "none".into() } else { found.join(", ") },
    })
}

/// Where each weight lies, by naming.
fn sources(config: &Config, naming: Naming) -> BTreeMap<String, Source> {
    let Config { width: c, depth, hidden, position_grid: grid, neck, .. } = *config;
    let (p, head) = (config.patch as usize, config.head());
    let mut all = BTreeMap::new();
    let theirs = |original: &str, hugging_face: &str| match naming {
        Naming::Original => original.to_owned(),
        Naming::HuggingFace => hugging_face.to_owned(),
    };
    let mut put = |original: &str, hugging_face: &str, shape: &[usize]| {
        all.insert(original.to_owned(), Source::whole(theirs(original, hugging_face), shape));
    };
    put("pos_embed", "pos_embed", &[1, grid, grid, c]);
    put("patch_embed.proj.weight", "patch_embed.projection.weight", &[c, 3, p, p]);
    put("patch_embed.proj.bias", "patch_embed.projection.bias", &[c]);
    put("neck.0.weight", "neck.conv1.weight", &[neck, c, 1, 1]);
    put("neck.2.weight", "neck.conv2.weight", &[neck, neck, 3, 3]);
    for suffix in ["weight", "bias"] {
        put(&format!("neck.1.{suffix}"), &format!("neck.layer_norm1.{suffix}"), &[neck]);
        put(&format!("neck.3.{suffix}"), &format!("neck.layer_norm2.{suffix}"), &[neck]);
    }
    for block in 0..depth {
        let (blocks, layers) = (format!("blocks.{block}"), format!("layers.{block}"));
        for axis in ["h", "w"] {
            let table = format!("attn.rel_pos_{axis}");
            put(&format!("{blocks}.{table}"), &format!("{layers}.{table}"), &[config.distances(block), head]);
        }
        for suffix in ["weight", "bias"] {
            let shape = |out: usize, input: usize| if suffix == "weight" { vec![out, input] } else { vec![out] };
            let parts = [
                ("norm1", "layer_norm1", vec![c]),
                ("norm2", "layer_norm2", vec![c]),
                ("attn.proj", "attn.proj", shape(c, c)),
                ("mlp.lin1", "mlp.lin1", shape(hidden, c)),
                ("mlp.lin2", "mlp.lin2", shape(c, hidden)),
            ];
            for (original, hugging_face, shape) in parts {
                put(&format!("{blocks}.{original}.{suffix}"), &format!("{layers}.{hugging_face}.{suffix}"), &shape);
            }
        }
    }
    for block in 0..depth {
        for suffix in ["weight", "bias"] {
            for (part, ours) in ["q", "k", "v"].into_iter().enumerate() {
                let name = theirs("blocks", "layers");
                let source = Source {
                    name: format!("{name}.{block}.attn.qkv.{suffix}"),
                    shape: if suffix == "weight" { vec![3 * c, c] } else { vec![3 * c] },
                    rows: Some(part * c..(part + 1) * c),
                };
                all.insert(format!("blocks.{block}.attn.{ours}.{suffix}"), source);
            }
        }
    }
    all
}
