//! What we write to people: rendered at once, kept in the outbox, carried away by SMTP when there is a way.
//!
//! A letter is written in the transaction of what it tells of, under a key that is used once: so there is no letter about
//! something that did not happen, and no second one when a step runs twice. Without SMTP letters stay `kept`, and the
//! operator reads them on a page; configuring SMTP later does not send what was kept.

mod carrier;
mod letter;
mod outbox;

pub(crate) use carrier::{Carrier, run};
pub use letter::Letter;
pub use outbox::{OutboxEntry, State, letter, outbox, post};
pub(crate) use outbox::{in_trouble, write, write_invoice, written};
