//! `homolog health`: asks a running service whether it is ready, so that a container's health check needs no other program.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::{Done, print};
use crate::config::Config;

/// The longest that is waited for an answer, shorter than what container engines allow a check.
const PATIENCE: Duration = Duration::from_secs(3);

/// An answer of /health/ready that is longer is of something else.
const MAX_ANSWER: u64 = 64 << 10;

/// Why a service is not taken for ready; every variant is a sentence for the log of the container engine.
#[derive(Debug, thiserror::Error)]
enum Unready {
    #[error("listen: port 0 is a port that only the running service knows; name the one it listens on")]
    NoPort,
    #[error("no answer at http://{address}/health/ready: {reason}")]
    Silent { address: SocketAddr, reason: std::io::Error },
    #[error("what listens at {address} does not answer as Homolog does")]
    Stranger { address: SocketAddr },
    #[error("not ready: {reason}")]
    Told { reason: String },
}

/// `homolog health`.
pub fn health(config: &Config) -> Done {
    ask(config.listen)?;
    print("ready\n")
}

fn ask(listen: SocketAddr) -> Result<(), Unready> {
    if listen.port() == 0 {
        return Err(Unready::NoPort);
    }
    let end = Instant::now() + PATIENCE;
    let mut failed = None;
    for address in addresses(listen) {
        match exchange(address, end) {
            Ok(answer) => return judge(&answer, address),
            // where both loopbacks are asked, the reason of the first, which is of the family that was configured
            Err(reason) => failed = failed.or(Some(Unready::Silent { address, reason })),
        }
    }
    Err(failed.unwrap_or(Unready::NoPort))
}

/// Where a service that listens there can be asked from the same machine: "any address" is none that one can connect to.
fn addresses(listen: SocketAddr) -> Vec<SocketAddr> {
    let v4 = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let ips = match listen.ip().to_canonical() {
        IpAddr::V4(ip) if ip.is_unspecified() => vec![v4],
        // it takes IPv4 as well, and a container may have no IPv6 loopback
        IpAddr::V6(ip) if ip.is_unspecified() => vec![IpAddr::V6(Ipv6Addr::LOCALHOST), v4],
        ip => vec![ip],
    };
    ips.into_iter().map(|ip| SocketAddr::new(ip, listen.port())).collect()
}

/// Sends the request and reads what comes until the other end closes.
fn exchange(address: SocketAddr, end: Instant) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, left(end)?)?;
    stream.set_write_timeout(Some(left(end)?))?;
    let request = format!("GET /health/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    while (answer.len() as u64) < MAX_ANSWER {
        // for each part: a time-out of the socket begins again with every byte
        stream.set_read_timeout(Some(left(end)?))?;
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(part.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            // what Unix calls a time-out of a socket
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Err(late()),
            Err(error) => return Err(error),
        }
    }
    Ok(answer)
}

/// The time until `end`, never zero: a socket takes zero for an error.
fn left(end: Instant) -> std::io::Result<Duration> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(late()) } else { Ok(left) }
}

fn late() -> std::io::Error {
    let seconds = PATIENCE.as_secs();
    std::io::Error::new(std::io::ErrorKind::TimedOut, format!("nothing came within {seconds} seconds"))
}

/// 200 is ready; any other status comes with a problem whose `detail` says why.
fn judge(answer: &[u8], address: SocketAddr) -> Result<(), Unready> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").ok_or(Unready::Stranger { address })?;
    let status =
        head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|code| code.parse::<u16>().ok());
    match status {
        Some(200) => Ok(()),
        Some(status) => {
            let problem = serde_json::from_str::<serde_json::Value>(body).unwrap_or_default();
            let detail = problem.get("detail").and_then(serde_json::Value::as_str);
            Err(Unready::Told { reason: detail.map_or_else(|| format!("it answers {status}"), str::to_owned) })
        }
        None => Err(Unready::Stranger { address }),
    }
}
