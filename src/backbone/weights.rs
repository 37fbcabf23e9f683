//! The weights of one network under one set of names, wherever the checkpoint kept them.

use crate::{Error, checkpoint::Checkpoint, checkpoint::Tensor};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

/// Where a weight lies in the checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The tensor's name there.
    pub name: String,
    /// Its whole shape there.
    pub shape: Vec<usize>,
    /// The rows to take of it, where several weights share a tensor (q, k and v in `attn.qkv`).
    pub rows: Option<Range<usize>>,
}

impl Source {
    /// A whole tensor.
    pub fn whole(name: impl Into<String>, shape: &[usize]) -> Source {
        Source { name: name.into(), shape: shape.to_vec(), rows: None }
    }

    /// One of several weights that lie one below the other in a tensor: the `index`-th of `count`, each of `shape`.
    pub fn part(name: impl Into<String>, shape: &[usize], (index, count): (usize, usize)) -> Source {
        let mut source = Source::whole(name, shape);
        if let (Some(rows), true) = (source.shape.first_mut(), count > 1) {
            source.rows = Some(index * *rows..(index + 1) * *rows);
            *rows *= count;
        }
        source
    }

    /// The weight's own shape, of its rows alone.
    fn own_shape(&self) -> Vec<usize> {
        let rows = self.rows.iter().map(ExactSizeIterator::len);
        rows.chain(self.shape.iter().skip(usize::from(self.rows.is_some())).copied()).collect()
    }
}

/// Finds out which of a family's namings a checkpoint uses, and what stands before its names: "model." around checkpoints of
/// fine-tuning, "teacher.backbone." in those of pre-training. Of each naming, two names that tell it apart, the most telling
/// naming first.
///
/// # Errors
/// [`Error::UnknownNaming`].
pub(crate) fn naming<'a, N: Copy>(
    checkpoint: &'a Checkpoint,
    network: &str,
    telling: &[(&str, &str, N)],
) -> Result<(&'a str, N), Error> {
    for (first, second, naming) in telling {
        let prefixes = checkpoint.shapes().keys().filter_map(|name| name.strip_suffix(first));
        let mut fitting = prefixes.filter(|prefix| checkpoint.shapes().contains_key(&format!("{prefix}{second}")));
        if let Some(prefix) = fitting.next() {
            return Ok((prefix, *naming));
        }
    }
    let found: Vec<&str> = checkpoint.shapes().keys().take(5).map(String::as_str).collect();
    Err(Error::UnknownNaming {
        network: network.into(),
        tried: telling.iter().map(|(_, second, _)| *second).collect::<Vec<_>>().join(" nor "),
        found: if found.is_empty() { "none".into() } else { found.join(", ") },
    })
}

/// A checkpoint seen through one family's names for its weights.
pub struct Weights<'a> {
    checkpoint: &'a Checkpoint,
    prefix: String,
    sources: BTreeMap<String, Source>,
    /// What takes the place of the checkpoint's.
    overrides: BTreeMap<String, Tensor>,
    /// Those read so far, by the family's names.
    read: RefCell<BTreeSet<String>>,
    watch: Option<Box<Watch<'a>>>,
}

/// Hears how many weights were read, of how many.
type Watch<'a> = dyn Fn(usize, usize) + 'a;

