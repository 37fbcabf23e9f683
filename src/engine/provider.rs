//! Execution providers: what was asked for, and what runs.

use crate::{Error, plan::Plan};
use ort::session::builder::SessionBuilder;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderChoice {
    /// CUDA where it can be had, else the CPU; the log says which and why.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// CUDA; an error where it cannot be had.
    Cuda,
}

/// What runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// The CPU.
    Cpu,
    /// CUDA.
    Cuda,
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Provider::Cpu => "cpu",
            Provider::Cuda => "cuda",
        })
    }
}

impl fmt::Display for ProviderChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProviderChoice::Auto => "auto",
            ProviderChoice::Cpu => "cpu",
            ProviderChoice::Cuda => "cuda",
        })
    }
}

impl FromStr for ProviderChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<ProviderChoice, String> {
        match text {
            "auto" => Ok(ProviderChoice::Auto),
            "cpu" => Ok(ProviderChoice::Cpu),
            "cuda" => Ok(ProviderChoice::Cuda),
            _ => Err(format!("`{text}` is no provider; choose one of auto, cpu, cuda")),
        }
    }
}

impl ProviderChoice {
    /// Settles the choice by registering the provider on a session that is thrown away: that CUDA is compiled in says nothing
    /// about a driver, its libraries or a device.
    pub(crate) fn settle(self, environment: &ort::environment::Environment) -> Result<Provider, Error> {
        if self == ProviderChoice::Cpu {
            return Ok(Provider::Cpu);
        }
        let cuda = Plan::new(Provider::Cuda, 1, 1, 1, 1).execution_provider();
        let tried = SessionBuilder::new(environment)
            .map_err(|error| error.to_string())
            .and_then(|builder| builder.with_execution_providers(cuda.as_slice()).map_err(|error| error.to_string()));
        match (tried, self) {
            (Ok(_), _) => Ok(Provider::Cuda),
            (Err(reason), ProviderChoice::Cuda) => Err(Error::CudaUnavailable { reason }),
            (Err(reason), _) => {
                tracing::info!(%reason, "CUDA cannot be had, running on the CPU");
                Ok(Provider::Cpu)
            }
        }
    }
}
