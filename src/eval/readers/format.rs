//! Formats as text, for the command line: `spair71k:val:small`, `pf-willow`, `ap10k:cross-species`, `simple:my.jsonl`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::de::DeserializeOwned;

use super::{Format, ap10k::Set, spair71k::Layout};
use crate::Error;

const CHOICES: &str =
    "spair71k[:SPLIT[:LAYOUT]], pf-willow[:LIST], pf-pascal[:LIST], ap10k[:SET[:SPLIT]], simple[:LIST]";

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Format, Error> {
        let unknown = || Error::UnknownChoice { what: "format", found: text.to_owned(), choices: CHOICES };
        let (name, rest) = text.split_once(':').map_or((text, None), |(name, rest)| (name, Some(rest)));
        let list = || rest.map(PathBuf::from);
        let (one, other) = match rest.map(|rest| rest.split_once(':').unwrap_or((rest, ""))) {
            Some((one, other)) => (one, other),
            None => ("", ""),
        };
        match name.replace('_', "-").as_str() {
            "spair71k" => Ok(Format::Spair71k {
                split: word(one).ok_or_else(unknown)?,
                layout: word::<Layout>(other).ok_or_else(unknown)?,
            }),
            "pf-willow" => Ok(Format::PfWillow { list: list() }),
            "pf-pascal" => Ok(Format::PfPascal { list: list() }),
            "ap10k" => Ok(Format::Ap10k {
                set: word::<Set>(one).ok_or_else(unknown)?,
                split: word(other).ok_or_else(unknown)?,
            }),
            "simple" => Ok(Format::Simple { list: list() }),
            _ => Err(unknown()),
        }
    }
}

/// A choice by its name in configurations; the default for nothing.
fn word<T: DeserializeOwned + Default>(text: &str) -> Option<T> {
    match text {
        "" => Some(T::default()),
        text => serde_json::from_value(serde_json::Value::String(text.to_owned())).ok(),
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = |f: &mut fmt::Formatter<'_>, name: &str, list: &Option<PathBuf>| match list {
            Some(list) => write!(f, "{name}:{}", list.display()),
            None => f.write_str(name),
        };
        match self {
            Format::Spair71k { layout, split } => write!(f, "spair71k:{split}:{layout}"),
            Format::PfWillow { list } => listed(f, "pf-willow", list),
            Format::PfPascal { list } => listed(f, "pf-pascal", list),
            Format::Ap10k { set, split } => write!(f, "ap10k:{set}:{split}"),
            Format::Simple { list } => listed(f, "simple", list),
        }
    }
}
