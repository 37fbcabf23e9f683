//! How the service is configured: one struct, from flags, environment and a TOML file.
//!
//! A flag outweighs its environment variable, that the file, and that the default. The doc comment of a field is its `--help`.

mod datasets;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{Args, ValueEnum};
use homolog_core::image::DecodeLimits;
use homolog_engine::{EngineConfig, ProviderChoice};
use homolog_jobs::Address;
use serde::{Deserialize, Serialize};

pub use datasets::NamedDataset;

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

    /// Images encoded at once, each by sessions of its own; more than 1 costs memory and seldom gains speed on a CPU
    #[arg(long, env = "HOMOLOG_WORKERS", default_value_t = Config::default().workers)]
    pub workers: usize,

    /// Threads of each worker, and of the pool that decodes and matches; 0 for the cores that this process may use
    #[arg(long, env = "HOMOLOG_THREADS", default_value_t = Config::default().threads)]
    pub threads: usize,

    /// Images that may wait for a worker; one more is answered 429 at once instead of waiting for longer than is useful
    #[arg(long, env = "HOMOLOG_QUEUE", default_value_t = Config::default().queue)]
    pub queue: usize,

    /// Requests with images answered at once; one more is answered 429 before its body is read. With `max_body_bytes`, this
    /// bounds the memory that bodies take
    #[arg(long, env = "HOMOLOG_MAX_REQUESTS", default_value_t = Config::default().max_requests)]
    pub max_requests: usize,

    /// Greatest body of a request, in bytes, all images together
    #[arg(long, env = "HOMOLOG_MAX_BODY_BYTES", default_value_t = Config::default().max_body_bytes)]
    pub max_body_bytes: usize,

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

    /// Seconds that running requests have to finish after SIGTERM or SIGINT
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
            workers: 1,
            threads: 0,
            queue: 64,
            max_requests: 64,
            max_body_bytes: 64 << 20,
            max_image_side: limits.max_width,
            max_image_pixels: limits.max_pixels,
            max_points: 10_000,
            max_targets: 100,
            max_top_k: 100,
            max_places: 1_000_000,
            request_timeout_s: 60,
            shutdown_grace_s: 30,
            datasets: Vec::new(),
            eval_store: Address::Sqlite(state_folder().join("evaluations.sqlite")),
            eval_jobs: 16,
            eval_memory_mib: 2048,
            eval_lease_s: 15,
            max_kept_image_bytes: 1 << 30,
            keep_images_s: 24 * 3600,
            log_format: LogFormat::Pretty,
            log: "info".to_owned(),
        }
    }
}

/// What the command line has of the configuration: the file, and whatever stands above it.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Configuration")]
pub struct ConfigArgs {
    /// TOML file with any of the settings below, named as their flags
    #[arg(long, value_name = "FILE", env = "HOMOLOG_CONFIG")]
    pub config: Option<PathBuf>,

    /// The settings as clap sees them, its defaults among them: [`Config::load`] tells which were given.
    #[command(flatten)]
    pub given: Config,
}

/// A configuration that cannot be used; every variant names the field or the file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration file {} cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: std::io::Error,
    },
    /// The file is not TOML.
    #[error("the configuration file {} is not TOML: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: toml::de::Error,
    },
    /// A setting is given twice, with a hyphen and with an underscore.
    #[error("{field}: given twice in the configuration file")]
    Twice {
        /// The setting.
        field: String,
    },
    /// A setting has a value that it cannot have, or is not one.
    #[error("{field}: {reason}")]
    Field {
        /// The setting.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Config {
    /// Puts together what the command line, the environment and the file say; `log` is what is logged if none of them does.
    ///
    /// # Errors
    /// [`ConfigError`], with the field or file named.
    pub fn load(args: &ConfigArgs, matches: &clap::ArgMatches, log: &str) -> Result<Config, ConfigError> {
        let mut table = match &args.config {
            Some(path) => read(path)?,
            None => toml::Table::new(),
        };
        let field = |error: toml::ser::Error| ConfigError::Field {
            field: "a flag or environment variable".to_owned(),
            reason: error.to_string(),
        };
        // clap fills in defaults as well, and those must not outweigh the file
        for (name, value) in toml::Table::try_from(&args.given).map_err(field)? {
            let source = matches.value_source(&name);
            if matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable)) {
                table.insert(name, value);
            }
        }
        table.entry("log").or_insert_with(|| log.into());
        let config: Config = serde_path_to_error::deserialize(table).map_err(|error| {
            let path = error.path().to_string();
            ConfigError::Field { field: path, reason: error.into_inner().message().to_owned() }
        })?;
        config.check()?;
        Ok(config)
    }

    /// A zero here would make a service that answers nothing, and more than so much one that does not start.
    fn check(&self) -> Result<(), ConfigError> {
        let zeros = [
            ("workers", self.workers == 0),
            ("queue", self.queue == 0),
            ("max_requests", self.max_requests == 0),
            ("max_body_bytes", self.max_body_bytes == 0),
            ("max_image_side", self.max_image_side == 0),
            ("max_image_pixels", self.max_image_pixels == 0),
            ("max_points", self.max_points == 0),
            ("max_targets", self.max_targets == 0),
            ("max_places", self.max_places == 0),
            ("request_timeout_s", self.request_timeout_s == 0),
            ("eval_jobs", self.eval_jobs == 0),
            ("eval_memory_mib", self.eval_memory_mib == 0),
            ("eval_lease_s", self.eval_lease_s == 0),
        ];
        let wrong = |field: &str, reason: String| Err(ConfigError::Field { field: field.to_owned(), reason });
        if let Some((field, _)) = zeros.iter().find(|(_, is_zero)| *is_zero) {
            return wrong(field, "must be above 0".to_owned());
        }
        let most = [
            ("workers", self.workers, 1024),
            ("threads", self.threads, 1024),
            ("queue", self.queue, 1 << 20),
            ("max_requests", self.max_requests, 1 << 20),
            ("eval_jobs", self.eval_jobs, 1 << 20),
            ("eval_lease_s", usize::try_from(self.eval_lease_s).unwrap_or(usize::MAX), 24 * 3600),
        ];
        match most.iter().find(|(_, value, most)| value > most) {
            Some((field, _, most)) => wrong(field, format!("must be at most {most}")),
            None => Ok(()),
        }
    }

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
        EngineConfig { provider: self.provider, workers: self.workers, threads: self.threads, queue: self.queue }
    }

    /// How evaluations run.
    pub fn evaluations(&self) -> homolog_jobs::Settings {
        let datasets = self.datasets.iter().map(|dataset| (dataset.key.clone(), dataset.entry.clone()));
        homolog_jobs::Settings {
            datasets: datasets.collect(),
            most_jobs: self.eval_jobs,
            memory: self.eval_memory_mib.saturating_mul(1 << 20),
            spill: Some(std::env::temp_dir()),
            encoders: self.workers + 1,
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

/// The file's settings, with hyphens in their names taken as underscores.
fn read(path: &Path) -> Result<toml::Table, ConfigError> {
    let text =
        std::fs::read_to_string(path).map_err(|reason| ConfigError::Unreadable { path: path.to_owned(), reason })?;
    let file: toml::Table = text.parse().map_err(|reason| ConfigError::Syntax { path: path.to_owned(), reason })?;
    let mut table = toml::Table::new();
    for (name, value) in file {
        let field = name.replace('-', "_");
        if table.insert(field.clone(), value).is_some() {
            return Err(ConfigError::Twice { field });
        }
    }
    Ok(table)
}
