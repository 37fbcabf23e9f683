//! One file over HTTP, whole or not at all: resumed where it broke off, checked before it gets its name.
//!
//! What has come lies in `NAME.part`; `NAME.part.json` says of which file it is a part. A later attempt, or a later run, asks
//! for the rest by `Range` with `If-Range`, so that a file that changed meanwhile comes anew and is not glued to the old
//! beginning (RFC 9110, §13.1.5 and §14.2).

mod partial;

use crate::Error;
use homolog_core::bundle::{self, FileInfo};
use indicatif::ProgressBar;
use partial::{Partial, Record};
use std::{
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
    time::Duration,
};
use ureq::{
    Agent, Body,
    http::{Response, header},
};

/// The longest pause between two attempts.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// A server that is silent for so long is given up, and asked again.
const SILENCE: Duration = Duration::from_secs(60);

/// A file to fetch.
#[derive(Clone, Copy, Debug)]
pub struct Download<'a> {
    /// Where it lies, `http` or `https`.
    pub url: &'a str,
    /// The file to write; its folder is made where it is missing.
    pub path: &'a Path,
    /// Its SHA-256 in hexadecimal, where it is known.
    pub sha256: Option<&'a str>,
    /// Attempts in a row that may fail without bringing anything new, beyond the first.
    pub retries: u32,
    /// The pause after the first of them; it doubles from one to the next, up to half a minute.
    pub wait: Duration,
}

/// How one attempt ended, short of a final error.
enum Attempt {
    /// Every byte is there.
    Whole,
    /// What was there is of no use; it was removed, and the next attempt begins at the first byte.
    Anew,
    /// The connection or the server failed, with the reason.
    Broken(String),
}

impl Download<'_> {
    /// The file's digest and length if it is already there: with the digest that is known, or, where none is, from the same
    /// address with the length that the server gave.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read.
    pub fn present(&self) -> Result<Option<FileInfo>, Error> {
        if !self.path.is_file() {
            return Ok(None);
        }
        let found = bundle::digest_file(self.path).map_err(Error::file(self.path))?;
        let same = match self.sha256 {
            Some(sha256) => found.sha256 == sha256,
            None => Record::read(&beside(self.path, ".json"))
                .is_some_and(|record| record.url == self.url && record.bytes == Some(found.bytes)),
        };
        Ok(same.then_some(found))
    }

    /// Fetches the file, shows on `bar` how far it is, checks length and digest, and moves it to its name.
    ///
    /// # Errors
    /// [`Error::Status`], [`Error::Url`] and [`Error::NoLength`] at once, [`Error::Broken`] after the last attempt,
    /// [`Error::Digest`], [`Error::Busy`], [`Error::File`].
    pub fn fetch(&self, bar: &ProgressBar) -> Result<FileInfo, Error> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .user_agent(concat!("homolog-train/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(SILENCE))
            .timeout_recv_response(Some(SILENCE))
            .timeout_per_read(Some(SILENCE));
        let agent = config.build().new_agent();
        let mut partial = Partial::open(self.url, self.path)?;
        let (mut failed, mut furthest, mut wait) = (0, partial.length(), self.wait);
        loop {
            match self.attempt(&agent, &mut partial, bar)? {
                Attempt::Whole => break,
                Attempt::Anew => {}
                Attempt::Broken(reason) => {
                    if partial.length() > furthest {
                        (failed, furthest, wait) = (0, partial.length(), self.wait);
                    }
                    failed += 1;
                    if failed > self.retries {
                        let (url, kept) = (self.url.into(), partial.length());
                        return Err(Error::Broken { url, attempts: failed, reason, kept });
                    }
                    let pause = format!("{reason}; again in {:.0} s", wait.as_secs_f64());
                    bar.suspend(|| eprintln!("{pause} ({failed} of {})", self.retries));
                    std::thread::sleep(wait);
                    wait = (wait * 2).min(MAX_WAIT);
                }
            }
        }
        partial.finish(self.sha256)
    }

    fn attempt(&self, agent: &Agent, partial: &mut Partial, bar: &ProgressBar) -> Result<Attempt, Error> {
        if partial.is_whole() {
            return Ok(Attempt::Whole);
        }
        let mut request = agent.get(self.url).header(header::ACCEPT_ENCODING, "identity");
        let resumed = partial.resumable();
        if let Some((from, validator)) = resumed {
            request = request.header(header::RANGE, format!("bytes={from}-")).header(header::IF_RANGE, validator);
        }
        let resumed = resumed.is_some();
        let response = match request.call() {
            Ok(response) => response,
            Err(error) => return self.failed(error).map(Attempt::Broken),
        };
        match response.status().as_u16() {
            200 => {
                let record = Record::of(self.url, response.headers());
                // Without either, a file cut short by a closed connection could not be told from a whole one.
                if record.bytes.is_none() && self.sha256.is_none() {
                    return Err(Error::NoLength { url: self.url.into() });
                }
                partial.restart(record)?;
            }
            206 if resumed && partial.continues(response.headers()) => {}
            206 | 416 if resumed => {
                partial.restart(Record::of(self.url, &Default::default()))?;
                return Ok(Attempt::Anew);
            }
            status @ (408 | 425 | 429 | 500..=599) => {
                return Ok(Attempt::Broken(format!("the server answered {status}")));
            }
            status => return Err(Error::Status { url: self.url.into(), status }),
        }
        self.receive(response, partial, bar)
    }

    fn receive(&self, response: Response<Body>, partial: &mut Partial, bar: &ProgressBar) -> Result<Attempt, Error> {
        if let Some(bytes) = partial.bytes() {
            bar.set_length(bytes);
        }
        bar.set_position(partial.length());
        bar.reset_eta();
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0u8; 1 << 16];
        loop {
            match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => partial.append(buffer.get(..read).unwrap_or_default())?,
                Err(error) => return Ok(Attempt::Broken(format!("the connection broke: {error}"))),
            }
            bar.set_position(partial.length());
        }
        match partial.bytes() {
            Some(bytes) if bytes != partial.length() => {
                Ok(Attempt::Broken(format!("{} of {bytes} bytes came", partial.length())))
            }
            _ => Ok(Attempt::Whole),
        }
    }

    /// Why a request failed, where another may succeed.
    fn failed(&self, error: ureq::Error) -> Result<String, Error> {
        use ureq::Error as E;
        match error {
            // A certificate that is refused would be refused again.
            E::Io(error) if error.kind() != ErrorKind::InvalidData => Ok(error.to_string()),
            E::Timeout(_) | E::HostNotFound | E::ConnectionFailed | E::Protocol(_) | E::ConnectProxyFailed(_) => {
                Ok(error.to_string())
            }
            other => Err(Error::Url { url: self.url.into(), reason: other.to_string() }),
        }
    }
}

/// `path` with an ending added to its name.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
