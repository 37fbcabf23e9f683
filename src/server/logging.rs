//! Where log lines go, and how they look.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{Config, ConfigError, LogFormat};

/// Starts logging to standard error; standard output is for answers.
pub fn start(config: &Config) -> Result<(), ConfigError> {
    // ONNX Runtime says at level info what others say at trace; naming `ort` in the setting brings it back
    let filter = EnvFilter::try_new(format!("ort=warn,{}", config.log))
        .map_err(|error| ConfigError::Field { field: "log".to_owned(), reason: error.to_string() })?;
    // colours are for eyes: in a file or a pipe they are noise
    let colours = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    // a second start, which only tests make, would change nothing
    let _ = match config.log_format {
        LogFormat::Pretty => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    Ok(())
}
