//! The walk from a [`Job`] to its answer, the same for the service and the command line: validate, decode and fit, encode,
//! match.
//!
//! The source goes first, so that a point outside it is refused before any target is touched. Targets follow a few at a time,
//! and of each no more is kept than its matches: a hundred photos are never in memory together.

use std::future::Future;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use homolog_core::Error as CoreError;
use homolog_core::features::FeatureMap;
use homolog_core::geometry::{Fit, check_points};
use homolog_core::image::{Photo, Pixels, prepare};
use homolog_core::matching::{self, Match, Settings, View};
use homolog_engine::{Described, Model, WhenFull};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing::{Instrument, info_span};

use crate::app::App;
use crate::config::Config;
use crate::error::ApiError;
use crate::render::{Layout, thumbnail};
use crate::request::{Job, MatchSettings};
use crate::response::{MatchResponse, TargetMatches};

/// An answer, and what belongs to it.
#[derive(Debug)]
pub struct Outcome {
    /// What is sent.
    pub response: MatchResponse,
    /// The source and the targets, small, if a picture was asked for; else empty.
    pub thumbnails: Vec<Photo>,
    /// Where the time went.
    pub timings: Timings,
}

/// Time spent on all images of a request together; more than the request took where they overlap.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timings {
    /// Decoding, resizing and normalising, waiting for the pool included.
    pub decode: Duration,
    /// Waiting for a worker of the engine.
    pub queue: Duration,
    /// Backbone and head.
    pub encode: Duration,
    /// Matching, waiting for the pool included.
    pub matching: Duration,
}

impl Timings {
    /// The value of the header `Server-Timing`.
    pub fn header(&self) -> String {
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        let (decode, queue) = (ms(self.decode), ms(self.queue));
        let (encode, matching) = (ms(self.encode), ms(self.matching));
        format!("decode;dur={decode:.3}, queue;dur={queue:.3}, encode;dur={encode:.3}, match;dur={matching:.3}")
    }

    fn add(&mut self, other: &Timings) {
        self.decode += other.decode;
        self.queue += other.queue;
        self.encode += other.encode;
        self.matching += other.matching;
    }
}

/// Answers a job; with `picture` the thumbnails come with it.
///
/// # Errors
/// Every [`ApiError`] that is not about HTTP.
pub async fn run(app: &App, job: Job, picture: bool) -> Result<Outcome, ApiError> {
    let plan = Plan::new(app, &job)?;
    let layout = picture.then(|| Layout::new(job.targets.len()));
    let mut timings = Timings::default();

    let source = plan.prepare(job.source, "source", layout, &mut timings).await?;
    check_points(&job.settings.points, source.fit.image()).map_err(at_point)?;
    let (source, source_thumbnail) = plan.encode(source, WhenFull::Refuse, &mut timings).await?;

    let shared = Arc::new(Queries { source, settings: job.settings, matching: plan.matching.clone() });
    let plan = &plan;
    let one = |(index, file): (usize, Bytes)| {
        let shared = Arc::clone(&shared);
        async move { plan.target(index, file, layout, shared).await }
    };
    // one more than there are workers: the next photo is decoded while they encode
    let targets: Vec<_> = stream::iter(job.targets.into_iter().enumerate())
        .map(one)
        .buffered(app.config().workers + 1)
        .try_collect()
        .await?;

    let mut thumbnails: Vec<Photo> = source_thumbnail.into_iter().collect();
    let mut answers = Vec::with_capacity(targets.len());
    for (answer, thumbnail, spent) in targets {
        answers.push(answer);
        thumbnails.extend(thumbnail);
        timings.add(&spent);
    }
    let response = MatchResponse {
        model: plan.model.manifest().id.clone(),
        resolution: plan.resolution,
        matcher: plan.matching.matcher,
        sampling: plan.matching.sampling,
        source: shared.source.fit.image(),
        targets: answers,
    };
    Ok(Outcome { response, thumbnails, timings })
}

/// Tells work on the pool, when it is dropped with the request, that nobody waits any more.
struct Wanted(Arc<AtomicBool>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A request that makes sense, with every default filled in.
struct Plan<'a> {
    app: &'a App,
    model: &'a Model,
    resolution: u32,
    matching: Settings,
}

