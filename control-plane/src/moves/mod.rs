//! Moves: a server goes from one provider to another while it is in use (`export-format/MOVE.md`).
//!
//! [`leaving`] is the side of a source, [`arriving`] that of a target; a move between two Freeholds runs through one of each,
//! which know nothing of each other but what the protocol says. `peer` is how one speaks to the other provider, [`provider()`] what
//! everybody is told about this one, [`Refusal`] what another provider is told that it cannot have.
//! Servers that know nothing of the protocol are [`foreign`]; [`fleet()`] lists all moves for who runs the business.
//!
//! Authority: only the owner begins, consents to and ends a move, on either side; the other provider does what a token
//! allows that its owner consented to, for one move.

pub mod arriving;
mod fleet;
pub mod foreign;
pub mod leaving;
mod peer;
mod provider;
mod refusal;

pub use fleet::{Direction, Line, Standing, Sums, fleet, fleet_sums};
pub use peer::Peer;
pub use provider::{CONSENT, ENDPOINT, FORWARD_DAYS, HOLD_MS, RETURN, provider};
pub use refusal::{Answer, Refusal, Word};
