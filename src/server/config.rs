//! How the service is configured: one struct, from flags, environment and a TOML file.
//!
//! A flag outweighs its environment variable, that the file, and that the default. The doc comment of a field is its `--help`.

mod datasets;
mod load;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::access::Origin;
use clap::{Args, ValueEnum};
use homolog_core::image::DecodeLimits;
use homolog_engine::{EngineConfig, ProviderChoice};
use homolog_jobs::Address;
use serde::{Deserialize, Serialize};

pub use crate::access::NamedKey;
pub use datasets::NamedDataset;
pub use load::{ConfigArgs, ConfigError};

/// Everything that can be set.
#[derive(Args, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address and port to listen on; port 0 takes a free one, which is printed. Reachable from this computer only, by default
    #[arg(long, env = "HOMOLOG_LISTEN", default_value_t = Config::default().listen)]
    pub listen: SocketAddr,

    /// Folder whose sub-folders are the model bundles to serve
    #[arg(long, env = "HOMOLOG_MODELS", default_value = "models")]
    pub models: PathBuf,

    /// Model for requests that name none; else the only one that is loaded, else `demo`
    #[arg(long, env = "HOMOLOG_DEFAULT_MODEL")]
    pub default_model: Option<String>,

    /// What models run on: cpu, cuda (an error where it cannot be had) or auto (cuda where it can be had, else cpu)
    #[arg(long, env = "HOMOLOG_PROVIDER", default_value_t = Config::default().provider)]
    pub provider: ProviderChoice,

    /// Runs at once, each by sessions of its own; 0 for two on a GPU, and on a CPU one for every eight cores that this process may use
    #[arg(long, env = "HOMOLOG_WORKERS", default_value_t = Config::default().workers)]
    pub workers: usize,

    /// Threads of each worker, and of each pool that decodes or matches; 0 for the cores that this process may use, divided among the
    /// workers
    #[arg(long, env = "HOMOLOG_THREADS", default_value_t = Config::default().threads)]
    pub threads: usize,

    /// Images of one size and model that are run together when several wait; 0 for 8 on a GPU and 1 on a CPU, where it gains nothing
    #[arg(long, env = "HOMOLOG_MAX_BATCH", default_value_t = Config::default().max_batch)]
    pub max_batch: usize,

    /// Most memory for descriptors of images that were asked for before, in MiB; 0 keeps none
    #[arg(long, env = "HOMOLOG_CACHE_MIB", default_value_t = Config::default().cache_mib)]
    pub cache_mib: u64,

    /// Whether they are kept in half precision: twice as many, and similarities that differ from the fourth digit on
    #[arg(long, env = "HOMOLOG_CACHE_HALF", default_value_t = Config::default().cache_half)]
    pub cache_half: bool,

    /// Images that may wait for a worker; one more is answered 429 at once instead of waiting for longer than is useful
    #[arg(long, env = "HOMOLOG_QUEUE", default_value_t = Config::default().queue)]
    pub queue: usize,

    /// Requests with images answered at once; one more is answered 429 before its body is read
    #[arg(long, env = "HOMOLOG_MAX_REQUESTS", default_value_t = Config::default().max_requests)]
    pub max_requests: usize,

    /// Connections that are open at once, idle ones and probes among them; further ones wait until one is closed
    #[arg(long, env = "HOMOLOG_MAX_CONNECTIONS", default_value_t = Config::default().max_connections)]
    pub max_connections: usize,

    /// Greatest body of a request, in bytes, all images together
    #[arg(long, env = "HOMOLOG_MAX_BODY_BYTES", default_value_t = Config::default().max_body_bytes)]
    pub max_body_bytes: usize,

    /// Most memory for the bodies of all requests that come or are answered, in MiB, counted as their bytes come; a body for which none is
    /// left is answered 429
    #[arg(long, env = "HOMOLOG_BODY_MEMORY_MIB", default_value_t = Config::default().body_memory_mib)]
    pub body_memory_mib: u64,

    /// Most memory for answers of more than 64 KiB, and for lines of answers, that are not read yet, in MiB; an answer for which none is left
    /// is 429, and a line waits for it
    #[arg(long, env = "HOMOLOG_ANSWER_MEMORY_MIB", default_value_t = Config::default().answer_memory_mib)]
    pub answer_memory_mib: u64,

    /// Greatest width and height of an image, in pixels; read from its header, before any pixel has a place in memory
    #[arg(long, env = "HOMOLOG_MAX_IMAGE_SIDE", default_value_t = Config::default().max_image_side)]
    pub max_image_side: u32,

    /// Greatest width × height of an image, in pixels
    #[arg(long, env = "HOMOLOG_MAX_IMAGE_PIXELS", default_value_t = Config::default().max_image_pixels)]
    pub max_image_pixels: u64,

    /// Most points in a request
    #[arg(long, env = "HOMOLOG_MAX_POINTS", default_value_t = Config::default().max_points)]
    pub max_points: usize,

    /// Most target images in a request
    #[arg(long, env = "HOMOLOG_MAX_TARGETS", default_value_t = Config::default().max_targets)]
    pub max_targets: usize,

    /// Most candidates a point
    #[arg(long, env = "HOMOLOG_MAX_TOP_K", default_value_t = Config::default().max_top_k)]
    pub max_top_k: usize,

    /// Most places in an answer: points × targets × (1 + top_k); bounds its length, and the time spent on matching
    #[arg(long, env = "HOMOLOG_MAX_PLACES", default_value_t = Config::default().max_places)]
    pub max_places: usize,

    /// Seconds after which a request is given up and answered 504, its upload included
    #[arg(long, env = "HOMOLOG_REQUEST_TIMEOUT_S", default_value_t = Config::default().request_timeout_s)]
    pub request_timeout_s: u64,

    /// Seconds after which a connection is closed that has not sent the head of a request, its first or its next: behind a proxy that keeps
    /// connections open, set it above the proxy's own idle time
    #[arg(long, env = "HOMOLOG_HEADER_TIMEOUT_S", default_value_t = Config::default().header_timeout_s)]
    pub header_timeout_s: u64,

    /// Seconds without a byte of a request's body after which it is answered 408, and after which a connection is closed that has taken less
    /// than 64 KiB a second of its answer, as far as the system tells, which it does in steps of some hundred KiB
    #[arg(long, env = "HOMOLOG_BODY_TIMEOUT_S", default_value_t = Config::default().body_timeout_s)]
    pub body_timeout_s: u64,

    /// A key that requests may come with, as its SHA-256, say `annotators=9f86d0…@20` for twenty requests a second; may be given
    /// several times. With one, requests without are answered 401; `homolog key` makes them
    #[arg(
        id = "api_keys",
        long = "api-key",
        env = "HOMOLOG_API_KEYS",
        hide_env_values = true,
        value_name = "NAME=SHA256[@PER_SECOND]",
        value_delimiter = ','
    )]
    pub api_keys: Vec<NamedKey>,

    /// A web page's origin whose scripts may use this service, say `https://tool.example`; may be given several times. None by default
    #[arg(
        id = "cors_origins",
        long = "cors-origin",
        env = "HOMOLOG_CORS_ORIGINS",
        value_name = "ORIGIN",
        value_delimiter = ','
    )]
    pub cors_origins: Vec<Origin>,

    /// Seconds after SIGTERM or SIGINT in which requests are still taken, though `/health/ready` says no: as long as whoever sends
    /// them may not have asked
    #[arg(long, env = "HOMOLOG_SHUTDOWN_DELAY_S", default_value_t = Config::default().shutdown_delay_s)]
    pub shutdown_delay_s: u64,

    /// Seconds that running requests then have to finish
    #[arg(long, env = "HOMOLOG_SHUTDOWN_GRACE_S", default_value_t = Config::default().shutdown_grace_s)]
    pub shutdown_grace_s: u64,

    /// A dataset that evaluations may name, say `spair=spair71k:test:large@/data/SPair-71k`; may be given several times. In the
    /// file: `[datasets.spair]` with `format`, `path` and what the format has
    #[arg(
        id = "datasets",
        long = "register",
        env = "HOMOLOG_DATASETS",
        value_name = "KEY=FORMAT@DIR",
        value_delimiter = ','
    )]
    #[serde(with = "datasets")]
    pub datasets: Vec<NamedDataset>,

    /// Where evaluations are kept: a file for SQLite, of this process alone, or postgres://… that replicas share
    #[arg(long, env = "HOMOLOG_EVAL_STORE", hide_env_values = true, default_value_t = Config::default().eval_store)]
    pub eval_store: Address,

    /// Evaluations that may wait and run; one more is answered 429
    #[arg(long, env = "HOMOLOG_EVAL_JOBS", default_value_t = Config::default().eval_jobs)]
    pub eval_jobs: usize,

    /// Most memory for the descriptors of an evaluation, in MiB; what does not fit goes to a temporary file
    #[arg(long, env = "HOMOLOG_EVAL_MEMORY_MIB", default_value_t = Config::default().eval_memory_mib)]
    pub eval_memory_mib: u64,

    /// Seconds that replicas wait for one that is silent before they take over its part of an evaluation
    #[arg(long, env = "HOMOLOG_EVAL_LEASE_S", default_value_t = Config::default().eval_lease_s)]
    pub eval_lease_s: u64,

    /// Most bytes of images that are kept for later requests, all together
    #[arg(long, env = "HOMOLOG_MAX_KEPT_IMAGE_BYTES", default_value_t = Config::default().max_kept_image_bytes)]
    pub max_kept_image_bytes: u64,

    /// Seconds after which an image is forgotten that was not sent again and that no evaluation needs
    #[arg(long, env = "HOMOLOG_KEEP_IMAGES_S", default_value_t = Config::default().keep_images_s)]
    pub keep_images_s: u64,

    /// Where traces are sent by OTLP over HTTP, say `http://collector:4318/v1/traces`; nowhere by default
    #[arg(long, env = "HOMOLOG_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,

    /// How log lines are written (to standard error): for people or for machines
    #[arg(long, env = "HOMOLOG_LOG_FORMAT", value_enum, default_value_t = Config::default().log_format)]
    pub log_format: LogFormat,

    /// What is logged: a level, or directives such as `info,homolog=debug`
    #[arg(long, env = "HOMOLOG_LOG", default_value_t = Config::default().log)]
    pub log: String,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line of text an event.
    #[default]
    Pretty,
    /// One JSON object an event.
    Json,
}

