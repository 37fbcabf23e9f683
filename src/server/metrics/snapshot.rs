//! What the engine, the cache, the store and the process say of themselves at the moment.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::Seconds;
use crate::app::App;

/// How long a scrape waits for the store of evaluations: less than whoever scrapes waits for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// One label and its value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Line {
    line: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Part {
    part: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Model {
    model: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: String,
}

/// A registry that holds the values of this instant.
pub(super) async fn registry(app: &App) -> Registry {
    let mut registry = Registry::default();
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    registry.register("homolog_build", "The version that runs", Info::new(version.to_vec()));
    engine(&mut registry, app);
    cache(&mut registry, app).await;
    evaluations(&mut registry, app).await;
    #[cfg(target_os = "linux")]
    process(&mut registry);
    registry
}

fn engine(registry: &mut Registry, app: &App) {
    // until the models are loaded there is nothing to say
    let Ok(engine) = app.engine() else { return };
    let depth = Family::<Line, Gauge>::default();
    depth.get_or_create(&Line { line: "interactive" }).set(whole(engine.waiting() as u64));
    depth.get_or_create(&Line { line: "background" }).set(whole(engine.waiting_behind() as u64));
    registry.register("homolog_queue_depth", "Images that wait for a worker", depth);

    let statistics = engine.statistics();
    let runs = Family::<Part, Counter>::default();
    runs.get_or_create(&Part { part: "backbone" }).inc_by(statistics.backbones);
    runs.get_or_create(&Part { part: "head" }).inc_by(statistics.heads);
    registry.register("homolog_runs", "Runs of graphs that came to their end", runs);
    gauge(registry, "homolog_runs_in_progress", "Runs that are under way", engine.running());
    let preemptions = counter(statistics.preemptions);
    registry.register("homolog_preemptions", "Runs of evaluations that were stopped for requests", preemptions);

    let loading = Family::<Model, Seconds>::default();
    for model in engine.models() {
        let id = &model.manifest().id;
        if let Some(took) = engine.loading(id) {
            loading.get_or_create(&Model { model: id.clone() }).set(took.as_secs_f64());
        }
    }
    registry.register("homolog_model_load_seconds", "Loading a model and running it once", loading);
}

async fn cache(registry: &mut Registry, app: &App) {
    let statistics = app.cache().statistics().await;
    let requests = Family::<Outcome, Counter>::default();
    requests.get_or_create(&Outcome { result: "hit" }).inc_by(statistics.hits);
    requests.get_or_create(&Outcome { result: "miss" }).inc_by(statistics.misses);
    registry.register("homolog_cache_requests", "Images whose descriptors were looked up", requests);
    gauge(registry, "homolog_cache_bytes", "Descriptors that are kept, in bytes", statistics.bytes);
    gauge(registry, "homolog_cache_entries", "Images whose descriptors are kept", statistics.entries);
}

async fn evaluations(registry: &mut Registry, app: &App) {
    let Ok(jobs) = app.jobs() else { return };
    let pairs = counter(jobs.pairs_evaluated());
    registry.register("homolog_evaluation_pairs", "Pairs that this process has evaluated", pairs);
    // a store that does not answer is told by its own requests, and everything else is told without it
    let Ok(Ok(counts)) = tokio::time::timeout(PATIENCE, jobs.store().counts()).await else { return };
    let evaluations = Family::<State, Gauge>::default();
    for state in ["waiting", "running"] {
        let count = counts.iter().find(|(name, _)| name == state).map_or(0, |(_, count)| *count);
        evaluations.get_or_create(&State { state: state.to_owned() }).set(whole(count));
    }
    registry.register("homolog_evaluations", "Evaluations in the store", evaluations);
}

/// What Prometheus' own clients say of every process.
#[cfg(target_os = "linux")]
fn process(registry: &mut Registry) {
    use procfs::process::Process;
    use procfs::{CurrentSI, WithCurrentSystemInfo};
    let Ok(process) = Process::myself() else { return };
    let Ok(stat) = process.stat() else { return };
    let memory = stat.rss_bytes().get();
    gauge(registry, "process_resident_memory_bytes", "Memory of the process", memory);
    let ticks = procfs::ticks_per_second() as f64;
    let cpu = Counter::<f64, std::sync::atomic::AtomicU64>::default();
    cpu.inc_by((stat.utime + stat.stime) as f64 / ticks);
    registry.register("process_cpu_seconds", "Time of the CPU that the process took", cpu);
    if let Ok(open) = process.fd_count() {
        gauge(registry, "process_open_fds", "Files and sockets that are open", open as u64);
    }
    if let Ok(kernel) = procfs::KernelStats::current() {
        let start = Seconds::default();
        start.set(kernel.btime as f64 + stat.starttime as f64 / ticks);
        registry.register("process_start_time_seconds", "When the process began, in seconds since 1970", start);
    }
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let gauge = Gauge::<i64>::default();
    gauge.set(whole(value));
    registry.register(name, help, gauge);
}

fn counter(value: u64) -> Counter {
    let counter = Counter::default();
    counter.inc_by(value);
    counter
}

fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
