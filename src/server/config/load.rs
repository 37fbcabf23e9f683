//! How a configuration comes about: flags over the environment over the file over the defaults, and what is refused.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::parser::ValueSource;

use super::Config;

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
            ("queue", self.queue == 0),
            ("max_requests", self.max_requests == 0),
            ("max_body_bytes", self.max_body_bytes == 0),
            ("body_memory_mib", self.body_memory_mib == 0),
            ("answer_memory_mib", self.answer_memory_mib == 0),
            ("header_timeout_s", self.header_timeout_s == 0),
            ("body_timeout_s", self.body_timeout_s == 0),
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
            ("max_batch", self.max_batch, 1024),
            ("eval_jobs", self.eval_jobs, 1 << 20),
            ("eval_lease_s", usize::try_from(self.eval_lease_s).unwrap_or(usize::MAX), 24 * 3600),
        ];
        let bodies = self.body_memory_mib.saturating_mul(1 << 20);
        if bodies < self.max_body_bytes as u64 {
            return wrong("body_memory_mib", format!("must be at least one body, {} bytes", self.max_body_bytes));
        }
        let twice = self
            .api_keys
            .iter()
            .enumerate()
            .find(|(at, key)| self.api_keys.iter().take(*at).any(|other| other.name == key.name));
        if let Some((_, key)) = twice {
            return wrong("api_keys", format!("`{}` is given twice", key.name));
        }
        match most.iter().find(|(_, value, most)| value > most) {
            Some((field, _, most)) => wrong(field, format!("must be at most {most}")),
            None => Ok(()),
        }
    }
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
