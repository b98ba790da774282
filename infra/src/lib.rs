//! Hosts, storage and the sandbox that one runtime lives in.
//!
//! - [`agent`]: one host's daemon, as the control plane talks to it.
//! - [`launcher`]: the process that holds every server's sockets and wakes runtimes.
//! - [`isolation`]: the sandbox around one runtime; the one place in this crate with unsafe code.
//! - [`hosts`]: where hosts come from.
//! - [`broker`]: the one door between runtimes and an object store elsewhere.
//! - [`outside`]: the one way from runtimes to other people's servers.
//! - [`storage`]: where homes lie, how large they are, how they are erased.
//! - [`binaries`]: where this build's other programs are.

pub mod agent;
pub mod binaries;
pub mod broker;
pub mod hosts;
pub mod isolation;
pub mod launcher;
pub mod outside;
pub mod storage;
