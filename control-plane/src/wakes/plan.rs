//! Whom to call when: all that is decided about it, without a clock, a database or a server.
//!
//! Servers are called a little before their time, for waking takes a moment, and only so many at once. Where very many are due
//! at the same minute, the last ones of the queue are called sooner by as much as it takes to get through those before them;
//! who is called early stays awake until its time.

use std::collections::HashMap;

use tenant_runtime::ids::ServerId;

/// How far ahead rows are read, in milliseconds.
pub const HORIZON_MS: i64 = 120_000;
/// How many servers are called at once.
pub const AT_ONCE: usize = 16;
/// How long before its time a server is called that nobody stands in front of.
const LEAD_MS: i64 = 700;
/// About how long one call takes, as far as the length of the queue goes.
pub const CALL_MS: i64 = 150;
/// A server whose next time is so near stays awake for it.
const NEAR_MS: i64 = 15_000;
/// After how long a call that failed is made again, which doubles each time up to the longest.
const AGAIN_MS: i64 = 200;
const LONGEST_MS: i64 = 60_000;
/// When a server is asked again that is still at it.
const BUSY_MS: i64 = 250;
/// When a server is asked again that says something is due already, and does nothing about it.
const OVERDUE_MS: i64 = 2_000;
/// A server that was called so often in vain is not kept awake for the next time.
const KEPT_TRIES: u32 = 3;
/// When it is looked at again whether a server may be woken that may not now.
const SUSPENDED_MS: i64 = 10 * 60_000;

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// All that was due is done, and something is due next then.
    Next(Option<i64>),
    /// It is still being done.
    Busy,
    /// There was no answer.
    Failed,
    /// It may not be woken at present.
    Suspended,
    /// There is nothing here any more that could be woken.
    Gone,
}

/// What becomes of a server's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// It stays as it is.
    Stays,
    /// It says that the server wants to be awake then, or not at all.
    Says(Option<i64>),
}

/// Those that are due soon.
#[derive(Debug, Default)]
pub struct Plan {
    watched: HashMap<ServerId, Watched>,
    calling: usize,
}

#[derive(Debug, Clone, Copy)]
struct Watched {
    due: i64,
    /// Not called before this moment; nothing where that follows from when it is due.
    at: Option<i64>,
    tries: u32,
    calling: bool,
}

impl Plan {
    /// Takes in rows: servers and when they want to be awake.
    pub fn learn(&mut self, rows: &[(ServerId, i64)]) {
        for (server, due) in rows {
            let new = Watched { due: *due, at: None, tries: 0, calling: false };
            let known = self.watched.entry(*server).or_insert(new);
            if *due < known.due {
                known.due = *due;
                // It wants something sooner than what it was kept awake for.
                known.at = known.at.filter(|_| known.tries > 0);
            }
        }
    }

    /// Who is to be called now; each counts as being called until [`Plan::told`].
    pub fn call(&mut self, now: i64) -> Vec<ServerId> {
        let called: Vec<ServerId> =
            self.queue().into_iter().take_while(|(at, _)| *at <= now).map(|(_, server)| server).collect();
        let called: Vec<_> = called.into_iter().take(AT_ONCE.saturating_sub(self.calling)).collect();
        for server in &called {
            if let Some(watched) = self.watched.get_mut(server) {
                watched.calling = true;
                self.calling += 1;
            }
        }
        called
    }

    /// When somebody is to be called next, if there is room then.
    #[must_use]
    pub fn next(&self) -> Option<i64> {
        (self.calling < AT_ONCE).then(|| self.queue().first().map(|(at, _)| *at)).flatten()
    }

    /// Takes in what came of a call.
    pub fn told(&mut self, server: ServerId, answer: Answer, now: i64) -> Row {
        let Some(watched) = self.watched.get_mut(&server) else { return Row::Stays };
        self.calling -= usize::from(std::mem::take(&mut watched.calling));
        let pause = |first: i64, tries: u32| (first << tries.min(16)).min(LONGEST_MS);
        match answer {
            Answer::Failed => {
                watched.at = Some(now + pause(AGAIN_MS, watched.tries));
                watched.tries += 1;
                Row::Stays
            }
            Answer::Busy => {
                watched.at = Some(now + BUSY_MS);
                Row::Stays
            }
            Answer::Next(Some(next)) if next <= now => {
                watched.at = Some(now + pause(OVERDUE_MS, watched.tries));
                watched.tries += 1;
                Row::Stays
            }
            Answer::Next(Some(next)) if next - now <= NEAR_MS => {
                *watched = Watched { due: next, at: Some(next), tries: 0, calling: false };
                Row::Says(Some(next))
            }
            Answer::Next(next) => {
                self.watched.remove(&server);
                Row::Says(next)
            }
            Answer::Suspended => {
                self.watched.remove(&server);
                Row::Says(Some(now + SUSPENDED_MS))
            }
            Answer::Gone => {
                self.watched.remove(&server);
                Row::Says(None)
            }
        }
    }

