//! The sandbox, the launcher and the agent on this machine, with real processes.
#![allow(clippy::unwrap_used)]

#[path = "../../../tenant-runtime/tests/it/azure_peer.rs"]
mod azure_peer;
mod broker;
mod caching;
mod crashing;
mod ending;
mod house;
mod metering;
mod outside;
#[path = "../probe/house.rs"]
#[allow(dead_code)]
mod probe;
mod waking;
mod walls;
