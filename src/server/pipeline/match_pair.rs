//! Matching: the source goes first, so that a point outside it is refused before any target is touched. Targets follow a few at
//! a time, and of each no more is kept than its matches: a hundred photos are never in memory together.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::{Stream, StreamExt, TryStreamExt, stream};
use homolog_core::Error as CoreError;
use homolog_core::geometry::{Fit, Point, check_points};
use homolog_core::image::Photo;
use homolog_core::matching::{self, Settings};
use homolog_engine::WhenFull;
use tokio::task::JoinSet;
use tracing::{Instrument, info_span};

use super::{Encoded, Encoder, SHORT, Taken, Timings, timed};
use crate::app::App;
use crate::backlog::Share;
use crate::config::Config;
use crate::error::ApiError;
use crate::middleware;
use crate::render::Layout;
use crate::request::{ImageSource, MatchJob};
use crate::response::{MatchLine, MatchResponse, MatchStart, TargetMatches};

/// An answer, and what belongs to it.
#[derive(Debug)]
pub struct Matched {
    /// What is sent.
    pub response: MatchResponse,
    /// The source and the targets, small, if a picture was asked for; else empty.
    pub thumbnails: Vec<Photo>,
    /// Where the time went.
    pub timings: Timings,
}

/// Finds the points of the source in the targets; with `picture` the thumbnails come with it.
///
/// # Errors
/// Every [`ApiError`] that is not about HTTP.
pub async fn match_pair(app: &App, job: MatchJob, picture: bool) -> Result<Matched, ApiError> {
    let search = Search::begin(app, job, picture).await?;
    let start = search.start();
    let (mut timings, mut thumbnails) = (search.timings, Vec::from_iter(search.thumbnail.clone()));
    let at_a_time = app.at_a_time();
    let found: Vec<_> = search.targets().buffered(at_a_time).map(|(_, found)| found).try_collect().await?;
    let mut targets = Vec::with_capacity(found.len());
    for Found { matches, thumbnail, timings: spent } in found {
        targets.push(matches);
        thumbnails.extend(thumbnail);
        timings.add(&spent);
    }
    let MatchStart { model, resolution, matcher, sampling, source } = start;
    let response = MatchResponse { model, resolution, matcher, sampling, source, targets };
    Ok(Matched { response, thumbnails, timings })
}

/// The same, each target as soon as it is searched: what a line is made of. The source has been encoded when this returns, and the request
/// is taken; a target that fails is a line of its own, and the others go on.
///
/// # Errors
/// As [`match_pair`], of the source and the request.
pub async fn match_lines(app: &App, job: MatchJob) -> Result<impl Stream<Item = MatchLine> + Send + use<>, ApiError> {
    let search = Search::begin(app, job, false).await?;
    if !search.shared.share.has_begun() && search.makes_one().await {
        // the first line says that it is answered
        search.shared.share.begin()?;
    }
    app.metrics().stages(&search.timings, "match");
    let start = MatchLine::Start(search.start());
    let (app, at_a_time) = (app.clone(), app.at_a_time());
    let lines = search.targets().buffer_unordered(at_a_time).map(move |(target, found)| match found {
        Ok(Found { matches, timings, .. }) => {
            app.metrics().stages(&timings, "match");
            MatchLine::Target { target, matches }
        }
        Err(error) => MatchLine::Problem { target: Some(target), problem: error.problem() },
    });
    Ok(stream::iter([start]).chain(lines))
}