impl Default for Config {
    fn default() -> Config {
        let limits = DecodeLimits::default();
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            models: PathBuf::from("models"),
            default_model: None,
            provider: ProviderChoice::Auto,
            workers: 0,
            threads: 0,
            max_batch: 0,
            cache_mib: 512,
            cache_half: false,
            queue: 64,
            max_requests: 64,
            max_connections: 4096,
            max_body_bytes: 64 << 20,
            body_memory_mib: 512,
            answer_memory_mib: 512,
            max_image_side: limits.max_width,
            max_image_pixels: limits.max_pixels,
            max_points: 10_000,
            max_targets: 100,
            max_top_k: 100,
            max_places: 1_000_000,
            request_timeout_s: 60,
            header_timeout_s: 10,
            body_timeout_s: 15,
            api_keys: Vec::new(),
            cors_origins: Vec::new(),
            shutdown_delay_s: 1,
            shutdown_grace_s: 30,
            datasets: Vec::new(),
            eval_store: Address::Sqlite(state_folder().join("evaluations.sqlite")),
            eval_jobs: 16,
            eval_memory_mib: 2048,
            eval_lease_s: 15,
            max_kept_image_bytes: 1 << 30,
            keep_images_s: 24 * 3600,
            otlp_endpoint: None,
            log_format: LogFormat::Pretty,
            log: "info".to_owned(),
        }
    }
}

