//! Holding writes: what was being written ends, all later writes wait, and reads go on.
//!
//! A hold begins between two groups of writes, so whoever asked for it may take a snapshot and knows that nothing comes behind
//! it. It ends when it is told to, when its time is over, when the home departs or goes to sleep; what waited then runs in the
//! order in which it came, or is told why it cannot.
//!
//! Whatever changes the content is held, of whatever origin: writes, and exchanges of the content. All else goes on. A hold
//! lives in this process alone, so it ends with it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::error::Error;
use super::keeper::{Keeper, Message};
use super::operation::Operation;

/// For how long writes wait at most, however often a hold is asked for meanwhile.
pub(super) const LONGEST: Duration = Duration::from_secs(60);

/// Writes wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    since: Instant,
    until: Instant,
}

impl Keeper {
    /// Holds writes for so long, or longer than they are held already. Says until when, in Unix milliseconds.
    pub(super) async fn hold(&mut self, span: Duration) -> Result<i64, Error> {
        // What is in doubt may yet be put back.
        self.resolve().await?;
        self.check_here()?;
        let now = Instant::now();
        let since = self.hold.map_or(now, |hold| hold.since);
        let until = (now + span).min(since + LONGEST);
        self.hold = Some(Hold { since, until });
        let left = i64::try_from(until.saturating_duration_since(now).as_millis()).unwrap_or(i64::MAX);
        let until_ms = self.options.clock.now().as_millisecond().saturating_add(left);
        self.gate.held(Some((since, until_ms)));
        Ok(until_ms)
    }

    /// When writes are to go on.
    pub(super) fn held_until(&self) -> Option<Instant> {
        self.hold.map(|hold| hold.until)
    }

    /// Holds nothing any more.
    pub(super) fn let_go(&mut self) {
        self.hold = None;
        self.gate.held(None);
    }

    /// Whether there is something that was held and may run now.
    pub(super) fn has_let_go(&self) -> bool {
        self.hold.is_none() && !self.held.is_empty()
    }

    /// What is to be done next: what was held before what came after it, once nothing holds it.
    pub(super) fn next(&mut self, waiting: &mut VecDeque<Message>) -> Option<Message> {
        while self.hold.is_some() {
            match waiting.pop_front()? {
                message if message.is_a_change() => self.held.push_back(message),
                // Nobody wakes who waits behind a sleep.
                message @ Message::Sleep(_) => {
                    self.let_go();
                    waiting.push_front(message);
                }
                message => return Some(message),
            }
        }
        self.held.pop_front().or_else(|| waiting.pop_front())
    }

    /// The same, if it is one more write.
    pub(super) fn next_write(&mut self, waiting: &mut VecDeque<Message>) -> Option<Box<dyn Operation>> {
        let queue = if self.held.is_empty() { waiting } else { &mut self.held };
        match queue.pop_front() {
            Some(Message::Write(operation)) => Some(operation),
            Some(other) => {
                queue.push_front(other);
                None
            }
            None => None,
        }
    }
}
