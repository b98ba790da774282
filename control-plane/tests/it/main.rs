//! The control plane through its public functions.
#![allow(clippy::unwrap_used, missing_docs)]

mod authority;
mod bills;
mod care;
mod conformance;
mod drills;
mod gateway;
mod letters;
mod lists;
mod metering;
mod migrations;
mod pace;
mod places;
mod port;
mod reconcile;
mod runtime;
mod setup;
mod sign_in;
mod sign_up;
mod support;