impl Config {
    /// What an image may ask of the decoder.
    pub fn decode_limits(&self) -> DecodeLimits {
        DecodeLimits {
            max_width: self.max_image_side,
            max_height: self.max_image_side,
            max_pixels: self.max_image_pixels,
            // 16-bit RGBA, and the RGB made of it: the most that a pixel takes
            max_alloc: self.max_image_pixels.saturating_mul(8 + 3).max(DecodeLimits::default().max_alloc),
        }
    }

    /// How the engine runs.
    pub fn engine(&self) -> EngineConfig {
        let Config { provider, workers, threads, queue, max_batch, .. } = *self;
        EngineConfig { provider, workers, threads, queue, max_batch, ..EngineConfig::default() }
    }

    /// How evaluations run on an engine of so many workers.
    pub fn evaluations(&self, workers: usize) -> homolog_jobs::Settings {
        let datasets = self.datasets.iter().map(|dataset| (dataset.key.clone(), dataset.entry.clone()));
        homolog_jobs::Settings {
            datasets: datasets.collect(),
            most_jobs: self.eval_jobs,
            memory: self.eval_memory_mib.saturating_mul(1 << 20),
            spill: Some(std::env::temp_dir()),
            encoders: workers + 1,
            decode: self.decode_limits(),
            lease: Duration::from_secs(self.eval_lease_s),
        }
    }

    /// [`request_timeout_s`](Config::request_timeout_s).
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.request_timeout_s)
    }

    /// [`shutdown_grace_s`](Config::shutdown_grace_s).
    pub fn shutdown_grace(&self) -> Duration {
        Duration::from_secs(self.shutdown_grace_s)
    }
}

/// Where programs keep what is neither configuration nor cache; without a home, the working directory.
fn state_folder() -> PathBuf {
    use etcetera::BaseStrategy;
    let known = etcetera::choose_base_strategy().ok().and_then(|folders| folders.state_dir());
    known.map_or_else(PathBuf::new, |folder| folder.join("homolog"))
}
