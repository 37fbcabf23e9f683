//! The walk from a job to its answer, the same for the service and the command line: validate, decode and fit, encode, and
//! then what the route is for, which stands in a file beside this one.

mod describe;
mod eval;
mod match_pair;

use std::future::Future;
use std::time::{Duration, Instant};

use bytes::Bytes;
use homolog_core::Error as CoreError;
use homolog_core::features::FeatureMap;
use homolog_core::geometry::Fit;
use homolog_core::image::{Photo, Pixels};
use homolog_core::matching::View;
use homolog_engine::{Model, WhenFull};
use tracing::{Instrument, info_span};

use crate::app::App;
use crate::error::ApiError;
use crate::render::{Layout, thumbnail};
pub use describe::{Described, describe};
pub use eval::{evaluate, keep_image, report, result, specify};
pub use match_pair::{Matched, match_pair};

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
struct Encoder<'a> {
    app: &'a App,
    model: &'a Model,
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
    features: FeatureMap<'static>,
    fit: Fit,
}

impl Encoded {
    fn view(&self) -> View<'_> {
        View { features: &self.features, fit: &self.fit }
    }
}

impl<'a> Encoder<'a> {
    fn new(app: &'a App, model: Option<&str>, resolution: Option<u32>) -> Result<Encoder<'a>, ApiError> {
        let model = app.model(model)?;
        let manifest = model.manifest();
        let resolution = crate::request::resolution(manifest, resolution, "resolution")?;
        Ok(Encoder { app, model, resolution })
    }

    async fn prepare(
        &self,
        file: Bytes,
        field: &str,
        layout: Option<Layout>,
        timings: &mut Timings,
    ) -> Result<Prepared, ApiError> {
        let preparation = self.model.manifest().preparation(self.resolution);
        let limits = self.app.config().decode_limits();
        let work = move || -> Result<Prepared, CoreError> {
            let photo = Photo::decode(&file, &limits)?;
            let (pixels, fit) = preparation.prepare(&photo)?;
            let thumbnail = layout.map(|layout| thumbnail(&photo, &layout)).transpose()?;
            Ok(Prepared { pixels, fit, thumbnail })
        };
        let work = self.app.on_cpu(work).instrument(info_span!("decode"));
        let prepared = timed(&mut timings.decode, work).await?;
        prepared.map_err(|error| ApiError::Image { field: field.to_owned(), error })
    }

    async fn encode(
        &self,
        image: Prepared,
        when_full: WhenFull,
        timings: &mut Timings,
    ) -> Result<(Encoded, Option<Photo>), ApiError> {
        let engine = self.app.engine()?;
        let described = engine.describe_timed(self.model, image.pixels, when_full).await?;
        timings.queue += described.queued;
        timings.encode += described.encoded;
        let features = described.features;
        let fit = image.fit;
        Ok((Encoded { features, fit }, image.thumbnail))
    }
}

async fn timed<T>(sum: &mut Duration, work: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let result = work.await;
    *sum += start.elapsed();
    result
}
