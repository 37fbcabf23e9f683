//! Positional debiasing of a bundle: the network is run on a black image, and its head written once more without the
//! directions that position moves there.

use crate::Error;
use homolog_backbone::{PositionBasis, export::Draft};
use homolog_core::{bundle::Bundle, features::FeatureMap, geometry::Size, image::Pixels};
use homolog_engine::{Engine, EngineConfig, ProviderChoice};
use std::{num::NonZeroUsize, path::Path};

/// Takes the `directions` strongest directions in which position moves the draft's descriptors, at its default resolution,
/// out of them.
///
/// # Errors
/// What running a bundle and writing a head meet; a network that shows fewer directions.
pub fn apply(draft: &mut Draft, directions: NonZeroUsize) -> Result<(), Error> {
    let map = black_image(&draft.folder())?;
    let basis = PositionBasis::of_black_image(map.data(), map.channels(), directions.get())?;
    Ok(draft.debias(&basis)?)
}

/// Descriptors of a black image at the default resolution of the bundle in `folder`. The engine is gone when this returns.
fn black_image(folder: &Path) -> Result<FeatureMap<'static>, Error> {
    let bundle = Bundle::open(folder)?;
    let manifest = bundle.manifest().clone();
    // A CPU, whatever there is: the same checkpoint is to give the same bundle.
    let config =
        EngineConfig { provider: ProviderChoice::Cpu, workers: 1, threads: 0, queue: 1, ..EngineConfig::default() };
    let engine = Engine::start(&config, vec![bundle])?;
    let Some(model) = engine.model(&manifest.id) else {
        return Err(Error::Failed(format!("{} was not loaded", manifest.id)));
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|error| Error::Failed(format!("no runtime: {error}")))?;
    let size = Size::new(manifest.default_resolution, manifest.default_resolution);
    let colours = manifest.normalisation.mean.iter().zip(manifest.normalisation.std).map(|(mean, std)| -mean / std);
    let black = colours.flat_map(|colour| vec![colour; size.pixels() as usize]).collect();
    Ok(runtime.block_on(engine.describe(model, Pixels::from_chw(size, black)?))?)
}
