//! The console from outside: every test speaks HTTP to the pages over a real control plane, or runs the real program.
#![allow(clippy::unwrap_used, missing_docs)]

mod access;
mod drills;
mod forged;
mod host;
mod house;
mod pages;
mod past;
mod program;
mod sign_up;
