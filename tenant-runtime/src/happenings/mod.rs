//! What starts by itself: schedules and incoming webhooks, what is to be done because of them, and what came of that.
//!
//! An app says *when* (`timing`: cron or RRULE, in a time zone) or has an address made that others call (webhooks), and *what*
//! ([`Action`]): a notice to the owner, or its own code on the server (`crate::handlers`). When the time has come, or somebody
//! called, a **happening** is written down, and from then on it is done sooner or later, whatever ends in between.
//!
//! Invariants:
//! - one happening for each schedule and time, and one for each delivery that has a name: written in the transaction that moves
//!   the schedule on, or before the sender is told 202, under a key that is there once;
//! - a notice is written in the transaction that ends its happening, so it is there once. An app's code is called again when it
//!   is not known to have ended, so it may be called twice; it is told the happening's id, by which it can tell;
//! - times that passed while nothing could happen (the provider was away, the server was suspended) are one happening, not many;
//! - what came with an archive, or stands on a server that may only be read, does nothing.
//!
//! It fails by trying again, less and less often, for about two days; then the log says that it failed, and why.

mod cron;
mod due;
mod error;
mod fire;
pub(crate) mod notices;
pub(crate) mod queue;
mod recur;
pub(crate) mod schedules;
#[cfg(test)]
mod tests;
mod timing;
mod travel;
mod wall;
pub(crate) mod webhooks;
mod words;
mod worker;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use due::next_due;
pub use error::Error;
pub use fire::fire;
pub(crate) use fire::run_now;
pub use notices::{Notice, Words};
pub use queue::{Happening, State, begin, conclude, log, ready};
pub use schedules::answer_all;
pub use schedules::put;
pub use schedules::{Draft, Schedule, Source, Standing};
pub(crate) use schedules::{asked, forget_app, get, held, of_app, remove, zone};
pub use timing::{Timing, Written};
pub use travel::Now;
pub(crate) use travel::{Luggage, SCHEDULE_MEMBERS};
pub use worker::{Clockwork, round, run};

/// What an app's code is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Names it; the same when it is told again.
    pub id: String,
    /// What sort of thing happened.
    pub kind: Kind,
    /// The app's own name for the schedule or webhook.
    pub name: String,
    /// For when it was meant, Unix milliseconds.
    pub due_ms: i64,
    /// What belongs to it.
    pub payload: Value,
}

/// What sort of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A time has come.
    Schedule,
    /// Somebody called an address.
    Webhook,
}

/// How it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// It may work later, at the earliest after a while.
    Later {
        /// What was in the way.
        why: String,
        /// How long to wait at least.
        after: Option<Duration>,
    },
    /// It never will.
    Never(String),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The owner is told something.
    Notice(notices::Words),
    /// The app's code on the server is called, with this.
    Handler(Value),
}

/// The most bytes of what an app has to say with a schedule or webhook.
const MOST_ACTION: usize = 16 << 10;

impl Action {
    /// As it is stored.
    pub(crate) fn written(&self) -> String {
        serde_json::to_string(self).expect("texts are JSON")
    }

    /// What stands in the database; nothing where it makes no sense.
    pub(crate) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Refuses what would be too much or leads astray.
    fn check(&self) -> Result<(), Error> {
        if self.written().len() > MOST_ACTION {
            return Err(Error::TooLong(format!("What is to be done may have up to {} kB.", MOST_ACTION >> 10)));
        }
        match self {
            Self::Notice(words) => words.check(),
            Self::Handler(_) => Ok(()),
        }
    }
}
