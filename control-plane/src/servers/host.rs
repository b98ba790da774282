//! A host as the control plane drives it: the agent of this machine, or in tests a small working one in memory.

use std::path::PathBuf;

use futures::future::BoxFuture;
use infra::agent::{Agent, Disk, Error, HostEvent, RunId, RunReading, SandboxLimits, SeenServer};
use infra::isolation::IsolationReport;
use infra::storage::Held;
use tenant_runtime::ids::ServerId;
use tenant_runtime::launch::Launch;
use tokio::sync::broadcast;

/// What a host answers, some time later.
pub type HostAnswer<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// What is asked of a host. Every call may be repeated.
pub trait Host: Send + Sync + 'static {
    /// Makes a server known: it wakes at the first connection to its sockets, which exist when this returns.
    fn place(&self, launch: Launch, limits: SandboxLimits) -> HostAnswer<'_, ()>;
    /// Ends its process, if there is one.
    fn sleep(&self, id: ServerId) -> HostAnswer<'_, ()>;
    /// Forgets it; its home stays.
    fn displace(&self, id: ServerId) -> HostAnswer<'_, ()>;
    /// Forgets it and deletes its home.
    fn erase(&self, id: ServerId) -> HostAnswer<'_, ()>;
    /// What its home consists of; nothing once it is deleted.
    fn holds(&self, id: ServerId) -> HostAnswer<'_, Held>;
    /// What every server placed here is doing.
    fn seen(&self) -> BoxFuture<'_, Vec<SeenServer>>;
    /// What runs took: those that last, and those that ended and are not acknowledged.
    fn readings(&self) -> BoxFuture<'_, Vec<RunReading>>;
    /// Forgets runs that ended, whose figures are in the books.
    fn acknowledge(&self, runs: Vec<RunId>) -> HostAnswer<'_, ()>;
    /// What happens from now on.
    fn events(&self) -> broadcast::Receiver<HostEvent>;
    /// Where a server answers the gateway.
    fn public_socket(&self, id: ServerId) -> PathBuf;
    /// Where a server answers us.
    fn admin_socket(&self, id: ServerId) -> PathBuf;
    /// How well servers are kept apart here.
    fn isolation(&self) -> IsolationReport;
    /// Which servers fell asleep while what they had acknowledged could not be published; it lies here alone.
    fn owing(&self) -> Vec<ServerId> {
        Vec::new()
    }
    /// The disks that caches and homes lie on.
    fn disks(&self) -> Vec<Disk> {
        Vec::new()
    }
}

impl Host for Agent {
    fn place(&self, launch: Launch, limits: SandboxLimits) -> HostAnswer<'_, ()> {
        Box::pin(Self::place(self, launch, limits))
    }

    fn sleep(&self, id: ServerId) -> HostAnswer<'_, ()> {
        Box::pin(Self::sleep(self, id))
    }

    fn displace(&self, id: ServerId) -> HostAnswer<'_, ()> {
        Box::pin(Self::displace(self, id))
    }

    fn erase(&self, id: ServerId) -> HostAnswer<'_, ()> {
        Box::pin(Self::erase(self, id))
    }

    fn holds(&self, id: ServerId) -> HostAnswer<'_, Held> {
        Box::pin(Self::holds(self, id))
    }

    fn seen(&self) -> BoxFuture<'_, Vec<SeenServer>> {
        Box::pin(Self::seen(self))
    }

    fn readings(&self) -> BoxFuture<'_, Vec<RunReading>> {
        Box::pin(Self::readings(self))
    }

    fn acknowledge(&self, runs: Vec<RunId>) -> HostAnswer<'_, ()> {
        Box::pin(Self::acknowledge(self, runs))
    }

    fn events(&self) -> broadcast::Receiver<HostEvent> {
        Self::events(self)
    }

    fn public_socket(&self, id: ServerId) -> PathBuf {
        Self::public_socket(self, id)
    }

    fn admin_socket(&self, id: ServerId) -> PathBuf {
        Self::admin_socket(self, id)
    }

    fn isolation(&self) -> IsolationReport {
        Self::isolation(self).clone()
    }

    fn owing(&self) -> Vec<ServerId> {
        Self::owing(self)
    }

    fn disks(&self) -> Vec<Disk> {
        Self::disks(self)
    }
}
