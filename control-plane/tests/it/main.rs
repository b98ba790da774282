//! The control plane through its public functions.
#![allow(clippy::unwrap_used, missing_docs)]

mod gateway;