impl<'a> Weights<'a> {
    /// Checks that the checkpoint holds exactly the tensors of `sources`, whose names there begin with `prefix` (the path to
    /// the network inside a larger checkpoint). Tensors outside the prefix, and those in `ignored`, are left alone.
    ///
    /// # Errors
    /// [`Error::Mismatch`] with every missing, unexpected or misshapen tensor.
    pub fn resolve(
        checkpoint: &'a Checkpoint,
        network: &str,
        prefix: &str,
        sources: BTreeMap<String, Source>,
        ignored: &[&str],
    ) -> Result<Weights<'a>, Error> {
        let wanted: BTreeMap<&str, &[usize]> =
            sources.values().map(|source| (source.name.as_str(), source.shape.as_slice())).collect();
        let found: BTreeMap<&str, &[usize]> = checkpoint
            .shapes()
            .iter()
            .filter_map(|(name, shape)| Some((name.strip_prefix(prefix)?, shape.as_slice())))
            .collect();
        let missing: Vec<String> =
            wanted.keys().filter(|name| !found.contains_key(*name)).map(|name| format!("{prefix}{name}")).collect();
        let extra: Vec<String> = found
            .keys()
            .filter(|name| !wanted.contains_key(*name) && !ignored.contains(name))
            .map(|name| format!("{prefix}{name}"))
            .collect();
        let misshapen: Vec<String> = wanted
            .iter()
            .filter_map(|(name, wanted)| {
                found.get(name).filter(|found| found != &wanted).map(|found| (name, found, wanted))
            })
            .map(|(name, found, wanted)| format!("{prefix}{name} is {found:?}, not {wanted:?}"))
            .collect();
        if missing.is_empty() && extra.is_empty() && misshapen.is_empty() {
            let prefix = prefix.into();
            let overrides = BTreeMap::new();
            return Ok(Weights { checkpoint, prefix, sources, overrides, read: RefCell::default(), watch: None });
        }
        Err(Error::Mismatch { network: network.into(), missing, extra, misshapen })
    }

    /// Whether the network has a weight that the family calls `name`.
    pub fn has(&self, name: &str) -> bool {
        self.sources.contains_key(name)
    }

    /// The family's names for the network's weights, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.sources.keys().map(String::as_str)
    }

    /// The same network with some weights trained or merged, by the family's names: they take the place of the checkpoint's, and
    /// of what took their place before.
    ///
    /// # Errors
    /// [`Error::Tensor`] for a name that is none of the network's and for another shape than the weight's.
    pub fn with(mut self, overrides: BTreeMap<String, Tensor>) -> Result<Weights<'a>, Error> {
        for (name, tensor) in &overrides {
            let wanted = self.source(name)?.own_shape();
            if tensor.shape != wanted {
                let reason = format!("it is {:?}, not {wanted:?}", tensor.shape);
                return Err(Error::Tensor { name: name.clone(), reason });
            }
        }
        self.overrides.extend(overrides);
        Ok(self)
    }

    /// The network's weights as they are, in the naming of the checkpoint: what this gives is a checkpoint of the same kind. q, k
    /// and v lie in one tensor again where they did; rows that no weight reads (DINOv3's bias of k) are zero.
    ///
    /// # Errors
    /// As [`Weights::get`].
    pub fn checkpoint(&self) -> Result<BTreeMap<String, Tensor>, Error> {
        let mut tensors = BTreeMap::new();
        for (name, source) in &self.sources {
            let weight = self.get(name)?;
            let theirs = format!("{}{}", self.prefix, source.name);
            let Some(rows) = &source.rows else {
                tensors.insert(theirs, weight);
                continue;
            };
            let zeros = || Tensor { shape: source.shape.clone(), data: vec![0.0; source.shape.iter().product()] };
            let width: usize = source.shape[1..].iter().product();
            let whole = tensors.entry(theirs).or_insert_with(zeros);
            whole.data[rows.start * width..rows.end * width].copy_from_slice(&weight.data);
        }
        Ok(tensors)
    }

    /// Calls `watch` for every weight that is read for the first time, with how many were read and how many there are.
    pub fn watched(self, watch: impl Fn(usize, usize) + 'a) -> Weights<'a> {
        Weights { watch: Some(Box::new(watch)), ..self }
    }

    /// Reads the weight that the family calls `name`. What is not read is not looked at: DINOv3's files may hold NaN where a
    /// mask takes the place of a bias.
    ///
    /// # Errors
    /// [`Error::Tensor`] when its data is damaged; [`Error::NotFinite`].
    pub fn get(&self, name: &str) -> Result<Tensor, Error> {
        let source = self.source(name)?;
        let theirs = format!("{}{}", self.prefix, source.name);
        let tensor = match (self.overrides.get(name), &source.rows) {
            (Some(tensor), _) => tensor.clone(),
            (None, Some(rows)) => self.checkpoint.read(&theirs)?.rows(rows.clone()),
            (None, None) => self.checkpoint.read(&theirs)?,
        };
        if let Some(&value) = tensor.data.iter().find(|value| !value.is_finite()) {
            return Err(Error::NotFinite { name: theirs, value });
        }
        if let Some(watch) = &self.watch {
            let mut read = self.read.borrow_mut();
            if read.insert(name.into()) {
                watch(read.len(), self.sources.len());
            }
        }
        Ok(tensor)
    }

    fn source(&self, name: &str) -> Result<&Source, Error> {
        self.sources
            .get(name)
            .ok_or_else(|| Error::Tensor { name: name.into(), reason: "the family has no weight of this name".into() })
    }
}