    /// A server that was awake has ended unasked: one that was to stay awake for its time is called anew.
    pub fn lost(&mut self, server: ServerId) {
        if let Some(watched) = self.watched.get_mut(&server).filter(|watched| watched.tries == 0) {
            watched.at = None;
        }
    }

    /// Whether a server is kept awake for what is due on it in a moment; one that is called in vain may sleep meanwhile.
    #[must_use]
    pub fn keeps(&self, server: ServerId) -> bool {
        self.watched.get(&server).is_some_and(|watched| watched.tries <= KEPT_TRIES)
    }

    /// How many are watched.
    #[must_use]
    pub fn len(&self) -> usize {
        self.watched.len()
    }

    /// Whether nobody is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.watched.is_empty()
    }

    /// Everybody who is not being called, and when they are to be.
    fn queue(&self) -> Vec<(i64, ServerId)> {
        let mut waiting: Vec<_> = self.watched.iter().filter(|(_, watched)| !watched.calling).collect();
        waiting.sort_unstable_by_key(|(server, watched)| (watched.due, **server));
        let mut queue: Vec<(i64, ServerId)> = Vec::with_capacity(waiting.len());
        for (place, (server, watched)) in waiting.into_iter().enumerate() {
            let before_it = place as i64 * CALL_MS / AT_ONCE as i64;
            queue.push((watched.at.unwrap_or(watched.due - LEAD_MS - before_it), *server));
        }
        queue.sort_by_key(|(at, _)| *at);
        queue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(n: i64) -> ServerId {
        ServerId::new(n)
    }

    #[test]
    fn a_server_is_called_a_little_early_and_kept_until_its_time() {
        let (mut plan, anna) = (Plan::default(), server(1));
        plan.learn(&[(anna, 100_000)]);
        assert_eq!(plan.next(), Some(99_300));
        assert!(plan.call(99_299).is_empty());
        assert_eq!(plan.call(99_300), [anna]);
        assert!(plan.call(99_300).is_empty(), "it is being called");
        assert_eq!(plan.told(anna, Answer::Next(Some(100_000)), 99_400), Row::Says(Some(100_000)));
        assert!(plan.keeps(anna));
        assert_eq!((plan.next(), plan.call(100_000)), (Some(100_000), vec![anna]));
        assert_eq!(plan.told(anna, Answer::Next(Some(900_000)), 100_010), Row::Says(Some(900_000)));
        assert!(!plan.keeps(anna) && plan.is_empty());
    }

    #[test]
    fn a_server_that_was_kept_awake_and_ended_is_called_anew() {
        let (mut plan, anna) = (Plan::default(), server(1));
        plan.learn(&[(anna, 100_000)]);
        assert_eq!(plan.call(99_300), [anna]);
        plan.told(anna, Answer::Next(Some(100_000)), 99_350);
        assert!(plan.call(99_400).is_empty(), "it is awake");
        plan.lost(anna);
        assert_eq!(plan.call(99_400), [anna]);
    }

    #[test]
    fn the_last_of_a_crowd_are_called_so_early_that_all_are_in_time() {
        let mut plan = Plan::default();
        let crowd: Vec<_> = (1..=1600).map(|n| (server(n), 1_000_000)).collect();
        plan.learn(&crowd);
        let first = plan.next().expect("somebody is called");
        assert_eq!(first, 1_000_000 - LEAD_MS - 1599 * CALL_MS / AT_ONCE as i64);
        assert_eq!(plan.call(999_999).len(), AT_ONCE, "but no more at once");
        assert_eq!(plan.next(), None);
    }

    #[test]
    fn who_does_not_answer_is_called_again_ever_less_often_and_never_forgotten() {
        let (mut plan, anna) = (Plan::default(), server(1));
        plan.learn(&[(anna, 0)]);
        let (mut now, mut pauses) = (0, Vec::new());
        for _ in 0..12 {
            assert_eq!(plan.call(now), [anna]);
            assert_eq!(plan.told(anna, Answer::Failed, now), Row::Stays);
            plan.learn(&[(anna, 0)]);
            let next = plan.next().expect("it is called again");
            pauses.push(next - now);
            now = next;
        }
        assert_eq!((pauses[0], pauses[1], pauses[11]), (AGAIN_MS, 2 * AGAIN_MS, LONGEST_MS));
    }

    #[test]
    fn who_may_not_be_woken_or_is_gone_is_let_be() {
        let (mut plan, anna) = (Plan::default(), server(1));
        for (answer, row) in [
            (Answer::Suspended, Row::Says(Some(5_000 + SUSPENDED_MS))),
            (Answer::Gone, Row::Says(None)),
            (Answer::Next(None), Row::Says(None)),
        ] {
            plan.learn(&[(anna, 5_000)]);
            assert_eq!(plan.call(5_000), [anna]);
            assert_eq!(plan.told(anna, answer, 5_000), row);
            assert!(plan.is_empty());
        }
    }
}
