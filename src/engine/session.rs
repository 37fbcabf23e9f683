//! One graph, ready to run.

use crate::{Error, Provider, ProviderChoice, provider};
use ort::{
    environment::Environment,
    session::{RunOptions, Session, SessionInputValue, builder::SessionBuilder},
    value::{DynValue, Tensor, TensorRef},
};
use std::{borrow::Cow, path::Path};

/// Loads `path` for `provider` with `threads` threads; the error is what ONNX Runtime says.
pub(crate) fn load(
    environment: &Environment,
    path: &Path,
    provider: Provider,
    threads: usize,
) -> Result<Session, String> {
    let text = |error: ort::Error<SessionBuilder>| error.to_string();
    let mut builder = SessionBuilder::new(environment)
        .map_err(|error| error.to_string())?
        // Set in any case: the default counts the machine's cores, not the container's.
        .with_intra_threads(threads)
        .map_err(text)?
        // Threads that spin between two runs take a third more CPU for the same latency.
        .with_intra_op_spinning(false)
        .map_err(text)?;
    if provider == Provider::Cuda {
        builder = builder.with_execution_providers([provider::cuda()]).map_err(text)?;
    } else {
        // Packed copies of the weights would not be shared between workers; the mapped files are.
        builder = builder.with_prepacking(false).map_err(text)?;
    }
    builder.commit_from_file(path).map_err(|error| error.to_string())
}

/// Loads a graph of one's own, to be run by one's own thread: a training graph, say. `threads` 0: as many as there are cores.
///
/// # Errors
/// [`Error::CudaUnavailable`] where CUDA was asked for and cannot be had; [`Error::Load`].
pub fn graph(path: &Path, provider: ProviderChoice, threads: usize) -> Result<Session, Error> {
    let environment = crate::library::environment()?;
    let provider = provider.settle(&environment)?;
    let threads = match threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let model = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    load(&environment, path, provider, threads).map_err(|reason| Error::Load { model, path: path.into(), reason })
}

/// Runs a backbone: `image [batch, 3, height, width]` → `tokens`.
pub(crate) fn backbone(
    session: &mut Session,
    image: TensorRef<'_, f32>,
    options: &RunOptions,
) -> Result<DynValue, String> {
    run(session, vec![("image".into(), image.into())], "tokens", options)
}

/// Runs a head: `tokens` and the grid → `descriptors [batch, h, w, channels]`.
pub(crate) fn head(
    session: &mut Session,
    tokens: &DynValue,
    grid: [i64; 2],
    options: &RunOptions,
) -> Result<DynValue, String> {
    let grid = Tensor::from_array(([2usize], grid.to_vec())).map_err(|error| error.to_string())?;
    run(session, vec![("tokens".into(), tokens.into()), ("grid".into(), grid.into())], "descriptors", options)
}

fn run(
    session: &mut Session,
    inputs: Vec<(Cow<'static, str>, SessionInputValue<'_>)>,
    output: &str,
    options: &RunOptions,
) -> Result<DynValue, String> {
    let mut outputs = session.run_with_options(inputs, options).map_err(|error| error.to_string())?;
    outputs.remove(output).ok_or_else(|| format!("the graph has no output called {output}"))
}
