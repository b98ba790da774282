//! The runtime's integration tests, as one binary.
#![allow(clippy::unwrap_used)]

mod api;
mod archive;
mod azure_peer;
mod bounds;
mod cold_wake;
mod conformance;
mod faults;
mod guests;
mod indexing;
mod s3_peer;
mod store_away;
mod store_basics;
mod store_clocks;
mod store_content;
mod store_departure;
mod store_durability;
mod store_echoes;
mod store_faults;
mod store_history;
mod store_lazy;
mod store_owed;
mod store_slow;
mod store_suite;
mod store_torture;
mod two_hosts;
mod waves;