/// What every target is searched for.
struct Queries {
    source: Encoded,
    settings: MatchSettings,
    matching: Settings,
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

impl<'a> Plan<'a> {
    fn new(app: &'a App, job: &Job) -> Result<Plan<'a>, ApiError> {
        let settings = &job.settings;
        let model = app.model(settings.model.as_deref())?;
        let manifest = model.manifest();
        let resolution = settings.resolution.unwrap_or(manifest.default_resolution);
        if !manifest.resolutions.contains(&resolution) {
            let offered: Vec<String> = manifest.resolutions.iter().map(u32::to_string).collect();
            let (id, offered) = (&manifest.id, offered.join(", "));
            let detail = format!("{resolution} is not offered by {id}; choose one of {offered}");
            return Err(ApiError::invalid("resolution", detail));
        }
        let matching = Settings {
            matcher: settings.matcher.unwrap_or(manifest.matcher),
            sampling: settings.sampling.unwrap_or(manifest.sampling),
            top_k: settings.top_k.unwrap_or(0),
            cycle: settings.cycle.unwrap_or(false),
        };
        check_counts(app.config(), settings.points.len(), job.targets.len(), matching.top_k)?;
        Ok(Plan { app, model, resolution, matching })
    }

    async fn target(
        &self,
        index: usize,
        file: Bytes,
        layout: Option<Layout>,
        queries: Arc<Queries>,
    ) -> Result<(TargetMatches, Option<Photo>, Timings), ApiError> {
        let mut timings = Timings::default();
        let field = format!("target[{index}]");
        let target = self.prepare(file, &field, layout, &mut timings).await?;
        let (target, thumbnail) = self.encode(target, WhenFull::Wait, &mut timings).await?;
        let wanted = Wanted(Arc::default());
        let gone = Arc::clone(&wanted.0);
        let search = move || -> Result<TargetMatches, CoreError> {
            let points = &queries.settings.points;
            let (source, target_view, go_on) = (queries.source.view(), target.view(), || !gone.load(Ordering::Relaxed));
            let found: Vec<Match> = matching::run_while(&source, &target_view, points, &queries.matching, &go_on)?;
            Ok(TargetMatches::new(target.fit.image(), points, found))
        };
        let search = self.app.on_cpu(search).instrument(info_span!("match"));
        let found = timed(&mut timings.matching, search).await?;
        // points were checked: what is left is a model that gives NaN
        let found = found.map_err(|error| ApiError::Internal(error.to_string()))?;
        Ok((found, thumbnail, timings))
    }

    async fn prepare(
        &self,
        file: Bytes,
        field: &str,
        layout: Option<Layout>,
        timings: &mut Timings,
    ) -> Result<Prepared, ApiError> {
        let manifest = self.model.manifest();
        let limits = self.app.config().decode_limits();
        let (mode, resolution, patch) = (manifest.fit, self.resolution, manifest.backbone.patch);
        let (interpolation, normalisation) = (manifest.interpolation, manifest.normalisation);
        let work = move || -> Result<Prepared, CoreError> {
            let photo = Photo::decode(&file, &limits)?;
            let fit = Fit::new(mode, photo.size(), resolution, patch)?;
            let pixels = prepare(&photo, &fit, interpolation, &normalisation)?;
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
        let Described { features, queued, encoded } =
            engine.describe_timed(self.model, image.pixels, when_full).await?;
        timings.queue += queued;
        timings.encode += encoded;
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

fn check_counts(config: &Config, points: usize, targets: usize, top_k: usize) -> Result<(), ApiError> {
    if points == 0 {
        let detail = "there is no point; send at least one [x, y]";
        return Err(ApiError::invalid("points", detail));
    }
    if points > config.max_points {
        let most = config.max_points;
        let detail = format!("{points} points; at most {most} are accepted in a request");
        return Err(ApiError::invalid("points", detail));
    }
    if top_k > config.max_top_k {
        let most = config.max_top_k;
        let detail = format!("{top_k} candidates a point; at most {most} are reported");
        return Err(ApiError::invalid("top_k", detail));
    }
    let places = points.saturating_mul(targets).saturating_mul(top_k.saturating_add(1));
    if places > config.max_places {
        let most = config.max_places;
        let detail = format!(
            "{points} points × {targets} targets × (1 + {top_k} candidates) are {places} places; at most {most} are reported"
        );
        return Err(ApiError::invalid("points", detail));
    }
    Ok(())
}

/// Core counts points from 0, as a path into the request does.
fn at_point(error: CoreError) -> ApiError {
    let field = match &error {
        CoreError::KeypointNotFinite { index } | CoreError::KeypointOutside { index, .. } => {
            format!("points[{index}]")
        }
        _ => "points".to_owned(),
    };
    ApiError::invalid(field, error.to_string())
}
