//! Runs of bundles on providers, and the lines they give.

use super::{Difference, Report, VerifyArgs, agreement::Agreement, descriptors, golden::Golden};
use crate::Error;
use homolog_core::{
    bundle::{Bundle, Manifest, Precision},
    features::FeatureMap,
    image::Pixels,
};
use homolog_engine::{Engine, EngineConfig, Provider, ProviderChoice};
use serde::Serialize;
use std::{collections::BTreeMap, time::Instant};

/// One line of the answer.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The bundle's id.
    pub bundle: String,
    /// What it is computed in.
    pub precision: Precision,
    /// Length of its files together, bytes.
    pub bytes: u64,
    /// What it ran on.
    pub provider: Provider,
    /// The input's height and width in pixels.
    pub height: u32,
    /// See `height`.
    pub width: u32,
    /// Median time of backbone and head, ms.
    pub milliseconds: f64,
    /// ‖ours − theirs‖ / ‖theirs‖ to the golden tensors or to the first run, where there was something to compare with.
    pub relative_error: Option<f64>,
    /// Cosines to the first run's descriptors, mean and smallest.
    pub cosine_mean: Option<f64>,
    /// See `cosine_mean`.
    pub cosine_min: Option<f64>,
    /// Peak resident memory since the bundle began to load, MiB; the system's figure, absent where it has none.
    pub peak_rss_mib: Option<u64>,
}

/// A provider that is not to be had.
#[derive(Debug, Serialize)]
pub struct Absent {
    /// Which.
    pub provider: Provider,
    /// Why, as a sentence.
    pub reason: String,
}

/// What was run so far.
pub(super) struct Runs<'a> {
    arguments: &'a VerifyArgs,
    rows: Vec<Row>,
    absent: Vec<Absent>,
    against: Option<String>,
    /// The first run's descriptors by side, which later ones are compared with.
    first: BTreeMap<u32, FeatureMap<'static>>,
}

impl<'a> Runs<'a> {
    pub fn new(arguments: &'a VerifyArgs) -> Runs<'a> {
        Runs { arguments, rows: Vec::new(), against: None, absent: Vec::new(), first: BTreeMap::new() }
    }

    pub fn report(self, agreement: Option<Agreement>) -> Report {
        Report { rows: self.rows, against: self.against, absent: self.absent, agreement }
    }

    /// Runs a bundle on every provider at every one of `sides`.
    pub fn at_sides(&mut self, bundle: &Bundle, sides: &[u32]) -> Result<(), Error> {
        let photo = descriptors::picture()?;
        for provider in self.providers() {
            let Some(engine) = self.start(bundle, provider)? else { continue };
            for side in sides {
                let (pixels, _) = bundle.manifest().preparation(*side).prepare(&photo)?;
                let (map, mut row) = self.timed(&engine, bundle.manifest(), &pixels)?;
                match self.first.get(side) {
                    Some(first) => {
                        let Difference { relative_error, cosine_mean, cosine_min } = Difference::of(&map, first)?;
                        row.relative_error = Some(relative_error);
                        (row.cosine_mean, row.cosine_min) = (Some(cosine_mean), Some(cosine_min));
                        let first = self.rows.first();
                        self.against = first.map(|first| format!("{} on {}", first.bundle, first.provider));
                    }
                    None => drop(self.first.insert(*side, map)),
                }
                self.rows.push(row);
            }
        }
        Ok(())
    }

    /// Runs a bundle on every provider on the golden input; a relative error above `tolerance` is an error.
    pub fn against_golden(&mut self, bundle: &Bundle, golden: &Golden, tolerance: f64) -> Result<(), Error> {
        self.against = Some("the golden tensors".into());
        for provider in self.providers() {
            let Some(engine) = self.start(bundle, provider)? else { continue };
            let (map, mut row) = self.timed(&engine, bundle.manifest(), &golden.input)?;
            let error = descriptors::relative_error(map.data(), &golden.expected)?;
            if error.is_nan() || error > tolerance {
                return Err(Error::Failed(format!("relative error {error:.2e} is above {tolerance:.0e}")));
            }
            row.relative_error = Some(error);
            self.rows.push(row);
        }
        Ok(())
    }

    fn providers(&self) -> Vec<ProviderChoice> {
        let second = self.arguments.provider.is_none().then_some(ProviderChoice::Cuda);
        [first_provider(self.arguments)].into_iter().chain(second).collect()
    }

    /// An engine of the bundle; none where nobody asked for CUDA by name and it is not to be had.
    fn start(&mut self, bundle: &Bundle, provider: ProviderChoice) -> Result<Option<Engine>, Error> {
        reset_peak();
        match start(bundle, provider, self.arguments.threads) {
            Err(Error::Engine(homolog_engine::Error::CudaUnavailable { reason }))
                if self.arguments.provider.is_none() =>
            {
                if self.absent.is_empty() {
                    self.absent.push(Absent { provider: Provider::Cuda, reason });
                }
                Ok(None)
            }
            engine => engine.map(Some),
        }
    }

    /// Descriptors of an input, and their line without a comparison.
    fn timed(&self, engine: &Engine, manifest: &Manifest, input: &Pixels) -> Result<(FeatureMap<'static>, Row), Error> {
        let model =
            engine.model(&manifest.id).ok_or_else(|| Error::Failed(format!("{} was not loaded", manifest.id)))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(|error| Error::Failed(format!("no runtime: {error}")))?;
        let mut map = runtime.block_on(engine.describe(model, input.clone()))?;
        let mut times = Vec::new();
        for _ in 0..self.arguments.repeat {
            let start = Instant::now();
            map = runtime.block_on(engine.describe(model, input.clone()))?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        let size = input.size();
        if !map.data().iter().all(|value| value.is_finite()) {
            let place = format!("{}×{} on {}", size.width, size.height, engine.provider());
            return Err(Error::Failed(format!("descriptors of {} at {place} are not finite", manifest.id)));
        }
        let row = Row {
            bundle: manifest.id.clone(),
            precision: manifest.precision,
            bytes: manifest.files.values().map(|file| file.bytes).sum(),
            provider: engine.provider(),
            height: size.height,
            width: size.width,
            milliseconds: times.get(times.len() / 2).copied().unwrap_or(f64::NAN),
            relative_error: None,
            cosine_mean: None,
            cosine_min: None,
            peak_rss_mib: peak_rss_mib(),
        };
        Ok((map, row))
    }
}

/// What the first rows run on.
pub(super) fn first_provider(arguments: &VerifyArgs) -> ProviderChoice {
    arguments.provider.unwrap_or(ProviderChoice::Cpu)
}

/// An engine of one bundle, with one worker.
pub(super) fn start(bundle: &Bundle, provider: ProviderChoice, threads: usize) -> Result<Engine, Error> {
    let config = EngineConfig { provider, workers: 1, threads, queue: 1, ..EngineConfig::default() };
    Ok(Engine::start(&config, vec![bundle.clone()])?)
}

/// The most memory that this process has had so far: `VmHWM` of `/proc/self/status`.
pub(crate) fn peak_rss_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib / 1024)
}

/// Begins the count of `VmHWM` anew; where the system does not allow it, the peak is that of the whole process.
fn reset_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}
