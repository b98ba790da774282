//! What was last seen of every server, and when. Memory only: after a restart we have seen nothing yet, and say so.

use std::collections::HashMap;

use infra::agent::{self, Event, HostEvent, SeenServer};
use jiff::Timestamp;
use parking_lot::RwLock;
use tenant_runtime::ids::{Generation, ServerId};

/// What was seen of a server.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// We have not looked since we started, or the host did not answer.
    Unsure,
    /// No host has it.
    Nothing,
    /// A host has it.
    Placed {
        /// Which placement the host knows of.
        generation: Generation,
        /// What it is doing there.
        doing: Doing,
    },
    /// It is gone for good.
    Erased,
}

/// What a placed server is doing.
#[derive(Debug, Clone, PartialEq)]
pub enum Doing {
    /// No process; it wakes at the first request.
    Asleep,
    /// It answers.
    Awake {
        /// Since when; unknown until the host is asked.
        since: Option<Timestamp>,
        /// Its memory, in bytes, where the host could read it.
        memory_bytes: Option<u64>,
    },
    /// It ended unasked and is held back for a while.
    Crashing {
        /// How it ended last.
        why: String,
        /// How many times in a row.
        times: u32,
    },
}

/// What was seen, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    /// What.
    pub seen: Seen,
    /// When.
    pub at: Timestamp,
}

impl Seen {
    /// One word for a table.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unsure => "not seen yet",
            Self::Nothing => "not placed",
            Self::Placed { doing: Doing::Asleep, .. } => "asleep",
            Self::Placed { doing: Doing::Awake { .. }, .. } => "awake",
            Self::Placed { doing: Doing::Crashing { .. }, .. } => "crashing",
            Self::Erased => "erased",
        }
    }
}

/// What was last seen of every server.
#[derive(Debug, Default)]
pub(crate) struct Sightings {
    seen: RwLock<HashMap<ServerId, Sighting>>,
    trouble: RwLock<HashMap<ServerId, String>>,
}

impl Sightings {
    pub(crate) fn of(&self, id: ServerId) -> Sighting {
        self.seen.read().get(&id).cloned().unwrap_or(Sighting { seen: Seen::Unsure, at: Timestamp::UNIX_EPOCH })
    }

    pub(crate) fn trouble(&self, id: ServerId) -> Option<String> {
        self.trouble.read().get(&id).cloned()
    }

    /// Notes why a server is not as it ought to be; true when that is news.
    pub(crate) fn note_trouble(&self, id: ServerId, trouble: Option<String>) -> bool {
        let mut troubles = self.trouble.write();
        let former = match trouble.clone() {
            Some(sentence) => troubles.insert(id, sentence),
            None => troubles.remove(&id),
        };
        former != trouble
    }

    /// Replaces everything by what a host just told. What it does not tell of, it does not have.
    pub(crate) fn look(&self, told: &[SeenServer], known: impl Iterator<Item = ServerId>, at: Timestamp) {
        let nothing = known.map(|id| (id, Sighting { seen: Seen::Nothing, at }));
        let mut seen: HashMap<_, _> = nothing.collect();
        seen.extend(told.iter().map(|told| (told.server, Sighting { seen: seen_of(told), at })));
        *self.seen.write() = seen;
    }

    pub(crate) fn note(&self, id: ServerId, seen: Seen, at: Timestamp) {
        self.seen.write().insert(id, Sighting { seen, at });
    }

    /// Notes what a host tells of by itself. True when a page would show it.
    pub(crate) fn hear(&self, event: &HostEvent, at: Timestamp) -> bool {
        let mut all = self.seen.write();
        let Some(Sighting { seen: Seen::Placed { doing, .. }, at: seen_at }) = all.get_mut(&event.server) else {
            return false;
        };
        *doing = match &event.event {
            Event::Woke { .. } => Doing::Awake { since: Some(at), memory_bytes: None },
            Event::Slept => Doing::Asleep,
            Event::Crashed { status } => {
                let times = if let Doing::Crashing { times, .. } = doing { times.saturating_add(1) } else { 1 };
                Doing::Crashing { why: status.to_string(), times }
            }
        };
        *seen_at = at;
        true
    }
}

fn seen_of(told: &SeenServer) -> Seen {
    let doing = match &told.state {
        agent::State::Asleep => Doing::Asleep,
        agent::State::Awake { since, usage, .. } => {
            Doing::Awake { since: Timestamp::from_millisecond(*since).ok(), memory_bytes: usage.pss_bytes }
        }
        agent::State::Crashing { status, times, .. } => Doing::Crashing { why: status.to_string(), times: *times },
    };
    Seen::Placed { generation: told.generation, doing }
}
