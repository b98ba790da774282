//! The console for consumers and operators, and the `freehold` binary.
//!
//! The console mounts above the control plane in one process. It writes intent only: a page parses what somebody
//! wants, calls a function of the control plane with the [`Actor`](control_plane::Actor) who wants it, and renders
//! what is true afterwards. Every page works without script, and offers the way out.
//!
//! - [`config`]: what the operator may decide before the start.
//! - [`serve`]: a whole provider in one process tree.
//! - [`console`]: the pages as one router; [`doors`] names each route and who may pass. Beside them, and without sessions,
//!   are the calls of other providers (`exchange`).
//!
//! Architecture Invariant: no page reads the database or talks to a host; both are the control plane's.

mod assets;
pub mod config;
mod consumer;
mod context;
mod cookies;
mod doors;
mod exchange;
mod icon;
mod operator;
mod page;
mod parts;
mod refusal;
pub mod serve;
mod shell;
mod show;
mod token;
mod usage;
mod version;
mod visit;

use std::sync::Arc;

use axum::Router;

pub use context::{Console, Parts};
pub use doors::{Door, Who};

/// The console's pages, and the calls of other providers.
pub fn console(console: Console) -> Router {
    visit::guarded(all_doors(), console.clone()).0.merge(exchange::router(console))
}

/// Every route with who may pass, in the order they were added.
#[must_use]
pub fn doors() -> Arc<[Door]> {
    all_doors().table.into()
}

fn all_doors() -> doors::Doors {
    operator::doors(consumer::doors(doors::Doors::new()))
}
