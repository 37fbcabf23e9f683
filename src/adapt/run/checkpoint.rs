//! Checkpoints: safetensors files of the parameters and what the optimiser remembers, with the state of the run as metadata.
//!
//! Tensors are `parameters.NAME`, `first.NAME` and `second.NAME`. The metadata `homolog` is JSON: [`State`] and a SHA-256 over the
//! tensors, since safetensors has no checksum. No clock is in it: the same run writes the same bytes.

use super::file;
use crate::{AdamW, Error, Parameters};
use homolog_core::bundle::hex;
use safetensors::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
};

const METADATA: &str = "homolog";

/// Where a run stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Steps done.
    pub step: u64,
    /// Steps of one pass over the pairs: a run goes on only with as many.
    pub steps_per_epoch: u64,
    /// The best validation so far.
    pub best: Option<Best>,
    /// Validations since then.
    pub stale: u64,
    /// SHA-256 of the run's configuration.
    pub config: String,
}

/// The best validation of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// Steps done before it.
    pub step: u64,
    /// Its PCK per image, 0 to 1, at the α that decides.
    pub pck: f64,
}

#[derive(Serialize, Deserialize)]
struct Metadata {
    state: State,
    sha256: String,
}

/// What a checkpoint holds.
#[derive(Debug)]
pub struct Checkpoint {
    /// Where the run stood.
    pub state: State,
    path: PathBuf,
    tensors: HashMap<String, (Vec<usize>, Vec<f32>)>,
}

/// Writes a checkpoint; with the optimiser's moments where a run is to go on from it.
pub(crate) fn write(
    path: &Path,
    state: &State,
    parameters: &Parameters,
    optimiser: Option<&AdamW>,
) -> Result<(), Error> {
    let mut tensors = BTreeMap::new();
    for (index, parameter) in parameters.iter().enumerate() {
        let shape = parameter.shape.as_slice();
        tensors.insert(format!("parameters.{}", parameter.name), Values { shape, data: &parameter.data });
        if let Some(AdamW { first, second, .. }) = optimiser {
            tensors.insert(format!("first.{}", parameter.name), Values { shape, data: &first[index] });
            tensors.insert(format!("second.{}", parameter.name), Values { shape, data: &second[index] });
        }
    }
    let sha256 = digest(tensors.iter().map(|(name, values)| (name.as_str(), values.data())));
    let bytes = serde_json::to_string(&Metadata { state: state.clone(), sha256 })
        .map_err(|error| error.to_string())
        .and_then(|json| {
            safetensors::serialize(tensors, Some(HashMap::from([(METADATA.into(), json)])))
                .map_err(|error| error.to_string())
        })
        .map_err(|reason| Error::Checkpoint { path: path.into(), reason })?;
    file::replace(path, &bytes)
}

impl Checkpoint {
    /// Reads and checks a checkpoint.
    ///
    /// # Errors
    /// [`Error::File`] where it cannot be read, [`Error::Checkpoint`] where it is torn or another program's.
    pub fn read(path: &Path) -> Result<Checkpoint, Error> {
        let bytes = fs::read(path).map_err(Error::file(path))?;
        let reject = |reason: String| Error::Checkpoint { path: path.into(), reason };
        let torn = |detail: &str| {
            reject(format!(
                "the checkpoint is torn ({detail}); put a whole copy in its place, or begin again in another folder"
            ))
        };
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| torn(&error.to_string()))?;
        let json = header.metadata().as_ref().and_then(|metadata| metadata.get(METADATA));
        let json = json.ok_or_else(|| reject("a safetensors file, but no checkpoint of this program".into()))?;
        let Metadata { state, sha256 } = serde_json::from_str(json)
            .map_err(|error| reject(format!("a checkpoint of another version of this program ({error})")))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| torn(&error.to_string()))?;
        let views: BTreeMap<_, _> = file.iter().collect();
        if digest(views.iter().map(|(&name, view)| (name, Cow::Borrowed(view.data())))) != sha256 {
            return Err(torn("its tensors are not those that were written"));
        }
        let tensors = views.iter().map(|(&name, view)| {
            let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            (name.to_owned(), (view.shape().to_vec(), values.collect()))
        });
        Ok(Checkpoint { state, path: path.into(), tensors: tensors.collect() })
    }

    /// Gives the parameters the values that they had.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] names the first whose name or shape is not in the file.
    pub fn restore(&self, parameters: &mut Parameters) -> Result<(), Error> {
        let values: Vec<_> = parameters
            .iter()
            .map(|parameter| self.values("parameters", &parameter.name, &parameter.shape))
            .collect::<Result<_, _>>()?;
        parameters.iter_mut().zip(values).for_each(|(parameter, values)| parameter.data.copy_from_slice(values));
        Ok(())
    }

    /// Gives the optimiser of these parameters what it remembered.
    pub(crate) fn restore_moments(&self, optimiser: &mut AdamW, parameters: &Parameters) -> Result<(), Error> {
        optimiser.step = self.state.step;
        let moments = optimiser.first.iter_mut().zip(&mut optimiser.second);
        for (parameter, (first, second)) in parameters.iter().zip(moments) {
            first.copy_from_slice(self.values("first", &parameter.name, &parameter.shape)?);
            second.copy_from_slice(self.values("second", &parameter.name, &parameter.shape)?);
        }
        Ok(())
    }

    fn values(&self, part: &str, name: &str, shape: &[usize]) -> Result<&[f32], Error> {
        let reject = |reason| Error::Checkpoint { path: self.path.clone(), reason };
        match self.tensors.get(&format!("{part}.{name}")) {
            Some((found, values)) if found == shape => Ok(values),
            Some((found, _)) => {
                Err(reject(format!("{part}.{name} has the shape {found:?}, the network's is {shape:?}")))
            }
            None => Err(reject(format!("it has no {part}.{name}: a checkpoint of another network or adaptation"))),
        }
    }
}

/// SHA-256 over names and bytes, in the order of the names.
fn digest<'a>(tensors: impl Iterator<Item = (&'a str, Cow<'a, [u8]>)>) -> String {
    let mut sha256 = Sha256::new();
    for (name, bytes) in tensors {
        sha256.update((name.len() as u64).to_le_bytes());
        sha256.update(name);
        sha256.update((bytes.len() as u64).to_le_bytes());
        sha256.update(&bytes);
    }
    hex(&sha256.finalize())
}

struct Values<'a> {
    shape: &'a [usize],
    data: &'a [f32],
}

impl View for Values<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.data.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>().into()
    }

    fn data_len(&self) -> usize {
        self.data.len() * 4
    }
}
