//! Where hosts come from.
//!
//! A provider runs servers on hosts, and a host is a machine with an agent on it. The machine under the provider
//! is one host that is always there ([`local`]); a cloud is a source of more.

pub mod local;

use std::fmt;
use std::future::Future;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One machine that runs servers: `hst_` and 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(uuid::Uuid);

impl HostId {
    /// A new id, ordered by its time of birth.
    #[must_use]
    pub fn new(now_ms: i64) -> Self {
        let ms = u64::try_from(now_ms).unwrap_or(0);
        let at = uuid::Timestamp::from_unix(uuid::NoContext, ms / 1000, (ms % 1000) as u32 * 1_000_000);
        Self(uuid::Uuid::new_v7(at))
    }
}

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hst_{}", self.0.simple())
    }
}

impl FromStr for HostId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = text.strip_prefix("hst_").filter(|hex| hex.len() == 32);
        let id = hex.and_then(|hex| uuid::Uuid::try_parse(hex).ok());
        id.map(Self).ok_or_else(|| format!("{text:?} is not a host id"))
    }
}

impl Serialize for HostId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HostId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
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
