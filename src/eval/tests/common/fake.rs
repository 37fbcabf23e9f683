//! Datasets that are nothing but graphs, and an encoder without a network.

#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use homolog_core::features::FeatureMap;
use homolog_core::geometry::{Fit, FitMode, Point, Size};
use homolog_eval::Dataset;
use homolog_eval::dataset::{Bounds, Category, Difficulty, Image, Keypoint, Pair};
use homolog_eval::pck::Threshold;
use homolog_eval::runner::{Cancel, EncodeError, Encoded, Encoder};

/// Images `0..images` and these pairs among them, with two keypoints each.
pub fn graph(images: usize, edges: &[(usize, usize)]) -> Dataset {
    let size = Size::new(56, 42);
    let keypoints = |n: usize| -> Vec<Keypoint> {
        let at = |k: usize| Point::new(((n * 7 + k * 23) % 56) as f64, ((n * 5 + k * 11) % 42) as f64);
        (0..2).map(|k| Keypoint { id: k.to_string(), source: at(k), target: at(k + 2) }).collect()
    };
    let pairs = edges.iter().enumerate().map(|(n, &(source, target))| Pair {
        id: format!("{n}-{source}-{target}"),
        source,
        target,
        category: 0,
        keypoints: keypoints(n),
        source_box: None,
        target_box: Bounds::from_corners([0.0, 0.0, 40.0, 30.0]),
        difficulty: Difficulty::default(),
        target_visible: None,
    });
    Dataset {
        name: "graph".into(),
        images: (0..images).map(|n| Image { path: format!("{n}.png").into(), size }).collect(),
        categories: vec![Category { name: "all".into(), symmetry: None }],
        pairs: pairs.collect(),
        problems: Vec::new(),
        listed: edges.len(),
        threshold: Threshold::Box,
    }
}

/// All ordered pairs of several groups of images.
pub fn cliques(groups: &[usize]) -> (usize, Vec<(usize, usize)>) {
    let mut edges = Vec::new();
    let mut first = 0;
    for &size in groups {
        let all = first..first + size;
        edges.extend(all.clone().flat_map(|a| all.clone().map(move |b| (a, b))).filter(|(a, b)| a != b));
        first += size;
    }
    (first, edges)
}

/// Maps that depend on the image's name and the model alone; counts what it is asked for and what is still held of it.
#[derive(Default)]
pub struct Fake {
    pub models: usize,
    pub calls: AtomicUsize,
    /// How often each image was encoded, by path.
    pub encoded: Mutex<HashMap<String, usize>>,
    pub held: Mutex<Vec<Weak<FeatureMap<'static>>>>,
    /// Most bytes of maps that were alive at a time.
    pub most_held: AtomicUsize,
    /// How long an image takes at least.
    pub pause: Duration,
    /// How long all images took, in microseconds.
    pub spent: AtomicUsize,
}

/// Bytes of one of its maps: 4 × 4 tokens of 8 channels.
pub const MAP: u64 = 4 * 4 * 8 * 4;

impl Fake {
    pub fn new(models: usize) -> Fake {
        Fake { models, ..Fake::default() }
    }

    fn map(&self, image: &Image, model: usize) -> Encoded {
        let fit = Fit::new(FitMode::Squash, image.size, 56, 14).unwrap();
        let mut state = image.path.to_string_lossy().bytes().fold(model as u64 + 1, |state, byte| {
            (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3).rotate_left(17)
        });
        let mut number = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 40) as f32) / 8_388_608.0 - 1.0
        };
        let values: Vec<f32> = (0..4 * 4 * 8).map(|_| number()).collect();
        let features = Arc::new(FeatureMap::new(fit.grid(), 8, values).unwrap());
        self.held.lock().unwrap().push(Arc::downgrade(&features));
        Encoded { features, fit }
    }
}

impl Encoder for Fake {
    fn models(&self) -> usize {
        self.models
    }

    fn bytes(&self, _: &Image, models: &[usize]) -> u64 {
        MAP * models.len() as u64
    }

    fn encode(&self, image: &Image, models: &[usize], _: &Cancel) -> Result<Vec<Encoded>, EncodeError> {
        let start = Instant::now();
        std::thread::sleep(self.pause);
        self.calls.fetch_add(1, Ordering::Relaxed);
        *self.encoded.lock().unwrap().entry(image.path.to_string_lossy().into_owned()).or_insert(0) += 1;
        let maps = models.iter().map(|model| self.map(image, *model)).collect();
        let mut held = self.held.lock().unwrap();
        held.retain(|map| map.strong_count() > 0);
        self.most_held.fetch_max(held.len() * MAP as usize, Ordering::Relaxed);
        self.spent.fetch_add(start.elapsed().as_micros() as usize, Ordering::Relaxed);
        Ok(maps)
    }
}
