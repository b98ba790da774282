//! One host's daemon, here a library in the provider's process.
//!
//! The agent knows what is placed on its host; the launcher knows what runs. Nothing about running servers is
//! remembered across restarts: the control plane places again, and the agent sweeps whatever a killed run left.

mod api;

pub use api::{
    AgentOptions, Ended, Error, Event, HostEvent, Insist, Kind, SandboxLimits, SeenServer, State, Usage,
};

use std::path::PathBuf;
use std::sync::Arc;

use tenant_runtime::ids::ServerId;
use tenant_runtime::launch::Launch;
use tokio::sync::broadcast;

use crate::isolation::IsolationReport;
use crate::launcher::LauncherHandle;

/// The way to one host's daemon; clones are the same agent.
#[derive(Clone, Debug)]
pub struct Agent {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: AgentOptions,
    report: IsolationReport,
    events: broadcast::Sender<HostEvent>,
    _launcher: LauncherHandle,
}

impl Agent {
    /// Starts the agent: sweeps what a killed run left behind and measures the isolation of this machine.
    ///
    /// # Errors
    /// [`Error::Isolation`] when this machine cannot keep servers apart; others when a folder cannot be used.
    pub async fn start(launcher: LauncherHandle, options: AgentOptions) -> Result<Self, Error> {
        let (events, _) = broadcast::channel(1024);
        Ok(Self { inner: Arc::new(Inner { options, report: IsolationReport::default(), events, _launcher: launcher }) })
    }

    /// Makes a server known here: its sockets exist afterwards, and it wakes at the first connection. Repeating it
    /// changes nothing; a changed launch puts the server to sleep and holds from the next wake on. The agent fills
    /// in `launch.storage` and `launch.cache`.
    ///
    /// # Errors
    /// [`Error`] when folders or sockets cannot be made.
    pub async fn place(&self, launch: Launch, _limits: SandboxLimits) -> Result<(), Error> {
        Err(Error::NotPlaced(launch.server))
    }

    /// Puts a server to sleep and returns when it is; one that does not end in time is killed.
    ///
    /// # Errors
    /// [`Error::NotPlaced`], [`Error::LauncherGone`].
    pub async fn sleep(&self, id: ServerId) -> Result<(), Error> {
        Err(Error::NotPlaced(id))
    }

    /// Puts a server to sleep and forgets it here: its sockets and its cache are gone, its home stays.
    ///
    /// # Errors
    /// [`Error::LauncherGone`], or when the cache cannot be removed. A server not placed here is no error.
    pub async fn displace(&self, id: ServerId) -> Result<(), Error> {
        Err(Error::NotPlaced(id))
    }

    /// Displaces a server and deletes its home.
    ///
    /// # Errors
    /// As [`Self::displace`], or when the home cannot be removed.
    pub async fn erase(&self, id: ServerId) -> Result<(), Error> {
        Err(Error::NotPlaced(id))
    }

    /// What the placed servers are doing now.
    pub async fn seen(&self) -> Vec<SeenServer> {
        Vec::new()
    }

    /// What happens to servers from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<HostEvent> {
        self.inner.events.subscribe()
    }

    /// Where the gateway reaches a server.
    #[must_use]
    pub fn public_socket(&self, id: ServerId) -> PathBuf {
        self.inner.options.run_dir.join(id.to_string()).join("public")
    }

    /// Where the control plane reaches a server's administration.
    #[must_use]
    pub fn admin_socket(&self, id: ServerId) -> PathBuf {
        self.inner.options.run_dir.join(id.to_string()).join("admin")
    }

    /// Which mechanisms keep servers apart here, and which are missing and why.
    #[must_use]
    pub fn isolation(&self) -> &IsolationReport {
        &self.inner.report
    }

    /// Puts every server to sleep and ends the launcher.
    ///
    /// # Errors
    /// [`Error::LauncherGone`] when it had ended already.
    pub async fn drain(&self) -> Result<(), Error> {
        Ok(())
    }
}
