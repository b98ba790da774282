//! The platform's own tests: the line of crates, and the journeys of its users
//! through whole providers in one process.
#![allow(clippy::unwrap_used, missing_docs)]

mod bad_input;
mod bounds;
mod crate_line;
mod damaged;
mod disk_full;
mod drills;
mod evicting;
mod idling;
mod killed;
mod leaving;
mod losses;
mod metered;
#[path = "../../../control-plane/tests/it/support/peers.rs"]
mod peers;
mod places;
mod signing_up;
mod sleeping;
mod storage_down;
mod support;
