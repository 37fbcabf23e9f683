//! Descriptors of images that were asked for before: bounded in bytes, and made once for all who ask at the same time.

use half::{f16, slice::HalfFloatSliceExt};
use homolog_core::{
    features::FeatureMap,
    geometry::{Fit, FitMode, Grid},
};
use std::{
    collections::HashSet,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// All that an image's descriptors depend on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// SHA-256 of its file.
    pub image: [u8; 32],
    /// The digest of the bundle.
    pub bundle: Arc<str>,
    /// Side of the network's input, px.
    pub resolution: u32,
    /// How the image is brought there.
    pub fit: FitMode,
}

/// An image's descriptors and where they lie in it.
#[derive(Clone, Debug)]
pub struct Cached {
    /// `[h, w, channels]`, as the head gave them; rounded to half precision if the cache keeps them so.
    pub features: Arc<FeatureMap<'static>>,
    /// How the image was brought onto the network's canvas.
    pub fit: Fit,
}

/// How many bytes are kept, and what became of requests for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStatistics {
    /// Found, or made by another request that was under way.
    pub hits: u64,
    /// Made.
    pub misses: u64,
    /// Bytes that are kept.
    pub bytes: u64,
    /// Images that are kept, for each model and resolution.
    pub entries: u64,
}

/// A cache of descriptors. What was used longest ago goes first.
pub struct DescriptorCache {
    entries: moka::future::Cache<Key, Entry>,
    half: bool,
    flights: Mutex<HashSet<Key>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// Descriptors that are being made; no longer when this is dropped.
struct Flight<'a> {
    of: &'a DescriptorCache,
    key: Key,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        lock(&self.of.flights).remove(&self.key);
    }
}

/// The set is whole between any two statements.
fn lock(flights: &Mutex<HashSet<Key>>) -> MutexGuard<'_, HashSet<Key>> {
    flights.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone)]
struct Entry {
    numbers: Numbers,
    fit: Fit,
}

#[derive(Clone)]
enum Numbers {
    Single(Arc<FeatureMap<'static>>),
    Half { grid: Grid, channels: usize, data: Arc<[f16]> },
}

impl DescriptorCache {
    /// A cache of `bytes`; 0 keeps nothing. `half`: in half precision, twice as many, whose digits beyond the third are lost.
    pub fn new(bytes: u64, half: bool) -> DescriptorCache {
        // moka's weights are 32 bits, so entries are weighed in KiB
        let entries = moka::future::Cache::builder()
            .max_capacity(bytes.div_ceil(KIB))
            .weigher(|_, entry: &Entry| u32::try_from(entry.bytes().div_ceil(KIB)).unwrap_or(u32::MAX))
            .eviction_policy(moka::policy::EvictionPolicy::lru())
            .build();
        let flights = Mutex::default();
        DescriptorCache { entries, half, flights, hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    /// The descriptors, made by `make` unless they are kept or being made: then the answer of that flight is taken. A flight whose
    /// caller goes away is taken over by one who waits. Errors are not kept.
    ///
    /// # Errors
    /// Those of `make`, to all who waited for it.
    pub async fn get_or_make<E: Clone + Send + Sync + 'static>(
        &self,
        key: Key,
        make: impl Future<Output = Result<(FeatureMap<'static>, Fit), E>>,
    ) -> Result<Cached, E> {
        let of_flight = key.clone();
        let make = async {
            lock(&self.flights).insert(of_flight.clone());
            let _flight = Flight { of: self, key: of_flight };
            let (features, fit) = make.await?;
            Ok(Entry { numbers: Numbers::new(features, self.half), fit })
        };
        let entry = self.entries.entry(key).or_try_insert_with(make).await;
        let entry = entry.map_err(|error: Arc<E>| (*error).clone())?;
        let counter = if entry.is_fresh() { &self.misses } else { &self.hits };
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(entry.into_value().cached())
    }

    /// Whether the descriptors are kept, or being made.
    pub fn has(&self, key: &Key) -> bool {
        self.entries.contains_key(key) || lock(&self.flights).contains(key)
    }

    /// Forgets an image.
    pub async fn forget(&self, image: &[u8; 32]) {
        let image = *image;
        let keys: Vec<Arc<Key>> =
            self.entries.iter().filter(|(key, _)| key.image == image).map(|(key, _)| key).collect();
        for key in keys {
            self.entries.invalidate(&*key).await;
        }
    }

    /// What was done so far, and what is kept now.
    pub async fn statistics(&self) -> CacheStatistics {
        // counts are brought up to date by maintenance, which otherwise waits for the next use
        self.entries.run_pending_tasks().await;
        CacheStatistics {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            bytes: self.entries.weighted_size() * KIB,
            entries: self.entries.entry_count(),
        }
    }
}

const KIB: u64 = 1024;

impl Entry {
    fn bytes(&self) -> u64 {
        let (numbers, size) = match &self.numbers {
            Numbers::Single(map) => (map.data().len(), size_of::<f32>()),
            Numbers::Half { data, .. } => (data.len(), size_of::<f16>()),
        };
        (numbers * size + size_of::<Key>() + size_of::<Entry>()) as u64
    }

    fn cached(self) -> Cached {
        Cached { features: self.numbers.features(), fit: self.fit }
    }
}

impl Numbers {
    fn new(features: FeatureMap<'static>, half: bool) -> Numbers {
        // what half precision cannot hold is kept as it is
        let data: Vec<f16> =
            if half { features.data().iter().copied().map(f16::from_f32).collect() } else { Vec::new() };
        if !half || data.iter().zip(features.data()).any(|(half, full)| half.is_infinite() && full.is_finite()) {
            return Numbers::Single(Arc::new(features));
        }
        Numbers::Half { grid: features.grid(), channels: features.channels(), data: data.into() }
    }

    fn features(self) -> Arc<FeatureMap<'static>> {
        match self {
            Numbers::Single(map) => map,
            Numbers::Half { grid, channels, data } => {
                let data = data.to_f32_vec();
                let map = FeatureMap::new(grid, channels, data);
                map.map_or_else(|_| unreachable!("the map that these numbers came from had this shape"), Arc::new)
            }
        }
    }
}
