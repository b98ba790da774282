//! The archive format from outside: what it writes, what it takes, what it refuses, and who else can read it.
#![allow(clippy::unwrap_used, missing_docs)]

mod any;
mod damaged;
mod folders;
mod hostile;
mod large;
mod made;
mod passing;
mod peers;
mod round_trip;
mod sample;
mod sealed;
mod spec;
mod tool;
