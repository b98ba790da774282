//! What was last seen of every server, and when. Memory only: after a restart we have seen nothing yet, and say so.

use std::collections::{BTreeSet, HashMap, HashSet};

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

/// What was last seen of every server. A server that is placed nowhere has no entry, so that only the placed cost memory.
#[derive(Debug, Default)]
pub(crate) struct Sightings {
    seen: RwLock<Sights>,
    trouble: RwLock<HashMap<ServerId, String>>,
}

#[derive(Debug, Default)]
struct Sights {
    /// When the host was last asked for all of its servers.
    looked: Option<Timestamp>,
    /// Counts what is noted, so that a look knows what is newer than itself.
    turn: u64,
    placed: HashMap<ServerId, (Sighting, u64)>,
}

/// How many servers were last seen how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Whether we have looked at all since we started.
    pub(crate) looked: bool,
    /// Placed, and not crashing.
    pub(crate) fine: u64,
    /// With a process.
    pub(crate) awake: u64,
    /// Placed in any way.
    pub(crate) placed: u64,
    /// With something that was in the way when we last tried.
    pub(crate) troubled: u64,
}

impl Sightings {
    pub(crate) fn of(&self, id: ServerId) -> Sighting {
        let all = self.seen.read();
        match (all.placed.get(&id), all.looked) {
            (Some((sighting, _)), _) => sighting.clone(),
            (None, Some(at)) => Sighting { seen: Seen::Nothing, at },
            (None, None) => Sighting { seen: Seen::Unsure, at: Timestamp::UNIX_EPOCH },
        }
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

    /// The servers that were last seen awake.
    pub(crate) fn awake(&self) -> Vec<ServerId> {
        let all = self.seen.read();
        let awake = |sighting: &Sighting| matches!(sighting.seen, Seen::Placed { doing: Doing::Awake { .. }, .. });
        all.placed.iter().filter(|(_, (sighting, _))| awake(sighting)).map(|(id, _)| *id).collect()
    }

    /// How many were last seen how, leaving some out of account.
    pub(crate) fn counts(&self, without: &HashSet<ServerId>) -> Counts {
        let all = self.seen.read();
        let mut counts = Counts { looked: all.looked.is_some(), ..Counts::default() };
        for (sighting, _) in all.placed.iter().filter(|(id, _)| !without.contains(id)).map(|(_, noted)| noted) {
            let Seen::Placed { doing, .. } = &sighting.seen else { continue };
            counts.placed += 1;
            counts.fine += u64::from(!matches!(doing, Doing::Crashing { .. }));
            counts.awake += u64::from(matches!(doing, Doing::Awake { .. }));
        }
        counts.troubled = self.trouble.read().keys().filter(|id| !without.contains(id)).count() as u64;
        counts
    }

    /// At most so many servers that crash or could not be brought forward.
    pub(crate) fn astray(&self, most: usize) -> Vec<ServerId> {
        let all = self.seen.read();
        let crashing = all
            .placed
            .iter()
            .filter(|(_, (sighting, _))| matches!(sighting.seen, Seen::Placed { doing: Doing::Crashing { .. }, .. }));
        let ids: BTreeSet<_> = crashing.map(|(id, _)| *id).chain(self.trouble.read().keys().copied()).collect();
        ids.into_iter().rev().take(most).collect()
    }

    /// Begins a look; what is noted from now on is newer than what the host is about to tell.
    pub(crate) fn begin_look(&self) -> u64 {
        let mut all = self.seen.write();
        all.turn += 1;
        all.turn
    }

    /// Replaces what was noted before the look `begun` by what the host told. What it did not tell of, it does not have.
    pub(crate) fn look(&self, begun: u64, told: &[SeenServer], at: Timestamp) {
        let mut all = self.seen.write();
        all.placed.retain(|_, (_, noted)| *noted >= begun);
        for told in told {
            all.placed.entry(told.server).or_insert_with(|| (Sighting { seen: seen_of(told), at }, begun));
        }
        all.looked = Some(at);
    }

    pub(crate) fn note(&self, id: ServerId, seen: Seen, at: Timestamp) {
        let mut all = self.seen.write();
        let turn = all.turn;
        match seen {
            Seen::Nothing => all.placed.remove(&id),
            seen => all.placed.insert(id, (Sighting { seen, at }, turn)),
        };
    }

    /// Notes what a host tells of by itself. True when a page would show it.
    pub(crate) fn hear(&self, event: &HostEvent, at: Timestamp) -> bool {
        let mut all = self.seen.write();
        let turn = all.turn;
        let Some((Sighting { seen: Seen::Placed { doing, .. }, at: seen_at }, noted)) =
            all.placed.get_mut(&event.server)
        else {
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
        (*seen_at, *noted) = (at, turn);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_during_a_look_is_newer_than_the_look() {
        let (sightings, at) = (Sightings::default(), Timestamp::UNIX_EPOCH);
        let [gone, fresh, moved] = [1, 2, 3].map(ServerId::new);
        let asleep = |generation| Seen::Placed { generation: Generation(generation), doing: Doing::Asleep };
        assert_eq!(sightings.of(gone).seen, Seen::Unsure);
        sightings.note(gone, asleep(1), at);
        sightings.note(moved, asleep(1), at);
        let begun = sightings.begin_look();
        sightings.note(fresh, asleep(1), at);
        sightings.note(moved, asleep(2), at);
        let told = SeenServer { server: moved, generation: Generation(1), state: agent::State::Asleep };
        sightings.look(begun, &[told], at);
        assert_eq!(sightings.of(gone).seen, Seen::Nothing);
        assert_eq!(sightings.of(fresh).seen, asleep(1));
        assert_eq!(sightings.of(moved).seen, asleep(2));
        let counts = sightings.counts(&HashSet::from([fresh]));
        assert_eq!((counts.looked, counts.placed, counts.fine, counts.awake), (true, 1, 1, 0));
    }
}
