//! The one door between runtimes and an object store elsewhere.
//!
//! A runtime has no network and must never hold credentials of the provider's, which open everybody's homes. So the
//! host's process holds them, and answers each awake runtime out of that server's own prefix. The launcher makes the
//! connection when it wakes a server, says in a first line for which one, and hands it on; the runtime cannot make
//! one, and cannot say another name, because that line is read before the runtime exists.
//!
//! Invariants: whoever connects is the host's own user; one connection serves one server for its whole life.
//!
//! Failure: when this process ends, so do its connections, and with them the runtimes; homes are as they were last
//! acknowledged. A store that does not answer is told to the runtime as such, and it tells whoever asks it.

mod preface;

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::storage::Objects;

pub(crate) use preface::{preface, read as read_preface};

/// The broker's socket within the run folder.
pub(crate) const SOCKET: &str = "storage";

/// How long a connection may take to say for whom it is.
const PATIENCE: Duration = Duration::from_secs(5);

/// A broker at work; it ends when this is dropped, and with it every connection.
#[derive(Debug)]
pub struct Broker {
    serving: JoinHandle<()>,
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Broker {
    /// Listens at `socket`, in place of one that a former run left. Call within a tokio runtime.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn listen(socket: &Path, homes: Objects) -> io::Result<Self> {
        match std::fs::remove_file(socket) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let listener = UnixListener::bind(socket)?;
        std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { serving: tokio::spawn(accept(listener, homes)) })
    }
}

async fn accept(listener: UnixListener, homes: Objects) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => drop(connections.spawn(serve(socket, homes.clone()))),
                Err(error) => {
                    tracing::error!(cause = %error, "a runtime could not be connected to its storage");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            },
            // One that has ended is forgotten.
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(mut socket: UnixStream, homes: Objects) {
    let own = rustix::process::geteuid().as_raw();
    match socket.peer_cred() {
        Ok(peer) if peer.uid() == own => {}
        _ => return tracing::error!("somebody else tried to reach the storage"),
    }
    let server = match tokio::time::timeout(PATIENCE, preface::read(&mut socket)).await {
        Ok(Ok(server)) => server,
        Ok(Err(error)) => return tracing::warn!(cause = %error, "a connection to the storage began wrongly"),
        Err(_) => return tracing::warn!("a connection to the storage did not say for whom it is"),
    };
    if let Err(error) = tenant_runtime::store::bucket::serve(socket, Arc::new(homes.home(server))).await {
        // A runtime that was killed hangs up in the middle of a word.
        tracing::debug!(server.id = %server, cause = %error, "a runtime's connection to its storage broke");
    }
}
