//! Datasets that evaluations may name: `[datasets.KEY]` in the file, `--register KEY=FORMAT@DIR` on the command line.

use std::collections::BTreeMap;
use std::str::FromStr;

use homolog_jobs::DatasetEntry;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A dataset and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedDataset {
    /// What requests call it.
    pub key: String,
    /// Where it is, and what.
    pub entry: DatasetEntry,
}

impl FromStr for NamedDataset {
    type Err = String;

    fn from_str(text: &str) -> Result<NamedDataset, String> {
        let parts = text.split_once('=').and_then(|(key, rest)| Some((key, rest.split_once('@')?)));
        let Some((key, (format, folder))) = parts else {
            return Err(format!("`{text}` is not of the form KEY=FORMAT@DIR, say spair=spair71k:test@/data/SPair-71k"));
        };
        if key.is_empty() {
            return Err(format!("`{text}` has no key before its `=`"));
        }
        let format = format.parse().map_err(|error: homolog_eval::Error| error.to_string())?;
        Ok(NamedDataset { key: key.to_owned(), entry: DatasetEntry { path: folder.into(), format } })
    }
}

pub(super) fn serialize<S: Serializer>(datasets: &[NamedDataset], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = BTreeMap::new();
    for NamedDataset { key, entry } in datasets {
        if map.insert(key, entry).is_some() {
            return Err(serde::ser::Error::custom(format!("datasets: `{key}` is registered twice")));
        }
    }
    map.serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<NamedDataset>, D::Error> {
    let map = BTreeMap::<String, DatasetEntry>::deserialize(deserializer)?;
    Ok(map.into_iter().map(|(key, entry)| NamedDataset { key, entry }).collect())
}
