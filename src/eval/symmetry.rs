//! Which keypoints of a category change places when the object is mirrored, and which look alike.
//!
//! The tables are facts about SPair-71k and AP-10K in our own form (`data/*.toml`, which say where the facts are from).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Deserialize;

use crate::Error;

/// The keypoints of a category. Ids are those of the dataset, as text: `"0"`, `"1"`, …
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symmetry {
    names: Vec<String>,
    partners: HashMap<String, String>,
    groups: Vec<Vec<String>>,
}

impl Symmetry {
    /// What the part is called, at the place of its id; empty for an id that the category does not use.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What the part of this id is called.
    pub fn name(&self, id: &str) -> Option<&str> {
        let index: usize = id.parse().ok()?;
        self.names.get(index).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// The keypoint that this one changes places with when the object is mirrored; none for a part in the middle.
    pub fn partner(&self, id: &str) -> Option<&str> {
        self.partners.get(id).map(String::as_str)
    }

    /// Keypoints that look alike and are told apart by where they are, two or more in each group.
    pub fn groups(&self) -> &[Vec<String>] {
        &self.groups
    }

    /// The tables of SPair-71k's 18 categories, by name.
    ///
    /// # Errors
    /// [`Error::Table`] if the table contradicts itself, which its tests rule out.
    pub fn spair71k() -> Result<HashMap<String, Arc<Symmetry>>, Error> {
        tables("spair71k", include_str!("data/spair71k.toml"))
    }

    /// The table of AP-10K, which is the same for every species; its name is `*`.
    ///
    /// # Errors
    /// [`Error::Table`] if the table contradicts itself, which its tests rule out.
    pub fn ap10k() -> Result<HashMap<String, Arc<Symmetry>>, Error> {
        let tables = tables("ap10k", include_str!("data/ap10k.toml"))?;
        Ok(tables.into_values().map(|table| ("*".to_owned(), table)).collect())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    keypoints: Vec<String>,
    mirror: Vec<[usize; 2]>,
    groups: Vec<Vec<usize>>,
}

fn tables(name: &'static str, text: &str) -> Result<HashMap<String, Arc<Symmetry>>, Error> {
    let tables: BTreeMap<String, Table> =
        toml::from_str(text).map_err(|error| Error::Table { name, detail: error.to_string() })?;
    tables
        .into_iter()
        .map(|(category, table)| {
            let checked =
                check(table).map_err(|detail| Error::Table { name, detail: format!("{category}: {detail}") })?;
            Ok((category, Arc::new(checked)))
        })
        .collect()
}

fn check(table: Table) -> Result<Symmetry, String> {
    let known = |id: usize| match table.keypoints.get(id) {
        Some(name) if !name.is_empty() => Ok(id.to_string()),
        _ => Err(format!("there is no keypoint {id}")),
    };
    let mut partners = HashMap::new();
    for [left, right] in table.mirror {
        let (left, right) = (known(left)?, known(right)?);
        let first = partners.insert(left.clone(), right.clone());
        let second = partners.insert(right, left.clone());
        if first.is_some() || second.is_some() {
            return Err(format!("keypoint {left} or its partner has two partners"));
        }
    }
    let mut groups = Vec::new();
    for group in table.groups {
        groups.push(group.into_iter().map(known).collect::<Result<Vec<String>, String>>()?);
    }
    Ok(Symmetry { names: table.keypoints, partners, groups })
}
