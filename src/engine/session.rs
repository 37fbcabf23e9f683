//! One graph, ready to run.

use crate::{
    Error, ProviderChoice,
    plan::{Place, Plan},
};
use homolog_core::image::Pixels;
use ort::{
    environment::Environment,
    memory::Allocator,
    session::{RunOptions, Session, SessionInputValue, builder::SessionBuilder},
    value::{DynValue, Tensor, TensorRef},
};
use std::{borrow::Cow, path::Path};

/// Loads `path` as planned; the error is what ONNX Runtime says.
pub(crate) fn load(environment: &Environment, path: &Path, plan: &Plan) -> Result<Session, String> {
    let text = |error: ort::Error<SessionBuilder>| error.to_string();
    let mut builder = SessionBuilder::new(environment)
        .map_err(|error| error.to_string())?
        // Set in any case: the default counts the machine's cores, not the container's.
        .with_intra_threads(plan.threads)
        .map_err(text)?
        .with_intra_op_spinning(plan.spinning)
        .map_err(text)?
        .with_prepacking(plan.prepacking)
        .map_err(text)?;
    if let Some(provider) = plan.execution_provider() {
        builder = builder.with_execution_providers([provider]).map_err(text)?;
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
    // a graph that runs alone has all cores
    let threads = if threads > 0 { threads } else { crate::cores() };
    let plan = Plan::new(provider, crate::cores(), 1, threads, 1);
    let model = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    load(&environment, path, &plan).map_err(|reason| Error::Load { model, path: path.into(), reason })
}

/// Images of one size as a backbone's input, `[batch, 3, height, width]`, in memory at `place`. Where nothing is bound, one image alone is
/// taken where it lies. What is bound must own its memory: of a borrowed tensor on a session's own device ort's `bind_input` makes a
/// copy, and does so under a lock that the copying takes again (2.0.0-rc.15).
pub(crate) fn image<'p>(
    session: &Session,
    images: &[&'p Pixels],
    place: Place,
) -> Result<SessionInputValue<'p>, String> {
    let text = |error: ort::Error| error.to_string();
    let size = images.first().ok_or("there is no image")?.size();
    let shape = [images.len(), 3, size.height as usize, size.width as usize];
    match (place.memory()?, images) {
        (None, [only]) => Ok(TensorRef::from_array_view((shape, only.data())).map_err(text)?.into()),
        (None, several) => {
            let data: Vec<f32> = several.iter().flat_map(|image| image.data()).copied().collect();
            Ok(Tensor::from_array((shape, data)).map_err(text)?.into())
        }
        (Some(memory), images) => {
            let allocator = Allocator::new(session, memory).map_err(text)?;
            let mut tensor = Tensor::<f32>::new(&allocator, shape).map_err(text)?;
            let (_, data) = tensor.try_extract_tensor_mut::<f32>().map_err(text)?;
            let each = data.len() / images.len();
            for (into, image) in data.chunks_exact_mut(each.max(1)).zip(images) {
                into.copy_from_slice(image.data());
            }
            Ok(tensor.into())
        }
    }
}

/// Runs a backbone: an [`image`] → `tokens`, left at `place`.
pub(crate) fn backbone(
    session: &mut Session,
    image: SessionInputValue<'_>,
    place: Place,
    options: &RunOptions,
) -> Result<DynValue, String> {
    run(session, vec![("image".into(), image)], "tokens", place, options)
}

/// Runs a head: `tokens` and the grid → `descriptors [batch, h, w, channels]`, left at `place`.
pub(crate) fn head(
    session: &mut Session,
    tokens: &DynValue,
    grid: [i64; 2],
    place: Place,
    options: &RunOptions,
) -> Result<DynValue, String> {
    let grid = Tensor::from_array(([2usize], grid.to_vec())).map_err(|error| error.to_string())?;
    run(session, vec![("tokens".into(), tokens.into()), ("grid".into(), grid.into())], "descriptors", place, options)
}

fn run(
    session: &mut Session,
    inputs: Vec<(Cow<'static, str>, SessionInputValue<'_>)>,
    output: &str,
    place: Place,
    options: &RunOptions,
) -> Result<DynValue, String> {
    let text = |error: ort::Error| error.to_string();
    let missing = || format!("the graph has no output called {output}");
    let Some(memory) = place.memory()? else {
        return session.run_with_options(inputs, options).map_err(text)?.remove(output).ok_or_else(missing);
    };
    let mut binding = session.create_binding().map_err(text)?;
    for (name, input) in &inputs {
        binding.bind_input(name.as_ref(), &**input).map_err(text)?;
    }
    // copies to a device may still be under way
    binding.synchronize_inputs().map_err(text)?;
    binding.bind_output_to_device(output, &memory).map_err(text)?;
    session.run_binding_with_options(&binding, options).map_err(text)?.remove(output).ok_or_else(missing)
}
