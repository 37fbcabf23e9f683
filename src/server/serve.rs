//! `homolog serve`: bind, answer, load beside it, and stop without losing a request.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::watch;

use crate::app::{App, LoadError};
use crate::config::Config;
use crate::listen::{self, Bounds};
use crate::router;

/// Why the service does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be had.
    #[error("listen: {address} cannot be had: {reason}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        reason: std::io::Error,
    },
    /// No model can be served.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The operating system refuses something that every service needs.
    #[error("the service failed: {0}")]
    System(#[from] std::io::Error),
}

/// Serves until SIGTERM or SIGINT. The address is bound first and the models are loaded behind it, so that health checks are
/// answered from the start.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(config: Config, announce: impl FnOnce(SocketAddr)) -> Result<(), ServeError> {
    let refused = |reason| ServeError::Listen { address: config.listen, reason };
    // before anything is announced: whoever starts the service may stop it at once
    let stop = stop_signal()?;
    let listener = listen::bind(config.listen).map_err(refused)?;
    announce(listener.local_addr()?);

    let (delay, grace) = (Duration::from_secs(config.shutdown_delay_s), config.shutdown_grace());
    let bounds = Bounds {
        head: Duration::from_secs(config.header_timeout_s),
        silence: Duration::from_secs(config.body_timeout_s),
        connections: config.max_connections,
    };
    let app = App::new(config);
    let (stopping, mut stopped) = watch::channel(());
    let server = listen::serve(listener, router::app(app.clone()), bounds, async move {
        // an error means that the other end is gone, which means the same
        let _ = stopped.changed().await;
    });
    tokio::pin!(server, stop);

    let loading = load(app.clone());
    tokio::pin!(loading);
    let mut evaluations = None;
    loop {
        tokio::select! {
            result = &mut loading, if evaluations.is_none() => {
                result?;
                evaluations = Some(tokio::spawn(evaluate(app.clone())));
            }
            () = &mut server => return Ok(()),
            () = &mut stop => break,
        }
    }
    tracing::info!(delay_s = delay.as_secs(), grace_s = grace.as_secs(), "stopping");
    app.stop();
    if app.engine().is_ok() {
        // whoever sends requests here is told before the door is shut
        tokio::select! { () = &mut server => return Ok(()), () = tokio::time::sleep(delay) => {} }
    }
    let _ = stopping.send(());
    if tokio::time::timeout(grace, server).await.is_err() {
        tracing::warn!("requests that did not finish within the grace are given up");
    }
    app.shutdown();
    if let Some(evaluations) = evaluations
        && app.jobs().is_ok()
    {
        // what is not through by then is made again by whoever goes on
        let _ = tokio::time::timeout(LETTING_GO, evaluations).await;
    }
    if let Ok(jobs) = app.jobs() {
        jobs.store().close().await;
    }
    Ok(())
}

/// How long the results of a stopped evaluation are waited for.
const LETTING_GO: Duration = Duration::from_secs(5);
/// How often images are looked through for those that nobody needs, or oftener if they are kept for less.
const EXPIRING: Duration = Duration::from_secs(60);

/// Works on evaluations for as long as the service lives.
async fn evaluate(app: App) {
    let Ok(jobs) = app.open_jobs().await else { return };
    if app.is_stopping() {
        // told to before there was what to stop
        jobs.stop();
    }
    let age = Duration::from_secs(app.config().keep_images_s);
    let pause = EXPIRING.min(age.max(Duration::from_secs(1)));
    let expiring = async {
        loop {
            if let Err(error) = jobs.store().expire_images(age).await {
                tracing::error!("{error}");
            }
            tokio::time::sleep(pause).await;
        }
    };
    tokio::select! { () = jobs.clone().work() => {}, () = expiring => {} }
}

async fn load(app: App) -> Result<(), ServeError> {
    let loading = tokio::task::spawn_blocking(move || app.load());
    Ok(loading.await.map_err(std::io::Error::other)??)
}

/// Ends with the first SIGTERM or SIGINT.
#[cfg(unix)]
pub(crate) fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
    })
}

#[cfg(not(unix))]
pub(crate) fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
