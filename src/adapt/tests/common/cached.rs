//! Images, a source of made-up tokens, and a cache of them.

use homolog_adapt::{
    Error,
    data::{CacheSettings, Inputs, Prepared, Progress, TokenCache, TokenSource, TokenSpec, Tokens},
};
use homolog_core::{features::Dtype, geometry::FitMode};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tempfile::TempDir;

pub const SHAPE: [usize; 2] = [65, 3];
pub const NUMBERS: usize = 65 * 3;

/// Gives tokens that depend on the image's bytes and the flip, and gives up after so many.
pub struct Source {
    pub asked: AtomicUsize,
    pub most: usize,
}

impl Source {
    pub fn new(most: usize) -> Arc<Source> {
        Arc::new(Source { asked: AtomicUsize::new(0), most })
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

pub fn values(image: &Path, flipped: bool) -> Vec<f32> {
    let start = f32::from(fs::read(image).unwrap()[0]) + if flipped { 0.5 } else { 0.0 };
    (0..NUMBERS).map(|index| start + index as f32 / 1024.0).collect()
}

impl TokenSource for Source {
    fn tokens(&self, image: &Path, flipped: bool) -> Result<Tokens, Error> {
        if self.asked.fetch_add(1, Ordering::SeqCst) >= self.most {
            return Err(Error::Compute("killed".into()));
        }
        Ok(Tokens { shape: SHAPE, data: values(image, flipped) })
    }
}

/// Images in a folder, a cache beside them.
pub struct Place {
    pub folder: TempDir,
    pub images: Vec<PathBuf>,
}

impl Place {
    pub fn new(count: u8) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let image = |number: u8| {
            let path = folder.path().join(format!("{number}.png"));
            fs::write(&path, [number]).unwrap();
            path
        };
        let images = (0..count).map(image).collect();
        Place { folder, images }
    }

    pub fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    pub fn views(&self) -> Vec<(&Path, bool)> {
        self.images.iter().flat_map(|image| [(image.as_path(), false), (image.as_path(), true)]).collect()
    }

    pub fn files(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.cache()).unwrap().map(|file| file.unwrap().path());
        files.filter(|file| file.extension().is_some_and(|extension| extension == "safetensors")).collect()
    }
}

pub fn spec() -> TokenSpec {
    TokenSpec {
        backbone: "abc".to_owned(),
        blocks: 10,
        resolution: 80,
        fit: FitMode::Squash,
        shape: SHAPE,
        dtype: Dtype::F32,
    }
}

/// A cache with a bound, and what it had to say.
pub fn open(place: &Place, spec: TokenSpec, bound: u64, source: Arc<Source>) -> (TokenCache, Arc<Mutex<Vec<String>>>) {
    let notices = Arc::new(Mutex::new(Vec::new()));
    let heard = notices.clone();
    let notice = Box::new(move |text: &str| heard.lock().unwrap().push(text.to_owned()));
    let settings = CacheSettings { folder: place.cache(), bound, callers: 2 };
    (TokenCache::open(spec, settings, source, notice).unwrap(), notices)
}

pub fn prepare(cache: &mut TokenCache, views: Vec<(&Path, bool)>) -> Result<Prepared, Error> {
    cache.prepare(views, &|_: Progress| {})
}

pub fn assert_reads(cache: &TokenCache, views: Vec<(&Path, bool)>) {
    for (image, flipped) in views {
        let mut read = vec![0.0; NUMBERS];
        cache.read(image, flipped, &mut read).unwrap();
        assert_eq!(read, values(image, flipped));
    }
}

pub const ROOM: u64 = 1 << 30;
/// At least the bytes of a file.
pub const FILE: u64 = 256 + 4 * NUMBERS as u64;
