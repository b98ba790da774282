//! The homes of a host's servers, wherever they lie.

use std::path::PathBuf;

use tenant_runtime::ids::ServerId;
use tenant_runtime::store::bucket::PATIENCE;
use tokio::task::spawn_blocking;

use crate::broker::{Broker, SOCKET};
use crate::launcher::wire::Home;
use crate::storage::{Folder, Held, Objects, Storage};

use super::api::{AgentOptions, Error};
use super::folders::{at, private};

/// The homes of a host's servers.
#[derive(Debug)]
pub(super) enum Homes {
    /// In a folder of this machine.
    Folder(Folder),
    /// In an object store elsewhere, behind the broker at this socket.
    Objects { objects: Objects, socket: PathBuf },
}

impl Homes {
    /// Makes the folder, where they lie in one.
    pub(super) fn of(options: &AgentOptions) -> Result<Self, Error> {
        match &options.storage {
            Storage::Folder(folder) => private(folder).map(|_| Self::Folder(Folder::new(folder.clone()))),
            Storage::Objects(objects) => {
                let run_dir = options.run_dir.canonicalize().map_err(at("finding", &options.run_dir))?;
                Ok(Self::Objects { objects: objects.clone(), socket: run_dir.join(SOCKET) })
            }
        }
    }

    /// Opens the door to homes elsewhere, and goes on with what an earlier run did not finish deleting.
    pub(super) async fn begin(&self) -> Result<Option<Broker>, Error> {
        match self {
            Self::Folder(folder) => {
                let folder = folder.clone();
                blocking("erase homes", move || folder.finish_erasing()).await?;
                Ok(None)
            }
            Self::Objects { objects, socket } => {
                let broker = Broker::listen(socket, objects.clone()).map_err(at("listening at", socket))?;
                let objects = objects.clone();
                // Nobody waits for it, and a store that is away at this moment is no reason not to start.
                tokio::spawn(async move {
                    if let Err(error) = objects.finish_erasing().await {
                        tracing::warn!(cause = %error, "what is to be erased is still there; the next start tries again");
                    }
                });
                Ok(Some(broker))
            }
        }
    }

    /// Where a server's home is; one that is to be a folder is made.
    pub(super) fn make(&self, server: ServerId, user: Option<u32>) -> Result<Home, Error> {
        match self {
            Self::Folder(folder) => {
                let made = folder.make(server, user).map_err(at("making", &folder.home(server)))?;
                Ok(Home::Folder(made))
            }
            Self::Objects { socket, .. } => Ok(Home::Broker(socket.clone())),
        }
    }

    /// How long homes may take to answer, in milliseconds.
    pub(super) fn patience_ms(&self) -> u64 {
        let patience = match self {
            Self::Folder(_) => PATIENCE,
            Self::Objects { objects, .. } => objects.patience(),
        };
        u64::try_from(patience.as_millis()).unwrap_or(u64::MAX)
    }

    /// Deletes a server's home.
    pub(super) async fn erase(&self, server: ServerId) -> Result<(), Error> {
        match self {
            Self::Folder(folder) => {
                let folder = folder.clone();
                blocking("erase a home", move || folder.erase(server)).await
            }
            Self::Objects { objects, .. } => objects.erase(server).await.map_err(storage("erase a home")),
        }
    }

    /// What a server's home consists of.
    pub(super) async fn holds(&self, server: ServerId) -> Result<Held, Error> {
        match self {
            Self::Folder(folder) => {
                let folder = folder.clone();
                blocking("count a home", move || folder.holds(server)).await
            }
            Self::Objects { objects, .. } => objects.holds(server).await.map_err(storage("count a home")),
        }
    }

    /// What a server's home takes, in bytes.
    pub(super) async fn bytes(&self, server: ServerId) -> Result<u64, Error> {
        match self {
            Self::Folder(folder) => {
                let folder = folder.clone();
                blocking("measure a home", move || folder.usage(server)).await
            }
            Self::Objects { objects, .. } => objects.usage(server).await.map_err(storage("measure a home")),
        }
    }
}

fn storage<E: std::error::Error + Send + Sync + 'static>(doing: &'static str) -> impl FnOnce(E) -> Error {
    move |source| Error::Storage { doing, source: Box::new(source) }
}

async fn blocking<T: Send + 'static>(
    doing: &'static str,
    act: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    match spawn_blocking(act).await {
        Ok(result) => result.map_err(storage(doing)),
        // The runtime is shutting down: a panic would have been reported where it happened.
        Err(_) => Err(Error::LauncherGone),
    }
}
