//! From a host name to a person's server.
//!
//! One port serves everything: the console on the apex of the sites domain, a
//! server on `<name>.<domain>`, each of its apps on `<app>.<name>.<domain>`, and both
//! on domains of its owner's own that are proved.
//! The gateway looks the name up in memory ([`Routes`]), never in the database,
//! and streams the request to the server's socket. A sleeping server wakes
//! because the connection itself wakes it; the request waits in the kernel's
//! backlog meanwhile and is not failed.
//!
//! Invariants:
//! - bodies stream both ways, so memory does not grow with their size;
//! - a server is put to sleep only when nothing is in flight ([`Gates`]), and a
//!   request that comes at that moment waits for the next wake;
//! - a request is sent a second time only if it has no body and its method is
//!   idempotent, and only when no byte of an answer has come.
//!
//! Architecture Invariant: the gateway knows nothing of accounts, sessions or
//! bills. What a standing means has been decided before it reaches a [`Route`].

mod answer;
mod client;
mod gates;
mod held;
mod lines;
mod moved;
mod pages;
mod port;
mod proxy;
mod reach;
mod routes;
mod threshold;
mod tunnel;
mod upload;
mod upstream;

pub(crate) use client::household;
pub use client::{BadNetwork, Trusted};
pub use gates::{Gates, Pass, PutToSleep};
pub(crate) use held::Held;
pub use moved::Moved;
pub use port::Rules;
pub use proxy::Gateway;
pub(crate) use reach::reach;
pub use routes::{Admission, Certifiable, Found, OwnName, Route, Routes};
pub use threshold::Threshold;
pub use upload::Pace;
