//! The gateway's own count: bytes to and from each server since it was first asked for.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use tenant_runtime::ids::ServerId;

/// The tallies of all servers that somebody talked to. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Traffic {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Tells this process's tallies from those of every other one.
    process: String,
    last: AtomicU64,
    tallies: Mutex<HashMap<ServerId, Arc<Tally>>>,
}

/// The bytes of one server, counted upwards from zero.
#[derive(Debug)]
pub struct Tally {
    source: String,
    received: AtomicU64,
    sent: AtomicU64,
}

/// What a tally showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) server: ServerId,
    pub(super) source: String,
    pub(super) received: u64,
    pub(super) sent: u64,
}

impl Default for Traffic {
    fn default() -> Self {
        let process = hex::encode(rand::random::<[u8; 8]>());
        Self { shared: Arc::new(Shared { process, last: AtomicU64::new(0), tallies: Mutex::default() }) }
    }
}

impl Traffic {
    /// The tally of a server. Whoever holds it keeps it counting.
    #[must_use]
    pub fn of(&self, server: ServerId) -> Arc<Tally> {
        let mut tallies = self.shared.tallies.lock();
        let tally = tallies.entry(server).or_insert_with(|| {
            let number = self.shared.last.fetch_add(1, Relaxed);
            let source = format!("gateway-{}-{number}", self.shared.process);
            Arc::new(Tally { source, received: AtomicU64::new(0), sent: AtomicU64::new(0) })
        });
        Arc::clone(tally)
    }

    /// What every tally shows now.
    pub(super) fn shown(&self) -> Vec<Shown> {
        let tallies = self.shared.tallies.lock();
        tallies.iter().map(|(server, tally)| tally.shown(*server)).collect()
    }

    /// Drops the tallies that nobody holds and that still show what has been stored, so that servers long asleep cost
    /// nothing here. The next visitor's begins at zero under another name.
    pub(super) fn forget(&self, stored: &[Shown]) {
        let mut tallies = self.shared.tallies.lock();
        for shown in stored {
            let unused = |tally: &Arc<Tally>| Arc::strong_count(tally) == 1 && tally.shown(shown.server) == *shown;
            if tallies.get(&shown.server).is_some_and(unused) {
                tallies.remove(&shown.server);
            }
        }
    }
}

impl Tally {
    /// Counts bytes that came for the server.
    pub fn received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Relaxed);
    }

    /// Counts bytes that the server sent.
    pub fn sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Relaxed);
    }

    fn shown(&self, server: ServerId) -> Shown {
        Shown {
            server,
            source: self.source.clone(),
            received: self.received.load(Relaxed),
            sent: self.sent.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_is_forgotten_only_when_it_is_stored_and_nobody_holds_it() {
        let (traffic, server) = (Traffic::default(), ServerId::new(1));
        let tally = traffic.of(server);
        tally.received(5);
        traffic.of(server).sent(7);
        let shown = traffic.shown();
        assert_eq!((shown[0].received, shown[0].sent), (5, 7));
        traffic.forget(&shown);
        assert_eq!(traffic.shown(), shown, "somebody holds it");
        tally.sent(1);
        drop(tally);
        traffic.forget(&shown);
        let shown = traffic.shown();
        assert_eq!(shown[0].sent, 8, "it has counted on since");
        traffic.forget(&shown);
        assert_eq!(traffic.shown(), []);
        assert_ne!(traffic.of(server).source, shown[0].source, "what counts from zero again has another name");
    }
}
