//! Numbers of the matchers, as types that cannot hold a senseless value: what is parsed once is not checked again.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Error;

/// Divides cosine similarities before a softmax: finite and above 0. At 1.0 cosines give a nearly uniform mean, at 0.01 one
/// that hardly differs from the argmax.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(exclusive_minimum = 0.0))]
#[serde(try_from = "f32", into = "f32")]
pub struct Temperature(f32);

impl Temperature {
    /// Default of soft-argmax, over all tokens: 0.02.
    pub const SOFT: Temperature = Temperature(0.02);
    /// Default of window soft-argmax, and of the argmax's confidence: 0.05.
    pub const WINDOW: Temperature = Temperature(0.05);
    /// Default of kernel soft-argmax: 0.04.
    pub const KERNEL: Temperature = Temperature(0.04);

    /// The number itself.
    pub fn get(self) -> f32 {
        self.0
    }
}

/// Standard deviation of the Gaussian of kernel soft-argmax, in tokens: finite and above 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(exclusive_minimum = 0.0))]
#[serde(try_from = "f32", into = "f32")]
pub struct Sigma(f32);

impl Sigma {
    /// The published 7 tokens.
    pub const DEFAULT: Sigma = Sigma(7.0);

    /// The number itself.
    pub fn get(self) -> f32 {
        self.0
    }
}

macro_rules! positive {
    ($type:ident, $name:literal) => {
        impl TryFrom<f32> for $type {
            type Error = Error;

            fn try_from(value: f32) -> Result<$type, Error> {
                let sensible = value.is_finite() && value > 0.0;
                if sensible { Ok($type(value)) } else { Err(Error::NotPositive { name: $name, value }) }
            }
        }

        impl From<$type> for f32 {
            fn from(value: $type) -> f32 {
                value.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $type {
            type Err = Error;

            fn from_str(text: &str) -> Result<$type, Error> {
                // what is no number at all is reported as NaN, which is what it is
                $type::try_from(text.trim().parse().unwrap_or(f32::NAN))
            }
        }
    };
}

positive!(Temperature, "temperature");
positive!(Sigma, "sigma");

/// Side of a square of tokens round the best one: odd, so that it has a middle, from 1 to [`Window::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(minimum = 1, maximum = 255))]
#[serde(try_from = "u32", into = "u32")]
pub struct Window(u32);

impl Window {
    /// The greatest side, beyond any grid that is served.
    pub const MAX: u32 = 255;
    /// 5 × 5 tokens.
    pub const DEFAULT: Window = Window(5);

    /// Tokens along a side.
    pub fn side(self) -> usize {
        self.0 as usize
    }

    /// Tokens on each side of the middle one.
    pub fn radius(self) -> usize {
        self.side() / 2
    }
}

impl TryFrom<u32> for Window {
    type Error = Error;

    fn try_from(value: u32) -> Result<Window, Error> {
        if value % 2 == 1 && value <= Window::MAX {
            Ok(Window(value))
        } else {
            Err(Error::Window { value, max: Window::MAX })
        }
    }
}

impl From<Window> for u32 {
    fn from(window: Window) -> u32 {
        window.0
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
