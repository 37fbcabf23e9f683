//! A model bundle: the contract between the program that makes networks and the service that runs them.
//!
//! A bundle is a folder named by its id with a `manifest.json`, `backbone.onnx`, `head.onnx` and their weight files. The
//! manifest says everything the service must know (sizes, feature, fit, resolutions, default matcher, provenance) and the
//! SHA-256 of every file. A bundle that breaks a rule is refused by name and reason; nothing of it is loaded.

mod manifest;
mod preparation;

pub use manifest::{
    Adaptation, AdapterKind, AdapterProvenance, BackboneInfo, Debias, Feature, FileInfo, LoraTarget, Manifest,
    Measurement, Precision, Provenance, SCHEMA,
};
pub use preparation::Preparation;

use crate::Error;
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::Read,
    path::{Component, Path, PathBuf},
};

/// The manifest's file name.
pub const MANIFEST: &str = "manifest.json";
/// The graph from image to tokens.
pub const BACKBONE: &str = "backbone.onnx";
/// The graph from tokens to descriptors.
pub const HEAD: &str = "head.onnx";

/// A manifest longer than this is not one.
const MAX_MANIFEST: u64 = 1 << 20;

/// A bundle whose manifest obeys the rules and whose files are the ones it names.
#[derive(Clone, Debug)]
pub struct Bundle {
    folder: PathBuf,
    manifest: Manifest,
}

impl Bundle {
    /// Reads and checks the bundle in `folder`, every byte of it.
    ///
    /// # Errors
    /// [`Error::Bundle`] with the bundle's name and the first rule it breaks.
    pub fn open(folder: &Path) -> Result<Bundle, Error> {
        let name =
            folder.file_name().map_or_else(|| folder.display().to_string(), |name| name.to_string_lossy().into());
        let refuse = |reason: String| Error::Bundle { id: name.clone(), reason };
        let manifest = read_manifest(folder).map_err(&refuse)?;
        if manifest.id != name {
            return Err(refuse(format!("its manifest gives the id {:?}, its folder is called {name:?}", manifest.id)));
        }
        manifest.check().map_err(&refuse)?;
        check_folder(folder, &manifest).map_err(&refuse)?;
        for (file, info) in &manifest.files {
            check_file(folder, file, info).map_err(&refuse)?;
        }
        Ok(Bundle { folder: folder.to_path_buf(), manifest })
    }

    /// What the manifest says.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The path of `backbone.onnx`.
    pub fn backbone(&self) -> PathBuf {
        self.folder.join(BACKBONE)
    }

    /// The path of `head.onnx`.
    pub fn head(&self) -> PathBuf {
        self.folder.join(HEAD)
    }

    /// What tells this backbone from others: the digests of its graph and of its weights. Bundles with the same key share one
    /// backbone in memory.
    pub fn backbone_key(&self) -> String {
        let digests = self.manifest.files.iter().filter(|(name, _)| name.starts_with("backbone."));
        digests.map(|(name, info)| format!("{name}={}", info.sha256)).collect::<Vec<_>>().join(",")
    }

    /// SHA-256 over the manifest, and so over the digests of all files, without what computes nothing (id, description,
    /// results): bundles with the same digest give the same answers.
    pub fn digest(&self) -> String {
        let computing =
            Manifest { id: String::new(), description: String::new(), results: Vec::new(), ..self.manifest.clone() };
        // `Debug` of plain data cannot fail where a serialiser's signature says that it might
        hex(&Sha256::digest(format!("{computing:?}").as_bytes()))
    }
}

/// Lists `folder`'s bundles by checking each sub-folder that has a manifest, in the order of their names.
///
/// # Errors
/// [`Error::Bundle`] when `folder` itself cannot be read; a bundle that is refused is an entry of the answer, not an error.
pub fn scan(folder: &Path) -> Result<Vec<Result<Bundle, Error>>, Error> {
    let unreadable =
        |error: std::io::Error| Error::Bundle { id: folder.display().to_string(), reason: error.to_string() };
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && path.join(MANIFEST).exists() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders.iter().map(|folder| Bundle::open(folder)).collect())
}

/// SHA-256 of a file, in hexadecimal, and its length in bytes.
///
/// # Errors
/// Whatever reading meets.
pub fn digest_file(path: &Path) -> std::io::Result<FileInfo> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0u8; 1 << 20];
    let mut bytes = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => {
                return Ok(FileInfo { sha256: hex(&hasher.finalize()), bytes });
            }
            read => {
                hasher.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
}

fn read_manifest(folder: &Path) -> Result<Manifest, String> {
    let path = folder.join(MANIFEST);
    // neither a link out of the folder nor a pipe that never ends
    let metadata = std::fs::symlink_metadata(&path).map_err(|error| format!("{MANIFEST}: {error}"))?;
    if !metadata.is_file() {
        return Err(format!("{MANIFEST} is not a plain file"));
    }
    let file = File::open(path).map_err(|error| format!("{MANIFEST}: {error}"))?;
    let mut text = String::new();
    file.take(MAX_MANIFEST + 1).read_to_string(&mut text).map_err(|error| format!("{MANIFEST}: {error}"))?;
    if text.len() as u64 > MAX_MANIFEST {
        return Err(format!("{MANIFEST} is longer than {MAX_MANIFEST} bytes"));
    }
    let deserializer = &mut serde_json::Deserializer::from_str(&text);
    serde_path_to_error::deserialize(deserializer)
        .map_err(|error| format!("{MANIFEST}: {}: {}", error.path(), error.inner()))
}

/// A file that the manifest does not name has no digest, and a graph could still point to it.
fn check_folder(folder: &Path, manifest: &Manifest) -> Result<(), String> {
    for entry in std::fs::read_dir(folder).map_err(|error| error.to_string())? {
        let name = entry.map_err(|error| error.to_string())?.file_name();
        let name = name.to_string_lossy();
        if name != MANIFEST && !manifest.files.contains_key(name.as_ref()) {
            return Err(format!("{name} is in the folder and not among the manifest's files"));
        }
    }
    Ok(())
}

fn check_file(folder: &Path, name: &str, info: &FileInfo) -> Result<(), String> {
    let path = folder.join(name);
    let metadata = std::fs::symlink_metadata(&path).map_err(|error| format!("{name}: {error}"))?;
    if !metadata.is_file() {
        return Err(format!("{name} is not a plain file"));
    }
    if metadata.len() != info.bytes {
        return Err(format!("{name} has {} bytes where the manifest says {}", metadata.len(), info.bytes));
    }
    let found = digest_file(&path).map_err(|error| format!("{name}: {error}"))?;
    if found.sha256 != info.sha256 {
        return Err(format!("{name} has sha256 {} where the manifest says {}", found.sha256, info.sha256));
    }
    Ok(())
}

/// Whether `name` names a neighbour and nothing else: no folder, no parent, no root.
fn is_plain(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!((components.next(), components.next()), (Some(Component::Normal(only)), None) if only == name)
}

/// Bytes in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
