//! What a server asks of other people's servers.
//!
//! A runtime has no network. Whoever runs it may give it a [`Carrier`]: under a host that is the host's own process, at the other
//! end of one connected socket ([`Hosted`], [`serve`]), which connects to public addresses only, follows nothing, and carries
//! nothing but the few calls that CEPS has between servers ([`PATHS`]), and what the code of apps asks of hosts that the owner
//! allowed it ([`Fetch`]).
//!
//! Invariants: an errand is bounded in size and time by whoever carries it; what comes back is another person's word and is
//! treated as such. It fails by saying whether to try again later.

mod direct;
mod hosted;
mod reach;
mod served;

use bytes::Bytes;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::ids::ServerId;

pub use direct::Direct;
pub use hosted::Hosted;
pub use reach::{NotPublic, Reach, is_hidden};
pub use served::serve;

/// The only paths on other servers that errands go to.
pub const PATHS: &[&str] = &[
    "/ceps/perms/validationtoken/verify",
    "/ceps/message/transmit",
    "/ceps/message/verify",
    export_format::moving::SERVER_PATH,
];

/// The longest body either way: a record, and what stands around it.
pub const LONGEST: usize = (2 << 20) + (256 << 10);

/// The longest body of what the code of apps asks, and of the answer.
pub const LONGEST_FETCHED: usize = 4 << 20;

/// One call to another server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errand {
    /// The other server: a host name, with a port where it has one of its own.
    pub host: String,
    /// The path, one of [`PATHS`].
    pub path: String,
    /// What is asked, in the address.
    pub query: Vec<(String, String)>,
    /// What is sent, as JSON; without it, it is a `GET`.
    pub body: Option<String>,
}

/// What the other server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// In how many seconds it wants to be asked again.
    pub retry_after: Option<u32>,
    /// What it said.
    pub body: Bytes,
}

/// A request of an app's code to another computer. Whether the app may is decided by whoever sends it here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetch {
    /// Its method, in capitals.
    pub method: String,
    /// The whole address.
    pub url: String,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

/// What another computer answered to that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Bytes,
}

/// Why nothing came back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody carries anything here.
    #[error("this server has no way to other servers where it runs now")]
    NoWay,
    /// It may work later.
    #[error("{0}")]
    Later(String),
    /// It never will.
    #[error("{0}")]
    Never(String),
}

/// Makes requests for the code of apps.
pub trait Fetcher: Send + Sync {
    /// Asks another computer, and brings back what it answered.
    fn fetch(&self, fetch: Fetch) -> BoxFuture<'_, Result<Fetched, Error>>;
}

/// Carries errands.
pub trait Carrier: Fetcher {
    /// Carries one, and brings back what the other server said.
    fn carry(&self, errand: Errand) -> BoxFuture<'_, Result<Reply, Error>>;

    /// Remembers that a server wants to be awake at a moment (Unix milliseconds), whatever becomes of its process. Once this has
    /// succeeded it is remembered durably. Where nobody wakes anybody, nothing is.
    fn remember(&self, server: ServerId, at_ms: i64) -> BoxFuture<'_, Result<(), Error>> {
        let _ = (server, at_ms);
        Box::pin(std::future::ready(Err(Error::NoWay)))
    }
}

impl Errand {
    /// A call that sends something.
    pub(crate) fn post(host: &str, path: &str, body: &serde_json::Value) -> Self {
        Self { host: host.to_owned(), path: path.to_owned(), query: Vec::new(), body: Some(body.to_string()) }
    }

    /// A call that only asks.
    pub(crate) fn get(host: &str, path: &str, query: Vec<(String, String)>) -> Self {
        Self { host: host.to_owned(), path: path.to_owned(), query, body: None }
    }

    /// Whether it is one of the calls there are between servers.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        PATHS.contains(&self.path.as_str())
            && self.body.as_ref().is_none_or(|body| body.len() <= LONGEST)
            && self.query.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() <= 4 << 10
            && format!("x@{}", self.host).parse::<crate::sharing::Person>().is_ok()
    }
}
