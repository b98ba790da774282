//! How long a server that keeps crashing is left alone before it is started again.
//!
//! The connections that wait for it stay in its listener's queue meanwhile. Each crash doubles the pause, up to a
//! minute; a run that lasted shows that the trouble was another one, and the count begins anew.

use std::time::Duration;

use crate::agent::Ended;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A run of this length was no failure to start.
const LASTING: Duration = Duration::from_secs(60);

/// The crashes of a server since it was last well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Crashes {
    /// How it ended last.
    pub(super) status: Ended,
    /// When it ended first of these times, Unix milliseconds.
    pub(super) since: i64,
    /// How many times in a row.
    pub(super) times: u32,
}

impl Crashes {
    /// One more crash, after a run of the given length.
    pub(super) fn after(former: Option<Self>, status: Ended, ran: Duration, now_ms: i64) -> Self {
        match former {
            Some(former) if ran < LASTING => Self { status, since: former.since, times: former.times + 1 },
            _ => Self { status, since: now_ms, times: 1 },
        }
    }

    /// How long to wait now.
    pub(super) fn pause(&self) -> Duration {
        let doubled = self.times.saturating_sub(1).min(16);
        FIRST_PAUSE.saturating_mul(1 << doubled).min(LONGEST_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_to_a_minute_and_begins_anew_after_a_lasting_run() {
        let crash = |former, ran| Crashes::after(former, Ended::Exited(1), Duration::from_secs(ran), 5);
        let mut crashes = crash(None, 0);
        let mut pauses = vec![];
        for _ in 0..40 {
            pauses.push(crashes.pause());
            crashes = crash(Some(crashes), 1);
        }
        assert!(pauses.is_sorted() && pauses[1] == FIRST_PAUSE * 2 && pauses[39] == LONGEST_PAUSE);
        assert_eq!(crash(Some(crashes), 61), Crashes { status: Ended::Exited(1), since: 5, times: 1 });
    }
}