/// Tells work on the pool, when it is dropped with the request, that nobody waits any more.
struct Wanted(Arc<AtomicBool>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A request that makes sense, its source encoded.
struct Search {
    shared: Arc<Shared>,
    targets: Vec<ImageSource>,
    thumbnail: Option<Photo>,
    timings: Timings,
}

/// What every target is searched for.
struct Query {
    source: Encoded,
    points: Vec<Point>,
    matching: Settings,
}

/// What the targets of a request share.
struct Shared {
    encoder: Encoder,
    query: Arc<Query>,
    layout: Option<Layout>,
    share: Share,
    /// Which of the targets were counted in it.
    new: Vec<bool>,
    /// What becomes of a target when the queue is full.
    when_full: WhenFull,
}

/// One target's share of the answer.
struct Found {
    matches: TargetMatches,
    thumbnail: Option<Photo>,
    timings: Timings,
}

impl Search {
    /// Fills in every default and encodes the source.
    async fn begin(app: &App, job: MatchJob, picture: bool) -> Result<Search, ApiError> {
        let settings = job.settings;
        let encoder = Encoder::new(app, settings.model.as_deref(), settings.resolution)?;
        let manifest = encoder.model.manifest();
        let matching = Settings {
            matcher: settings.matcher.unwrap_or(manifest.matcher),
            sampling: settings.sampling.unwrap_or(manifest.sampling),
            top_k: settings.top_k.unwrap_or(0),
            cycle: settings.cycle.unwrap_or(false),
        };
        let (points, targets) = (settings.points, job.targets);
        check_counts(app.config(), points.len(), targets.len(), matching.top_k)?;
        let layout = picture.then(|| Layout::new(targets.len()));
        let mut timings = Timings::default();
        let check = |fit: &Fit| check_points(&points, fit.image()).map_err(at_point);
        // of all files together no more is digested here, on the way of all requests, than of one
        let most = SHORT / (1 + targets.len());
        let new: Vec<bool> = targets.iter().map(|target| encoder.is_new(target, most)).collect();
        let (source_new, single) = (encoder.is_new(&job.source, most), targets.len() == 1);
        let images = usize::from(source_new) + new.iter().filter(|new| **new).count();
        // the only target of a source that is made goes before all, many come behind what came while it was made
        let ahead = if source_new && !single { 1 } else { app.at_a_time() };
        let share = encoder.share(images, ahead);
        share.admit()?;
        let taken = Taken { field: "source", layout, when_full: WhenFull::Refuse, check: &check, share: &share };
        let (source, thumbnail) = encoder.encode(&job.source, &taken, &mut timings).await?;
        if source_new {
            share.paid();
        }
        let when_full = if single && share.has_begun() { WhenFull::Next } else { WhenFull::Wait };
        let query = Arc::new(Query { source, points, matching });
        let shared = Shared { encoder, query, layout, share, new, when_full };
        Ok(Search { shared: Arc::new(shared), targets, thumbnail, timings })
    }

    fn start(&self) -> MatchStart {
        let Shared { encoder, query, .. } = &*self.shared;
        let Query { source, matching, .. } = &**query;
        MatchStart {
            model: encoder.model.manifest().id.clone(),
            resolution: encoder.resolution,
            matcher: matching.matcher,
            sampling: matching.sampling,
            source: source.fit.image(),
        }
    }

    /// The targets and their places, each with its work still to be done.
    fn targets(self) -> impl Stream<Item = impl Future<Output = (usize, Result<Found, ApiError>)> + Send> + Send {
        let shared = self.shared;
        stream::iter(self.targets.into_iter().enumerate()).map(move |(index, image)| {
            let shared = Arc::clone(&shared);
            async move {
                let found = on_its_own(async move { shared.target(index, &image).await }).await;
                let panicked = || Err(ApiError::Internal(format!("target[{index}]: panic, see the log")));
                (index, found.unwrap_or_else(panicked))
            }
        })
    }

    /// Whether a target's descriptors must be made, now that their files may be looked at.
    async fn makes_one(&self) -> bool {
        let Shared { encoder, new, .. } = &*self.shared;
        for (target, _) in self.targets.iter().zip(new).filter(|(_, new)| **new) {
            // one that is not there is told in its line
            if let Ok(digest) = encoder.digest(target, "target").await
                && !encoder.app.cache().has(&encoder.key(digest))
            {
                return true;
            }
        }
        false
    }
}

/// Does work in a task of its own, which ends with what is returned here. So what it holds, a place of a pool say, keeps no other request
/// waiting while nobody asks how far it is. None if it panics.
async fn on_its_own<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let mut task = JoinSet::new();
    task.spawn(middleware::part(work));
    task.join_next().await?.ok()
}

impl Shared {
    async fn target(&self, index: usize, image: &ImageSource) -> Result<Found, ApiError> {
        let mut timings = Timings::default();
        let encoded = self.encode(index, image, &mut timings).await;
        if self.new.get(index) == Some(&true) {
            self.share.paid();
        }
        let (target, thumbnail) = encoded?;
        let wanted = Wanted(Arc::default());
        let (gone, query) = (Arc::clone(&wanted.0), Arc::clone(&self.query));
        let search = move || -> Result<TargetMatches, CoreError> {
            let (source, target_view, go_on) = (query.source.view(), target.view(), || !gone.load(Ordering::Relaxed));
            let found = matching::run_while(&source, &target_view, &query.points, &query.matching, &go_on)?;
            Ok(TargetMatches::new(target.fit.image(), &query.points, found))
        };
        let (pool, units) = (self.encoder.app.finishing(), units(&self.query));
        let search = async {
            // what takes little tells little of what takes long
            if units < LITTLE { pool.quick(search).await } else { pool.run(units, search).await }
        };
        let found = timed(&mut timings.finish, search.instrument(info_span!("match"))).await?;
        // points were checked: what is left is a model that gives NaN
        let matches = found.map_err(|error| ApiError::Internal(error.to_string()))?;
        Ok(Found { matches, thumbnail, timings })
    }

    async fn encode(
        &self,
        index: usize,
        image: &ImageSource,
        timings: &mut Timings,
    ) -> Result<(Encoded, Option<Photo>), ApiError> {
        let (field, when_full) = (format!("target[{index}]"), self.when_full);
        let taken = Taken { field: &field, layout: self.layout, when_full, check: &|_| Ok(()), share: &self.share };
        self.encoder.encode(image, &taken, timings).await
    }
}

/// Searches of fewer [`units`] are over in some 50 ms.
const LITTLE: u64 = 1 << 20;

/// What a search is to the pool: so many tokens for each point, there and back.
fn units(query: &Query) -> u64 {
    let points = query.points.len().saturating_mul(1 + usize::from(query.matching.cycle));
    points.saturating_mul(query.source.features.grid().len()) as u64
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
