//! The console from outside: every test speaks HTTP to the pages over a real control plane, or runs the real program.
#![allow(clippy::unwrap_used, missing_docs)]

mod access;
mod arriving;
mod domains;
mod drills;
mod foreign;
mod forged;
#[path = "../../../control-plane/tests/it/support/freezr.rs"]
#[allow(dead_code, reason = "the control plane's tests ask it for more")]
mod freezr;
mod host;
mod house;
mod leaving;
mod making;
mod pages;
mod past;
mod program;
mod sign_up;
