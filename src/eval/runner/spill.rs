//! A temporary file of maps that are wanted again and did not fit into memory.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use homolog_core::features::FeatureMap;
use homolog_core::geometry::{Fit, Grid};

use super::Encoded;

/// An unnamed file: the system removes it with the process. Each image is written once, since its maps never change. Whatever
/// goes wrong with it, a full disk say, costs a second encoding and nothing else.
pub(super) struct Spill {
    inner: Mutex<Inner>,
}

struct Inner {
    /// None once it cannot be written any more.
    file: Option<File>,
    end: u64,
    images: HashMap<usize, (u64, Vec<Shape>)>,
}

#[derive(Clone, Copy)]
struct Shape {
    grid: Grid,
    channels: usize,
    fit: Fit,
}

impl Spill {
    pub fn new(folder: &Path) -> Spill {
        let file = tempfile::tempfile_in(folder).ok();
        Spill { inner: Mutex::new(Inner { file, end: 0, images: HashMap::new() }) }
    }

    /// Keeps the maps of an image, if they can be kept.
    pub fn write(&self, image: usize, maps: &[Encoded]) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if !inner.images.contains_key(&image) && inner.append(image, maps).is_err() {
            inner.file = None;
        }
    }

    /// The maps of an image, if they were kept.
    pub fn read(&self, image: usize) -> Option<Vec<Encoded>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).read(image).ok().flatten()
    }
}

impl Inner {
    fn append(&mut self, image: usize, maps: &[Encoded]) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let start = self.end;
        file.seek(SeekFrom::Start(start))?;
        let mut shapes = Vec::with_capacity(maps.len());
        for Encoded { features, fit } in maps {
            let bytes: Vec<u8> = features.data().iter().flat_map(|value| value.to_le_bytes()).collect();
            file.write_all(&bytes)?;
            self.end += bytes.len() as u64;
            shapes.push(Shape { grid: features.grid(), channels: features.channels(), fit: *fit });
        }
        self.images.insert(image, (start, shapes));
        Ok(())
    }

    fn read(&mut self, image: usize) -> io::Result<Option<Vec<Encoded>>> {
        let (Some(file), Some((start, shapes))) = (&mut self.file, self.images.get(&image)) else { return Ok(None) };
        file.seek(SeekFrom::Start(*start))?;
        let mut maps = Vec::with_capacity(shapes.len());
        for Shape { grid, channels, fit } in shapes {
            let mut bytes = vec![0; 4 * grid.len() * channels];
            file.read_exact(&mut bytes)?;
            let values: Vec<f32> = bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            let features = FeatureMap::new(*grid, *channels, values).map_err(io::Error::other)?;
            maps.push(Encoded { features: Arc::new(features), fit: *fit });
        }
        Ok(Some(maps))
    }
}
