//! The ways to read a place off similarities, and how they are written in JSON and on the command line.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use super::{Sigma, Temperature, Window};
use crate::Error;

/// How a place is read off the similarities of a keypoint to the tokens of the target.
///
/// In JSON `{"kind": "window_soft_argmax", "window": 5, "temperature": 0.05}`; on the command line
/// `window_soft_argmax:window=5,temperature=0.05`. Settings that are left out take their defaults.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Matcher {
    /// The centre of the most similar token.
    Argmax {},
    /// The mean of all token centres, weighted by softmax(similarity / temperature).
    SoftArgmax {
        /// Divides the similarities.
        #[serde(default = "soft")]
        #[cfg_attr(feature = "openapi", schema(default = 0.02))]
        temperature: Temperature,
    },
    /// The same mean over a window of tokens round the most similar one; all others are left out.
    WindowSoftArgmax {
        /// Tokens along a side of the window, odd.
        #[serde(default = "five")]
        #[cfg_attr(feature = "openapi", schema(default = 5))]
        window: Window,
        /// Divides the similarities.
        #[serde(default = "sharp")]
        #[cfg_attr(feature = "openapi", schema(default = 0.05))]
        temperature: Temperature,
    },
    /// The same mean over all tokens, their similarities first multiplied by a Gaussian round the most similar one.
    KernelSoftArgmax {
        /// Standard deviation of the Gaussian, in tokens.
        #[serde(default = "seven")]
        #[cfg_attr(feature = "openapi", schema(default = 7.0))]
        sigma: Sigma,
        /// Divides the similarities.
        #[serde(default = "kernel")]
        #[cfg_attr(feature = "openapi", schema(default = 0.04))]
        temperature: Temperature,
    },
}

// serde takes defaults by the name of a function
fn soft() -> Temperature {
    Temperature::SOFT
}
fn sharp() -> Temperature {
    Temperature::WINDOW
}
fn kernel() -> Temperature {
    Temperature::KERNEL
}
fn five() -> Window {
    Window::DEFAULT
}
fn seven() -> Sigma {
    Sigma::DEFAULT
}

impl Matcher {
    /// Radius, in tokens, of the window round a peak that its confidence, ratio and suppression refer to: the matcher's own
    /// window, or [`Window::DEFAULT`] for a matcher that has none.
    pub fn radius(&self) -> usize {
        match self {
            Matcher::WindowSoftArgmax { window, .. } => window.radius(),
            _ => Window::DEFAULT.radius(),
        }
    }

    /// The temperature of its softmax, and of its confidence; [`Temperature::WINDOW`] for the argmax, which has none.
    pub fn temperature(&self) -> Temperature {
        match *self {
            Matcher::Argmax {} => Temperature::WINDOW,
            Matcher::SoftArgmax { temperature }
            | Matcher::WindowSoftArgmax { temperature, .. }
            | Matcher::KernelSoftArgmax { temperature, .. } => temperature,
        }
    }
}

impl Default for Matcher {
    fn default() -> Matcher {
        Matcher::WindowSoftArgmax { window: Window::DEFAULT, temperature: Temperature::WINDOW }
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Matcher::Argmax {} => write!(f, "argmax"),
            Matcher::SoftArgmax { temperature } => {
                write!(f, "soft_argmax:temperature={temperature}")
            }
            Matcher::WindowSoftArgmax { window, temperature } => {
                write!(f, "window_soft_argmax:window={window},temperature={temperature}")
            }
            Matcher::KernelSoftArgmax { sigma, temperature } => {
                write!(f, "kernel_soft_argmax:sigma={sigma},temperature={temperature}")
            }
        }
    }
}

/// Reads `kind` or `kind:name=value,name=value`; in the kind `-` stands for `_` as well.
impl FromStr for Matcher {
    type Err = Error;

    fn from_str(text: &str) -> Result<Matcher, Error> {
        let wrong = |reason: String| Error::MatcherSyntax { text: text.to_owned(), reason };
        let (kind, settings) = text.split_once(':').unwrap_or((text, ""));
        // written as JSON and read by serde, so that both notations have one set of rules
        let mut json = Map::new();
        json.insert("kind".to_owned(), Value::String(kind.trim().replace('-', "_")));
        for setting in settings.split(',').map(str::trim).filter(|setting| !setting.is_empty()) {
            let (name, value) =
                setting.split_once('=').ok_or_else(|| wrong(format!("`{setting}` is not of the form name=value")))?;
            let (name, value) = (name.trim(), value.trim());
            let number =
                number(value).ok_or_else(|| wrong(format!("{name} must be a finite number, not `{value}`")))?;
            if json.insert(name.to_owned(), Value::Number(number)).is_some() {
                return Err(wrong(format!("{name} is given twice")));
            }
        }
        serde_json::from_value(Value::Object(json)).map_err(|error| wrong(error.to_string()))
    }
}

/// A whole number stays one: a window of `5.0` tokens is refused as it is in JSON.
fn number(text: &str) -> Option<Number> {
    text.parse::<u32>().map(Number::from).ok().or_else(|| Number::from_f64(text.parse().ok()?))
}
