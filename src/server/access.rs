//! Who may use the service: keys, how often each, and which web pages.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use axum::http::{HeaderMap, HeaderValue, Uri, header};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use homolog_core::bundle::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::error::ApiError;

/// A key as the configuration has it: never the key itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NamedKey {
    /// What the log calls it.
    pub name: String,
    /// SHA-256 of the key.
    pub digest: [u8; 32],
    /// Requests a second that it may be used for; as often as one likes when none.
    pub per_second: Option<NonZeroU32>,
}

impl NamedKey {
    /// A key of that name for this secret.
    pub fn new(name: &str, secret: &str) -> NamedKey {
        NamedKey { name: name.to_owned(), digest: Sha256::digest(secret).into(), per_second: None }
    }
}

impl FromStr for NamedKey {
    type Err = String;

    fn from_str(text: &str) -> Result<NamedKey, String> {
        // the text is not repeated: it may be the key itself, by mistake
        let wrong = || "a key is given as NAME=SHA256 or NAME=SHA256@PER_SECOND, as `homolog key` prints it".to_owned();
        let plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        let parts = text.split_once('=').filter(|(name, _)| !name.is_empty() && plain(name));
        let (name, rest) = parts.ok_or_else(wrong)?;
        let (digest, rate) = rest.split_once('@').map_or((rest, None), |(digest, rate)| (digest, Some(rate)));
        let digest = digest_of(digest).ok_or_else(wrong)?;
        let rate = rate.map(|rate| rate.parse::<NonZeroU32>().map_err(|_| wrong())).transpose()?;
        Ok(NamedKey { name: name.to_owned(), digest, per_second: rate })
    }
}

impl fmt::Display for NamedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, hex(&self.digest))?;
        self.per_second.map_or(Ok(()), |rate| write!(f, "@{rate}"))
    }
}

impl TryFrom<String> for NamedKey {
    type Error = String;

    fn try_from(text: String) -> Result<NamedKey, String> {
        text.parse()
    }
}

impl From<NamedKey> for String {
    fn from(key: NamedKey) -> String {
        key.to_string()
    }
}

/// The 32 bytes of a SHA-256 in lower-case hexadecimal.
pub fn digest_of(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let mut digest = [0; 32];
    if pairs.len() != digest.len() || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(digest)
}

/// The origin of a web page: scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin(HeaderValue);

impl Origin {
    /// As browsers send it.
    pub fn header(&self) -> &HeaderValue {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Origin, String> {
        let wrong =
            || format!("`{text}` is no origin: a scheme, a host and perhaps a port, say https://tool.example:8443");
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let whole = match (uri.scheme_str(), uri.authority()) {
            (Some(scheme), Some(host)) => format!("{scheme}://{host}"),
            _ => return Err(wrong()),
        };
        // a path, or an asterisk, would never be equal to what a browser sends
        let value = HeaderValue::from_str(text).map_err(|_| wrong())?;
        if whole.eq_ignore_ascii_case(text) { Ok(Origin(value)) } else { Err(wrong()) }
    }
}

impl TryFrom<String> for Origin {
    type Error = String;

    fn try_from(text: String) -> Result<Origin, String> {
        text.parse()
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> String {
        String::from_utf8_lossy(origin.0.as_bytes()).into_owned()
    }
}

/// The keys, and how often each was used lately.
pub struct Access(Vec<(NamedKey, Option<DefaultDirectRateLimiter>)>);

impl Access {
    /// Of these keys; without any, everybody may do everything.
    pub fn new(keys: &[NamedKey]) -> Access {
        let limiter = |key: &NamedKey| key.per_second.map(|rate| RateLimiter::direct(Quota::per_second(rate)));
        Access(keys.iter().map(|key| (key.clone(), limiter(key))).collect())
    }

    /// The name of the key that a request comes with; none where keys are not asked for. Uses the key once.
    ///
    /// # Errors
    /// [`ApiError::Unauthorized`], [`ApiError::RateLimited`].
    pub fn admit(&self, headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let value = headers.get(header::AUTHORIZATION).ok_or(ApiError::Unauthorized)?;
        let (scheme, secret) = value.as_bytes().split_at_checked("Bearer ".len()).ok_or(ApiError::Unauthorized)?;
        if !scheme.eq_ignore_ascii_case(b"bearer ") {
            return Err(ApiError::Unauthorized);
        }
        let digest: [u8; 32] = Sha256::digest(secret.trim_ascii()).into();
        // all are compared, each in the same time: how long it takes tells nothing about which is near
        let found = self.0.iter().fold(None, |found, entry| {
            let same = bool::from(entry.0.digest.ct_eq(&digest));
            if same { Some(entry) } else { found }
        });
        let (key, limiter) = found.ok_or(ApiError::Unauthorized)?;
        if let (Some(limiter), Some(rate)) = (limiter, key.per_second)
            && let Err(early) = limiter.check()
        {
            let after = early.wait_time_from(DefaultClock::default().now());
            return Err(ApiError::RateLimited { key: key.name.clone(), per_second: rate.get(), after });
        }
        Ok(Some(&key.name))
    }
}
