//! Where a home lies, and how it is to behave.

use std::path::PathBuf;
use std::time::Duration;

use super::bucket::Bucket;
use super::clock::Clock;

/// Where one home lies.
#[derive(Clone, Debug)]
pub struct Place {
    /// The durable part: this server's objects and nobody else's.
    pub bucket: Bucket,
    /// A local folder that may be lost at any time; only one process uses it at a time.
    pub cache: PathBuf,
    /// Who opens the home, for people who read a head: a host and a generation.
    pub owner: String,
}

/// How a home is to behave.
#[derive(Clone, Debug)]
pub struct Options {
    /// SQLite's page cache per connection, in KiB: the most it grows to, and given back when there is no work.
    pub cache_kib: u32,
    /// How many reads run at once.
    pub readers: usize,
    /// The most bytes the database may have; nothing for no limit.
    pub database_bytes: Option<u64>,
    /// A database up to this size is fetched whole by a cold wake; of a larger one pages come as they are read.
    pub whole_bytes: u64,
    /// When this much log lies outside the head, it is folded into packs.
    pub checkpoint_bytes: u64,
    /// How long an object no longer needed is kept, for readers that still hold an older head.
    pub grace: Duration,
    /// How much of the past is kept, if any.
    pub history: Option<History>,
    /// The newest layout of the database (SQLite's user version) that whoever opens the home understands; nothing when
    /// that is looked after elsewhere. A home of a newer one is refused before anything of it is touched.
    pub layout: Option<u32>,
    /// When a write is acknowledged.
    pub durability: Durability,
    /// How many requests writing may cost; nothing for no limit.
    pub budget: Option<Budget>,
    /// After how long without work connections and memory are given back.
    pub idle_after: Duration,
    /// What names moments. No age is judged by it.
    pub clock: Clock,
}

/// How much of a home's past is kept, so that any moment of it can be brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// How far back.
    pub window: Duration,
    /// The most bytes that are kept for nothing but that; beyond them the oldest goes first.
    pub bytes: u64,
}

/// When a write is acknowledged. An operator chooses it per plan, and pages say which holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When it is durable in the object store: what was acknowledged is never lost.
    #[default]
    Durable,
    /// At once; it is durable soon after. If the host dies, or another takes the home over, what was acknowledged in
    /// a span of at most this length may be lost, and nothing before it. While the object store cannot be reached for
    /// longer, nothing more is acknowledged.
    Within(Duration),
}

impl Durability {
    /// The longest span of acknowledged writes that may be lost, in milliseconds; 0 for none.
    #[must_use]
    pub fn loss_window_ms(&self) -> u64 {
        match self {
            Self::Durable => 0,
            Self::Within(span) => u64::try_from(span.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// What a server may spend on its writes. One that writes more makes its writers wait a little longer, up to a second,
/// so that more of them share a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Requests that store something, a day.
    pub requests_per_day: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_kib: 4096,
            readers: 4,
            database_bytes: None,
            whole_bytes: 16 << 20,
            checkpoint_bytes: 8 << 20,
            grace: Duration::from_secs(600),
            history: None,
            layout: None,
            durability: Durability::Durable,
            budget: None,
            idle_after: Duration::from_secs(2),
            clock: Clock::default(),
        }
    }
}
