//! Matching: the source goes first, so that a point outside it is refused before any target is touched. Targets follow a few at
//! a time, and of each no more is kept than its matches: a hundred photos are never in memory together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use homolog_core::Error as CoreError;
use homolog_core::geometry::check_points;
use homolog_core::image::Photo;
use homolog_core::matching::{self, Match, Settings};
use homolog_engine::WhenFull;
use tracing::{Instrument, info_span};

use super::{Encoded, Encoder, Timings, timed};
use crate::app::App;
use crate::config::Config;
use crate::error::ApiError;
use crate::render::Layout;
use crate::request::{MatchJob, MatchSettings};
use crate::response::{MatchResponse, TargetMatches};

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
    let plan = Plan::new(app, &job)?;
    let encoder = &plan.encoder;
    let layout = picture.then(|| Layout::new(job.targets.len()));
    let mut timings = Timings::default();

    let source = encoder.prepare(job.source, "source", layout, &mut timings).await?;
    check_points(&job.settings.points, source.fit.image()).map_err(at_point)?;
    let (source, source_thumbnail) = encoder.encode(source, WhenFull::Refuse, &mut timings).await?;

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
        model: encoder.model.manifest().id.clone(),
        resolution: encoder.resolution,
        matcher: plan.matching.matcher,
        sampling: plan.matching.sampling,
        source: shared.source.fit.image(),
        targets: answers,
    };
    Ok(Matched { response, thumbnails, timings })
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
    encoder: Encoder<'a>,
    matching: Settings,
}

/// What every target is searched for.
struct Queries {
    source: Encoded,
    settings: MatchSettings,
    matching: Settings,
}

impl<'a> Plan<'a> {
    fn new(app: &'a App, job: &MatchJob) -> Result<Plan<'a>, ApiError> {
        let settings = &job.settings;
        let encoder = Encoder::new(app, settings.model.as_deref(), settings.resolution)?;
        let manifest = encoder.model.manifest();
        let matching = Settings {
            matcher: settings.matcher.unwrap_or(manifest.matcher),
            sampling: settings.sampling.unwrap_or(manifest.sampling),
            top_k: settings.top_k.unwrap_or(0),
            cycle: settings.cycle.unwrap_or(false),
        };
        check_counts(app.config(), settings.points.len(), job.targets.len(), matching.top_k)?;
        Ok(Plan { encoder, matching })
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
        let target = self.encoder.prepare(file, &field, layout, &mut timings).await?;
        let (target, thumbnail) = self.encoder.encode(target, WhenFull::Wait, &mut timings).await?;
        let wanted = Wanted(Arc::default());
        let gone = Arc::clone(&wanted.0);
        let search = move || -> Result<TargetMatches, CoreError> {
            let points = &queries.settings.points;
            let (source, target_view, go_on) = (queries.source.view(), target.view(), || !gone.load(Ordering::Relaxed));
            let found: Vec<Match> = matching::run_while(&source, &target_view, points, &queries.matching, &go_on)?;
            Ok(TargetMatches::new(target.fit.image(), points, found))
        };
        let search = self.encoder.app.on_cpu(search).instrument(info_span!("match"));
        let found = timed(&mut timings.finish, search).await?;
        // points were checked: what is left is a model that gives NaN
        let found = found.map_err(|error| ApiError::Internal(error.to_string()))?;
        Ok((found, thumbnail, timings))
    }
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
