//! Serving until told to stop, and stopping without losing a request.
//!
//! On SIGTERM the runtime stops accepting, so whoever connects from then on waits in the listener's backlog for the
//! next runtime. Feeds are ended, open requests are finished, the home is put to sleep, and only then does it exit.

use std::future::Future;
use std::time::Duration;

use axum::Router;
use tokio::signal::unix::{SignalKind, signal};

use super::listen::Listener;

/// How long open requests may take to finish once the server stops.
const PATIENCE: Duration = Duration::from_secs(30);

/// Serves a router until `stop` resolves and what is open is finished.
pub async fn serve(listener: Listener, router: Router, stop: impl Future<Output = ()> + Clone + Send + 'static) {
    let serving = axum::serve(listener, router).with_graceful_shutdown(stop.clone()).into_future();
    let patience = async {
        stop.await;
        tokio::time::sleep(PATIENCE).await;
    };
    tokio::select! {
        // A listener's own errors never end serving, so there is no error to tell.
        _ = serving => {}
        () = patience => tracing::warn!("some requests did not finish in time and were cut"),
    }
}

/// Resolves when the process is asked to stop. Make it before saying that the runtime is ready.
pub fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
}

/// Takes in children that other processes of the sandbox left behind, as the first process of one must.
pub fn reap() -> std::io::Result<()> {
    let mut child = signal(SignalKind::child())?;
    tokio::spawn(async move {
        while child.recv().await.is_some() {
            while let Ok(Some(_)) = rustix::process::wait(rustix::process::WaitOptions::NOHANG) {}
        }
    });
    Ok(())
}
