//! Low-rank matrices in a folder of their own, as Hugging Face's PEFT keeps them.
//!
//! `adapter_model.safetensors` has `base_model.model.MODULE.lora_A.weight` and `lora_B.weight`, `adapter_config.json` rank and α
//! (PEFT 0.17, `peft/utils/save_and_load.py`, `peft/tuners/lora/config.py`). MODULE is the module's path in transformers' model, so
//! that PEFT loads over it what was trained here, and the other way round; where several of our products are one module there
//! (SAM's `qkv`, a SwiGLU's `weights_in`), it is our own name.

use crate::{
    Error, Family, Lora,
    checkpoint::{Checkpoint, Tensor},
    lora_names,
};
use safetensors::{Dtype, tensor::TensorView};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

const MODEL: &str = "adapter_model.safetensors";
const CONFIG: &str = "adapter_config.json";
const PREFIX: &str = "base_model.model.";

/// What is read and written of `adapter_config.json`.
#[derive(Serialize, Deserialize)]
struct Config {
    peft_type: String,
    r: usize,
    lora_alpha: f32,
    #[serde(default)]
    lora_dropout: f32,
    target_modules: serde_json::Value,
    #[serde(default)]
    bias: Option<String>,
    #[serde(default)]
    base_model_name_or_path: Option<String>,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    use_dora: bool,
    #[serde(default)]
    fan_in_fan_out: bool,
    #[serde(default)]
    rank_pattern: BTreeMap<String, usize>,
    #[serde(default)]
    alpha_pattern: BTreeMap<String, f32>,
}

/// Writes `matrices`, which go by [`lora_names`], into `folder`, which is made.
///
/// # Errors
/// [`Error::Tensor`] for a matrix that is missing, [`Error::Io`].
pub fn save(
    folder: &Path,
    network: &str,
    family: &Family,
    lora: &Lora,
    dropout: f32,
    matrices: &BTreeMap<String, Tensor>,
) -> Result<(), Error> {
    let paths = paths(family);
    let mut bytes: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for module in &lora.modules {
        let path = paths.get(module).unwrap_or(module);
        for (ours, theirs) in lora_names(module).iter().zip(lora_names(path)) {
            let missing = || Error::Tensor { name: ours.clone(), reason: "it was not trained".into() };
            let tensor = matrices.get(ours).ok_or_else(missing)?;
            let data = tensor.data.iter().flat_map(|value| value.to_le_bytes()).collect();
            bytes.push((format!("{PREFIX}{theirs}"), tensor.shape.clone(), data));
        }
    }
    let wrong = |name: &str, error: safetensors::SafeTensorError| Error::Tensor {
        name: name.into(),
        reason: error.to_string(),
    };
    let mut views = Vec::with_capacity(bytes.len());
    for (name, shape, data) in &bytes {
        views.push((name, TensorView::new(Dtype::F32, shape.clone(), data).map_err(|error| wrong(name, error))?));
    }
    std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
    let file = folder.join(MODEL);
    let metadata = Some([("format".to_owned(), "pt".to_owned())].into());
    let written = safetensors::serialize(views, metadata).map_err(|error| wrong(MODEL, error))?;
    std::fs::write(&file, written).map_err(Error::io(&file))?;
    let targets: BTreeSet<&str> =
        lora.modules.iter().map(|module| paths.get(module).unwrap_or(module).as_str()).collect();
    let config = Config {
        peft_type: "LORA".into(),
        r: lora.rank,
        lora_alpha: lora.alpha,
        lora_dropout: dropout,
        target_modules: targets.into_iter().collect(),
        bias: Some("none".into()),
        base_model_name_or_path: Some(network.into()),
        use_rslora: false,
        use_dora: false,
        fan_in_fan_out: false,
        rank_pattern: BTreeMap::new(),
        alpha_pattern: BTreeMap::new(),
    };
    let file = folder.join(CONFIG);
    let text = serde_json::to_vec_pretty(&config).map_err(|error| refused(&file, error))?;
    std::fs::write(&file, text).map_err(Error::io(&file))
}

/// Reads the low-rank matrices in `folder`, by our names: what [`Lora::merged`] takes.
///
/// # Errors
/// [`Error::NotACheckpoint`] for a folder that is no adapter of this kind, [`Error::Tensor`] for a tensor that belongs to no product
/// of the network.
pub fn load(folder: &Path, family: &Family) -> Result<(Lora, BTreeMap<String, Tensor>), Error> {
    let file = folder.join(CONFIG);
    let text = std::fs::read(&file).map_err(Error::io(&file))?;
    let config: Config = serde_json::from_slice(&text).map_err(|error| refused(&file, error))?;
    let plain = config.peft_type == "LORA" && !config.use_dora && !config.use_rslora && !config.fan_in_fan_out;
    if !plain || !config.rank_pattern.is_empty() || !config.alpha_pattern.is_empty() {
        return Err(refused(&file, "only plain LoRA of one rank and one alpha is merged"));
    }
    if config.bias.as_deref().is_some_and(|bias| bias != "none") {
        return Err(refused(&file, "biases were trained too, which is not merged"));
    }
    if config.r == 0 {
        return Err(refused(&file, "its rank is 0"));
    }
    let checkpoint = Checkpoint::open(&folder.join(MODEL))?;
    let ours: BTreeMap<String, String> = paths(family).into_iter().map(|(ours, theirs)| (theirs, ours)).collect();
    let own: BTreeSet<String> =
        family.hub().into_keys().filter_map(|name| Some(name.strip_suffix(".weight")?.to_owned())).collect();
    let mut modules = BTreeSet::new();
    let mut matrices = BTreeMap::new();
    for name in checkpoint.shapes().keys() {
        let unknown =
            || Error::Tensor { name: name.clone(), reason: "it belongs to no product of this network".into() };
        let path = name.strip_prefix(PREFIX).unwrap_or(name);
        let (path, place) = path.split_once(".lora_").ok_or_else(unknown)?;
        let module = ours.get(path).or_else(|| own.get(path)).ok_or_else(unknown)?;
        matrices.insert(format!("{module}.lora_{place}"), checkpoint.read(name)?);
        modules.insert(module.clone());
    }
    Ok((Lora { rank: config.r, alpha: config.lora_alpha, has_dropout: false, modules }, matrices))
}

/// The products that are modules of transformers' model, by our names.
fn paths(family: &Family) -> BTreeMap<String, String> {
    let whole = family.hub().into_iter().filter(|(_, source)| source.rows.is_none());
    let module = |name: &str| Some(name.strip_suffix(".weight")?.to_owned());
    whole.filter_map(|(ours, source)| Some((module(&ours)?, module(&source.name)?))).collect()
}

fn refused(file: &Path, reason: impl ToString) -> Error {
    Error::NotACheckpoint { path: PathBuf::from(file), reason: reason.to_string() }
}
