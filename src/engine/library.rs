//! Where ONNX Runtime's shared library is looked for.

use crate::Error;
use ort::environment::Environment;
use std::{
    path::{Path, PathBuf},
    sync::Mutex,
};

/// The one environment a process may have, once it is made; an error is not kept, so that a later call may find the library.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// Finds and loads the library, once in a process.
///
/// # Errors
/// [`Error::LibraryNotFound`] with every place that was looked at; [`Error::Library`].
pub fn environment() -> Result<Environment, Error> {
    let mut kept = ENVIRONMENT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(environment) = kept.as_ref() {
        return Ok(environment.clone());
    }
    let path = find()?;
    let wrong = |reason: String| Error::Library { path: path.clone(), reason };
    // `init_from` answers with an error where plain `init` panics.
    let builder = ort::init_from(&path).map_err(|error| wrong(error.to_string()))?;
    let environment =
        builder.with_name("homolog").with_telemetry(false).build().map_err(|error| wrong(error.to_string()))?;
    tracing::info!(library = %path.display(), "ONNX Runtime loaded");
    *kept = Some(environment.clone());
    Ok(environment)
}

/// The library file: `ORT_DYLIB_PATH`, then the executable's folder, `../lib` beside it, `.runtime/` in each folder above it,
/// `.runtime/` here, and the system's library folders.
///
/// # Errors
/// [`Error::LibraryNotFound`].
pub fn find() -> Result<PathBuf, Error> {
    let named = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()).map(PathBuf::from);
    let executable = std::env::current_exe().ok();
    let folders = folders(executable.as_deref());
    let mut looked = Vec::new();
    if let Some(path) = named {
        if path.is_file() {
            return Ok(path);
        }
        // A folder is taken for the folder that holds it; a wrong path is told, never passed over.
        return library_in(&path).ok_or(Error::LibraryNotFound { looked: vec![path] });
    }
    for folder in folders {
        if let Some(library) = library_in(&folder) {
            return Ok(library);
        }
        looked.push(folder);
    }
    Err(Error::LibraryNotFound { looked })
}

fn folders(executable: Option<&Path>) -> Vec<PathBuf> {
    let beside = executable.and_then(Path::parent);
    let mut folders: Vec<PathBuf> = Vec::new();
    if let Some(beside) = beside {
        folders.push(beside.to_path_buf());
        folders.extend(beside.parent().map(|above| above.join("lib")));
        folders.extend(beside.ancestors().map(|above| above.join(".runtime")));
    }
    folders.push(PathBuf::from(".runtime"));
    let system = ["/usr/local/lib", "/usr/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/lib"];
    folders.extend(system.map(PathBuf::from));
    folders
}

/// `libonnxruntime.so`, or the same with a version behind it, as wheels and distributions name it.
fn library_in(folder: &Path) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            name == "libonnxruntime.so" || name.starts_with("libonnxruntime.so.") || name == "libonnxruntime.dylib"
        })
        .collect();
    found.sort();
    found.pop()
}
