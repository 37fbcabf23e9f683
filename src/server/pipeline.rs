//! The walk from a job to its answer, the same for the service and the command line: validate, decode and fit, encode, and
//! then what the route is for, which stands in a file beside this one.

mod describe;
mod eval;
mod match_pair;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use homolog_core::Error as CoreError;
use homolog_core::features::FeatureMap;
use homolog_core::geometry::{Fit, Size};
use homolog_core::image::{Photo, Pixels};
use homolog_core::matching::View;
use homolog_engine::{Engine, Key, Model, WhenFull};
use sha2::{Digest, Sha256};
use tracing::{Instrument, info_span};

use crate::access::digest_of;
use crate::app::App;
use crate::backlog::Share;
use crate::error::ApiError;
use crate::render::{Layout, thumbnail};
use crate::request::ImageSource;
pub use describe::{Described, describe};
pub use eval::{evaluate, keep_image, report, result, specify};
pub use match_pair::{Matched, match_lines, match_pair};

/// Time spent on all images of a request together; more than the request took where they overlap.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timings {
    /// Decoding, resizing and normalising, waiting for the pool included.
    pub decode: Duration,
    /// Waiting for a worker of the engine.
    pub queue: Duration,
    /// Backbone and head.
    pub encode: Duration,
    /// What the route is for, waiting for the pool included.
    pub finish: Duration,
}

impl Timings {
    /// The value of the header `Server-Timing`, with the route's own name for what it is for.
    pub fn header(&self, finish: &str) -> String {
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        let (decode, queue) = (ms(self.decode), ms(self.queue));
        let (encode, finished) = (ms(self.encode), ms(self.finish));
        format!("decode;dur={decode:.3}, queue;dur={queue:.3}, encode;dur={encode:.3}, {finish};dur={finished:.3}")
    }

    fn add(&mut self, other: &Timings) {
        self.decode += other.decode;
        self.queue += other.queue;
        self.encode += other.encode;
        self.finish += other.finish;
    }
}

/// The model and the resolution that a request takes, which the model offers.
struct Encoder {
    app: App,
    model: Model,
    resolution: u32,
}

/// A photo on the network's canvas.
struct Prepared {
    pixels: Pixels,
    fit: Fit,
    thumbnail: Option<Photo>,
}

/// A photo as the network sees it.
struct Encoded {
    features: Arc<FeatureMap<'static>>,
    fit: Fit,
}

impl Encoded {
    fn view(&self) -> View<'_> {
        View { features: &self.features, fit: &self.fit }
    }
}

/// How an image of a request is taken.
struct Taken<'a> {
    /// What the request calls it.
    field: &'a str,
    /// How large it is drawn, if a picture was asked for.
    layout: Option<Layout>,
    /// What becomes of it when the queue is full, unless it is the first that its request makes: that one is refused.
    when_full: WhenFull,
    /// Asked before it is encoded, whether it is of any use.
    check: &'a (dyn Fn(&Fit) -> Result<(), ApiError> + Sync),
    /// What is expected of the request that it belongs to.
    share: &'a Share,
}

/// A flight of the cache has failed; whoever began it knows why.
#[derive(Clone, Copy, Debug)]
struct Failed;

impl Encoder {
    fn new(app: &App, model: Option<&str>, resolution: Option<u32>) -> Result<Encoder, ApiError> {
        let model = app.model(model)?.clone();
        let resolution = crate::request::resolution(model.manifest(), resolution, "resolution")?;
        Ok(Encoder { app: app.clone(), model, resolution })
    }

    /// The share of a request for so many images, so many of them ahead of whatever comes later.
    fn share(&self, images: usize, ahead: usize) -> Share {
        let size = Size::new(self.resolution, self.resolution);
        let run = self.app.engine().map_or(Duration::ZERO, |engine| engine.expected(&self.model, size));
        // of a worker's time, of which decoding takes none but lets it wait
        let workers = u32::try_from(self.app.engine().map_or(1, Engine::workers)).unwrap_or(u32::MAX);
        let decode = self.app.decoding().share(1) * workers;
        Share::new(&self.app, images, ahead, run + decode)
    }

    /// Whether the image's descriptors must be made, as far as that is told at once: a file of more than `most` bytes is taken for
    /// new, and whether one that is named is there is not asked.
    fn is_new(&self, image: &ImageSource, most: usize) -> bool {
        let digest = match image {
            ImageSource::File(file) if file.len() <= most => Some(Sha256::digest(file).into()),
            ImageSource::File(_) => None,
            ImageSource::Id(id) => digest_of(id),
        };
        digest.is_none_or(|digest| !self.app.cache().has(&self.key(digest)))
    }

