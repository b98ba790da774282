//! What every server used: bytes in and out, processor time, time awake, bytes kept.
//!
//! Whatever counts, counts upwards and is never asked to start again: a runtime's run, the gateway's tally of a server.
//! The database keeps the last figure it saw of each of these sources beside the sums, and both change in one
//! transaction. So a reading that comes twice, or whose commit was not heard of, adds nothing, and what a crash takes
//! away is no more than was counted since the last reading, [`EVERY`] before.
//!
//! Bytes are those of the bodies of requests and answers as the gateway hands them over, and of tunnels. The console is
//! not counted, and with it no export and no import: leaving costs nothing. Bytes kept are what the server said it held
//! when it last fell asleep, or was last asked, until it says otherwise; they are summed up over time.
//!
//! What is read counts for the hour of the reading, so at the turn of an hour [`EVERY`] may stand on the other side.

mod collect;
mod counted;
mod month;
mod store;
mod stored;
mod traffic;
mod usage;

pub use collect::{EVERY, collect};
pub use counted::{Counted, CountedIo};
pub use month::{BadMonth, Month};
pub use traffic::{Tally, Traffic};
pub use usage::{DayUsage, MonthUsage, ServerUsage, Used, usage, usage_in_all, usage_of_all};

pub(crate) use collect::run;
pub(crate) use stored::note_before_sleep;
pub(crate) use usage::days_of;
