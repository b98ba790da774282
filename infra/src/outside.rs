//! The one way from runtimes to other people's servers.
//!
//! A runtime has no network. The launcher connects each one it wakes to the socket here, and says for which server in a first
//! line, as with the [`crate::broker`]; over that connection the runtime has errands carried (`tenant_runtime::outside`), and
//! whoever carries them decides where they may go.
//!
//! Invariants: whoever connects is the host's own user; one connection serves one server for its whole life.
//!
//! Failure: when this process ends, runtimes have no way out until they wake again; what they wanted to send they keep.

use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tenant_runtime::outside::{Carrier, serve};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::broker::read_preface;

/// The socket within the run folder.
pub(crate) const SOCKET: &str = "outside";

/// How long a connection may take to say for whom it is.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who carries the errands of all servers of a host.
#[derive(Clone)]
pub struct Outward(pub Arc<dyn Carrier>);

impl fmt::Debug for Outward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outward")
    }
}

/// The way out at work; it ends when this is dropped, and with it every connection.
#[derive(Debug)]
pub struct Outside {
    serving: JoinHandle<()>,
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Outside {
    /// Listens at `socket`, in place of one that a former run left. Call within a tokio runtime.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn listen(socket: &Path, outward: Outward) -> io::Result<Self> {
        match std::fs::remove_file(socket) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let listener = UnixListener::bind(socket)?;
        std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { serving: tokio::spawn(accept(listener, outward)) })
    }
}

async fn accept(listener: UnixListener, outward: Outward) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => drop(connections.spawn(attend(socket, outward.clone()))),
                Err(error) => {
                    tracing::error!(cause = %error, "a runtime could not be connected to the outside");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            },
            // One that has ended is forgotten.
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn attend(mut socket: UnixStream, Outward(carrier): Outward) {
    let own = rustix::process::geteuid().as_raw();
    match socket.peer_cred() {
        Ok(peer) if peer.uid() == own => {}
        _ => return tracing::error!("somebody else tried to reach the way outside"),
    }
    let server = match tokio::time::timeout(PATIENCE, read_preface(&mut socket)).await {
        Ok(Ok(server)) => server,
        Ok(Err(error)) => return tracing::warn!(cause = %error, "a connection to the outside began wrongly"),
        Err(_) => return tracing::warn!("a connection to the outside did not say for whom it is"),
    };
    // Most runtimes hang up without ever having said anything.
    if let Err(error) = serve(socket, server, carrier).await {
        tracing::debug!(server.id = %server, cause = %error, "a runtime's way outside ended");
    }
}
