//! The platform's own tests: the line of crates, and the journeys of its users
//! through whole providers in one process.
#![allow(clippy::unwrap_used, missing_docs)]

mod bad_input;
mod bounds;
mod coded;
mod crate_line;
mod damaged;
mod disk_full;
#[path = "../../../control-plane/tests/it/support/dns.rs"]
#[allow(dead_code, reason = "the control plane's tests ask it for more")]
mod dns;
mod domains;
mod drills;
mod en_route;
mod evicting;
mod foreign;
#[path = "../../../control-plane/tests/it/support/freezr.rs"]
#[allow(dead_code, reason = "the control plane's tests ask it for more")]
mod freezr;
#[path = "../../../tenant-runtime/tests/it/guests/mod.rs"]
#[allow(dead_code, reason = "the runtime's own tests make more of them")]
mod guests;
mod idling;
mod killed;
mod leaving;
mod losses;
mod metered;
mod moving;
mod moving_full;
mod moving_killed;
#[path = "../../../control-plane/tests/it/support/peers.rs"]
mod peers;
mod places;
mod recalled;
mod signing_up;
mod sleeping;
mod storage_down;
mod support;
mod waking;
