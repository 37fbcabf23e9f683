//! What the service counts of itself, as Prometheus reads it (OpenMetrics text).
//!
//! What happens to requests is counted as it happens; what the engine, the cache, the store and the process know of themselves is asked
//! of them when somebody looks ([`snapshot`]).

mod snapshot;

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::app::App;
use crate::pipeline::Timings;

/// The media type of the text.
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Bounds of times, s: a match of known images takes a millisecond, one of large models seconds.
const SECONDS: [f64; 15] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Bounds of the number of images in a run.
const IMAGES: [f64; 6] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0];

/// Status of a request whose client left before the answer.
pub const CLIENT_LEFT: u16 = 499;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: String,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stage {
    stage: &'static str,
}

/// Counters and histograms of one service.
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    durations: Family<Route, Histogram, fn() -> Histogram>,
    in_progress: Gauge,
    stages: Family<Stage, Histogram, fn() -> Histogram>,
    batches: Histogram,
}

/// Counts a request as in progress for as long as it lives.
pub struct InProgress(Gauge);

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        let seconds: fn() -> Histogram = || Histogram::new(SECONDS);
        let mut metrics = Metrics {
            registry: Registry::default(),
            requests: Family::default(),
            durations: Family::new_with_constructor(seconds),
            in_progress: Gauge::default(),
            stages: Family::new_with_constructor(seconds),
            batches: Histogram::new(IMAGES),
        };
        let registry = &mut metrics.registry;
        registry.register(
            "homolog_http_requests",
            "Requests answered, by route and status; 499: the client left",
            metrics.requests.clone(),
        );
        registry.register(
            "homolog_http_request_duration_seconds",
            "From a request's head to the head of its answer",
            metrics.durations.clone(),
        );
        registry.register(
            "homolog_http_requests_in_progress",
            "Requests that are being answered",
            metrics.in_progress.clone(),
        );
        registry.register(
            "homolog_stage_duration_seconds",
            "Where the time of a request went, all its images together",
            metrics.stages.clone(),
        );
        registry.register(
            "homolog_batch_size",
            "Images in the run in which a request's image was encoded",
            metrics.batches.clone(),
        );
        metrics
    }
}

impl Metrics {
    /// A request begins.
    pub fn begin(&self) -> InProgress {
        self.in_progress.inc();
        InProgress(self.in_progress.clone())
    }

    /// A request was answered, or its client left.
    pub fn answered(&self, method: &str, route: &str, status: u16, took: Duration) {
        // whatever a client calls its method must not become a series of its own
        let known =
            ["GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH"].into_iter().find(|name| *name == method);
        let method = known.unwrap_or("other").to_owned();
        self.requests.get_or_create(&Answered { method, route: route.to_owned(), status }).inc();
        self.durations.get_or_create(&Route { route: route.to_owned() }).observe(took.as_secs_f64());
    }

    /// Where the time of a request went; `finish` is what its route is for, `match` or `write`.
    pub fn stages(&self, timings: &Timings, finish: &'static str) {
        let all = [
            ("decode", timings.decode),
            ("queue", timings.queue),
            ("encode", timings.encode),
            (finish, timings.finish),
        ];
        // what came out of the cache was neither decoded nor encoded
        for (stage, took) in all.into_iter().filter(|(_, took)| !took.is_zero()) {
            self.stages.get_or_create(&Stage { stage }).observe(took.as_secs_f64());
        }
    }

    /// An image was encoded together with others.
    pub fn batch(&self, images: usize) {
        self.batches.observe(images as f64);
    }

    /// Everything, as text.
    ///
    /// # Errors
    /// [`std::fmt::Error`], which writing to a string does not give.
    pub async fn text(&self, app: &App) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)?;
        encode_registry(&mut text, &snapshot::registry(app).await)?;
        encode_eof(&mut text)?;
        Ok(text)
    }
}

/// A gauge of what is no whole number.
type Seconds = Gauge<f64, AtomicU64>;
