//! Connections: taken as they come, each given so long for the head of a request and for its answer, and all let end when the service
//! stops.

mod paced;

use std::future::Future;
use std::io;
use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use paced::Paced;

/// How long taking connections pauses when the system has no more files for them.
const PAUSE: Duration = Duration::from_millis(200);

/// Connections that may wait to be taken. Those that come together beyond it are only heard when they try again, a second later; what
/// listens without saying has room for 128.
const WAITING: u32 = 4096;

/// The longest head of a request, and about what a connection holds of an answer.
const BUFFER: usize = 64 << 10;

/// What the system holds of an answer, in bytes, as far as we may ask: a reader's pace is seen in steps of a part of it.
const SENDING: u32 = 512 << 10;

/// What a connection may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How long the head of a request may take, and how long the connection may be idle before one.
    pub head: Duration,
    /// How long a connection waits for its reader in which too little of an answer is taken.
    pub silence: Duration,
    /// Connections that are open at once; further ones wait to be taken.
    pub connections: usize,
}

/// Listens at `address`; to be called in a runtime.
///
/// # Errors
/// What the system says.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // connections of a service that ended just now keep nobody from following it
    socket.set_reuseaddr(true)?;
    // of what the system takes for a reader nobody knows whether it was taken; every connection inherits it
    socket.set_send_buffer_size(SENDING)?;
    socket.bind(address)?;
    socket.listen(WAITING)
}

/// Answers connections with `router` until `stop` ends, and then those that are open until their requests are answered.
///
/// HTTP/1.1 alone: a connection that might become HTTP/2 may hold back the bytes that tell, and no time-out of hyper's reaches it then.
pub async fn serve(listener: TcpListener, router: Router, bounds: Bounds, stop: impl Future<Output = ()>) {
    let mut builder = Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(bounds.head).max_buf_size(BUFFER);
    let places = Arc::new(Semaphore::new(bounds.connections.clamp(1, Semaphore::MAX_PERMITS)));
    let open = GracefulShutdown::new();
    tokio::pin!(stop);
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! { next = next => next, () = &mut stop => break };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            // it was given up before it was taken
            Err(error) if matches!(error.kind(), ConnectionAborted | ConnectionReset | ConnectionRefused) => continue,
            Err(error) => {
                tracing::warn!("a connection could not be taken: {error}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // answers are written whole: waiting for more to send only delays them
        let _ = stream.set_nodelay(true);
        let stream = Paced::new(stream, bounds.silence);
        let service = router.clone().map_request(|request: Request<Incoming>| request.map(Body::new));
        let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let connection = open.watch(connection);
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = connection.await {
                tracing::debug!("a connection ended: {error}");
            }
        });
    }
    drop(listener);
    open.shutdown().await;
}
