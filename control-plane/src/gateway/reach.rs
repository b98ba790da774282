//! The way to a server's socket, which may be about to open.

use std::io::ErrorKind::{ConnectionRefused, NotFound, WouldBlock};
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::net::UnixStream;

/// Connects to a server's socket, waiting up to `patience` for what passes by itself: the backlog of a waking server is
/// full, or its host has not opened its socket again after a restart.
pub(crate) async fn reach(socket: &Path, patience: Duration) -> std::io::Result<UnixStream> {
    let start = Instant::now();
    loop {
        match UnixStream::connect(socket).await {
            Err(error)
                if matches!(error.kind(), WouldBlock | NotFound | ConnectionRefused) && start.elapsed() < patience =>
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            connected => return connected,
        }
    }
}
