//! Where hosts come from.
//!
//! A provider runs servers on hosts, and a host is a machine with an agent on it. The machine under the provider
//! is one host that is always there ([`local`]); a cloud is a source of more.

pub mod local;

use std::future::Future;

export_format::prefixed_id! {
    /// One machine that runs servers.
    pub struct HostId("hst")
}

/// A machine that can run servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name everywhere.
    pub id: HostId,
    /// How an operator recognises it, for example its host name.
    pub label: String,
    /// All of its memory, in bytes.
    pub memory_bytes: u64,
    /// How many processors it has.
    pub processors: u32,
}

/// Why a host could not be had, or could not be given back.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This source has no further host to give.
    #[error("no further host is to be had from {0}")]
    Exhausted(&'static str),
    /// The host is not one of this source's.
    #[error("{0} is not a host of this source")]
    Unknown(HostId),
}

/// A source of hosts.
pub trait Hosts {
    /// Gets one more host; it is usable when this returns.
    fn acquire(&self) -> impl Future<Output = Result<Host, Error>> + Send;

    /// Gives a host back; nothing may be placed on it any more.
    fn release(&self, id: HostId) -> impl Future<Output = Result<(), Error>> + Send;

    /// The hosts acquired and not released.
    fn list(&self) -> impl Future<Output = Result<Vec<Host>, Error>> + Send;
}
