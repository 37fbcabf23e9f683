//! `homolog-train verify`: a bundle's files, its graphs at every resolution, and, by option, its descriptors against those
//! of another implementation.

use crate::Error;
use clap::Args;
use homolog_core::{
    bundle::{Bundle, Feature, Manifest},
    features::FeatureMap,
    geometry::Size,
    image::Pixels,
};
use homolog_engine::{Engine, EngineConfig, Model, ProviderChoice};
use safetensors::SafeTensors;
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    time::Instant,
};

/// Checks a bundle.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// The bundle folder.
    pub bundle: PathBuf,
    /// Tensors `input` [1, 3, H, W] and `prenorm`, `postnorm` or `neck` [1, h, w, C] of another implementation (safetensors): the
    /// descriptors are compared with them instead of being run on grey images.
    #[arg(long)]
    pub golden: Option<PathBuf>,
    /// The largest relative error ‖ours − theirs‖ / ‖theirs‖ that passes.
    #[arg(long, default_value_t = 1e-4)]
    pub tolerance: f64,
    /// What to run on: auto, cpu or cuda.
    #[arg(long, default_value_t = ProviderChoice::Auto)]
    pub provider: ProviderChoice,
    /// Threads of the session [default: the cores there are].
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// Timed runs after one to warm up; the median is shown.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: u32,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// One line of the answer.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The input's height and width in pixels.
    pub height: u32,
    /// See `height`.
    pub width: u32,
    /// What it ran on.
    pub provider: String,
    /// Median time of backbone and head, ms.
    pub milliseconds: f64,
    /// ‖ours − theirs‖ / ‖theirs‖, where there was something to compare with.
    pub relative_error: Option<f64>,
    /// The process's peak resident memory so far, MiB; the system's figure, absent where it has none.
    pub peak_rss_mib: Option<u64>,
}

/// Runs `verify`.
///
/// # Errors
/// A bundle that is refused, a graph that does not run, descriptors that are not finite or too far from the golden ones.
pub fn run(arguments: &VerifyArgs) -> Result<Vec<Row>, Error> {
    let bundle = Bundle::open(&arguments.bundle)?;
    let manifest = bundle.manifest().clone();
    let config = EngineConfig { provider: arguments.provider, workers: 1, threads: arguments.threads, queue: 1 };
    let engine = Engine::start(&config, vec![bundle])?;
    let Some(model) = engine.model(&manifest.id) else {
        return Err(Error::Failed(format!("{} was not loaded", manifest.id)));
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|error| Error::Failed(format!("no runtime: {error}")))?;

    let mut rows = Vec::new();
    if let Some(path) = &arguments.golden {
        let golden = Golden::read(path, &manifest)?;
        let (map, milliseconds) = timed(&runtime, &engine, model, &golden.input, arguments.repeat)?;
        let error = relative_error(map.data(), &golden.expected)?;
        rows.push(row(&engine, golden.input.size(), milliseconds, Some(error)));
        if error.is_nan() || error > arguments.tolerance {
            return Err(Error::Failed(format!("relative error {error:.2e} is above {:.0e}", arguments.tolerance)));
        }
        return Ok(rows);
    }
    for side in &manifest.resolutions {
        let size = Size::new(*side, *side);
        let grey = Pixels::from_chw(size, vec![0.25; 3 * size.pixels() as usize])?;
        let (map, milliseconds) = timed(&runtime, &engine, model, &grey, arguments.repeat)?;
        if !map.data().iter().all(|value| value.is_finite()) {
            return Err(Error::Failed(format!("descriptors at {side} are not finite")));
        }
        rows.push(row(&engine, size, milliseconds, None));
    }
    Ok(rows)
}

/// `‖ours − theirs‖ / ‖theirs‖`, summed in double precision.
///
/// # Errors
/// When the lengths differ.
pub fn relative_error(ours: &[f32], theirs: &[f32]) -> Result<f64, Error> {
    if ours.len() != theirs.len() {
        return Err(Error::Failed(format!("{} values against {}", ours.len(), theirs.len())));
    }
    let square = |value: f64| value * value;
    let difference: f64 = ours.iter().zip(theirs).map(|(a, b)| square(f64::from(*a) - f64::from(*b))).sum();
    let norm: f64 = theirs.iter().map(|value| square(f64::from(*value))).sum();
    Ok((difference / norm).sqrt())
}

fn timed(
    runtime: &tokio::runtime::Runtime,
    engine: &Engine,
    model: &Model,
    input: &Pixels,
    repeat: u32,
) -> Result<(FeatureMap<'static>, f64), Error> {
    let mut map = runtime.block_on(engine.describe(model, input.clone()))?;
    let mut times = Vec::new();
    for _ in 0..repeat {
        let start = Instant::now();
        map = runtime.block_on(engine.describe(model, input.clone()))?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok((map, times.get(times.len() / 2).copied().unwrap_or(f64::NAN)))
}

fn row(engine: &Engine, size: Size, milliseconds: f64, relative_error: Option<f64>) -> Row {
    let Size { width, height } = size;
    Row {
        height,
        width,
        provider: engine.provider().to_string(),
        milliseconds,
        relative_error,
        peak_rss_mib: peak_rss_mib(),
    }
}

/// `VmHWM` of `/proc/self/status`.
fn peak_rss_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib / 1024)
}

struct Golden {
    input: Pixels,
    expected: Vec<f32>,
}

impl Golden {
    fn read(path: &Path, manifest: &Manifest) -> Result<Golden, Error> {
        let wrong = |reason: String| Error::File { path: path.into(), reason };
        let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|error| wrong(error.to_string()))?;
        let tensor = |name: &str| -> Result<(Vec<usize>, Vec<f32>), Error> {
            let view = tensors.tensor(name).map_err(|error| wrong(format!("{name}: {error}")))?;
            if view.dtype() != safetensors::Dtype::F32 {
                return Err(wrong(format!("{name} is {:?}, not F32", view.dtype())));
            }
            let values = view.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            Ok((view.shape().to_vec(), values))
        };
        let (shape, input) = tensor("input")?;
        let [1, 3, height, width] = shape[..] else {
            return Err(wrong(format!("input is {shape:?}, not [1, 3, H, W]")));
        };
        let (_, expected) = tensor(match manifest.feature {
            Feature::PreNorm => "prenorm",
            Feature::PostNorm => "postnorm",
            Feature::Neck => "neck",
        })?;
        let input = Pixels::from_chw(Size::new(width as u32, height as u32), input)?;
        Ok(Golden { input, expected })
    }
}
