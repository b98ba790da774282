//! The control plane through its public functions.
#![allow(clippy::unwrap_used, missing_docs)]

mod arriving;
mod audit;
mod authority;
mod bills;
mod care;
mod conformance;
mod coverage;
mod domains;
mod drills;
mod foreign;
mod gateway;
#[path = "../../../tenant-runtime/tests/it/archive/haystack.rs"]
mod haystack;
mod history;
mod leaving;
mod letters;
mod lists;
mod metering;
mod migrations;
mod pace;
mod places;
mod port;
mod reconcile;
mod runtime;
#[path = "../../../tenant-runtime/tests/it/archive/schemas.rs"]
mod schemas;
mod sealed_copies;
mod setup;
mod sign_in;
mod sign_up;
mod support;
mod wakes;