    /// What an image's descriptors are kept under.
    fn key(&self, image: [u8; 32]) -> Key {
        let (bundle, resolution) = (self.model.digest().clone(), self.resolution);
        Key { image, bundle, resolution, fit: self.model.manifest().preparation(resolution).fit }
    }

    /// The image's descriptors, out of the cache or made now, and what is drawn of it.
    async fn encode(
        &self,
        image: &ImageSource,
        taken: &Taken<'_>,
        timings: &mut Timings,
    ) -> Result<(Encoded, Option<Photo>), ApiError> {
        let key = self.key(self.digest(image, taken.field).await?);
        let (mut thumbnail, mut fault) = (None, None);
        loop {
            let make = async {
                let made = self.make(image, taken, &mut thumbnail, timings).await;
                made.map_err(|error| {
                    fault = Some(error);
                    Failed
                })
            };
            match self.app.cache().get_or_make(key.clone(), make).await {
                Ok(found) => {
                    (taken.check)(&found.fit)?;
                    if taken.layout.is_some() && thumbnail.is_none() {
                        thumbnail = self.prepare(self.file(image).await?, taken, timings).await?.thumbnail;
                    }
                    return Ok((Encoded { features: found.features, fit: found.fit }, thumbnail));
                }
                // another request's, whose reasons need not be ours: its points, or its time
                Err(Failed) => {
                    if let Some(error) = fault.take() {
                        return Err(error);
                    }
                }
            }
        }
    }

    async fn make(
        &self,
        image: &ImageSource,
        taken: &Taken<'_>,
        thumbnail: &mut Option<Photo>,
        timings: &mut Timings,
    ) -> Result<(FeatureMap<'static>, Fit), ApiError> {
        let first = !taken.share.has_begun();
        if first {
            // before it is decoded, which takes time from those that are answered
            taken.share.begin()?;
        }
        let prepared = self.prepare(self.file(image).await?, taken, timings).await?;
        (taken.check)(&prepared.fit)?;
        if first {
            taken.share.begin()?;
        }
        let when_full = if first { WhenFull::Refuse } else { taken.when_full };
        let described = self.app.engine()?.describe_timed(&self.model, prepared.pixels, when_full).await?;
        timings.queue += described.queued;
        timings.encode += described.encoded;
        self.app.metrics().batch(described.batch);
        *thumbnail = prepared.thumbnail;
        Ok((described.features, prepared.fit))
    }

    async fn prepare(&self, file: Bytes, taken: &Taken<'_>, timings: &mut Timings) -> Result<Prepared, ApiError> {
        let preparation = self.model.manifest().preparation(self.resolution);
        let (limits, layout) = (self.app.config().decode_limits(), taken.layout);
        let work = move || -> Result<Prepared, CoreError> {
            let photo = Photo::decode(&file, &limits)?;
            let (pixels, fit) = preparation.prepare(&photo)?;
            let thumbnail = layout.map(|layout| thumbnail(&photo, &layout)).transpose()?;
            Ok(Prepared { pixels, fit, thumbnail })
        };
        let work = self.app.decoding().run(1, work).instrument(info_span!("decode"));
        let prepared = timed(&mut timings.decode, work).await?;
        prepared.map_err(|error| ApiError::Image { field: taken.field.to_owned(), error })
    }

    /// SHA-256 of the image's file. One that is named must be there, whether its descriptors are kept or not.
    async fn digest(&self, image: &ImageSource, field: &str) -> Result<[u8; 32], ApiError> {
        match image {
            ImageSource::File(file) if file.len() <= SHORT => Ok(Sha256::digest(file).into()),
            ImageSource::File(file) => {
                let file = file.clone();
                self.app.reading().quick(move || Sha256::digest(&file).into()).await
            }
            ImageSource::Id(id) => {
                let unknown = || ApiError::UnknownImage { field: field.to_owned(), id: id.clone() };
                let digest = digest_of(id).ok_or_else(unknown)?;
                if self.app.jobs()?.store().has_image(id).await? { Ok(digest) } else { Err(unknown()) }
            }
        }
    }

    async fn file(&self, image: &ImageSource) -> Result<Bytes, ApiError> {
        match image {
            ImageSource::File(file) => Ok(file.clone()),
            ImageSource::Id(id) => Ok(self.app.jobs()?.store().image(id).await?.into()),
        }
    }
}

/// Files up to this length are digested where they are, which takes less than the way to the pool.
const SHORT: usize = 1 << 20;

async fn timed<T>(sum: &mut Duration, work: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let result = work.await;
    *sum += start.elapsed();
    result
}
