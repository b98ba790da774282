//! The archive format from outside: what it writes, what it takes, what it refuses, and who else can read it.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../../examples/vectors/catalogue/mod.rs"]
mod catalogue;
#[path = "../../examples/vectors/index.rs"]
mod index;

mod any;
mod convert;
mod damaged;
mod deltas;
mod folders;
mod following;
mod hostile;
mod large;
mod passing;
mod peers;
mod round_trip;
mod sample;
mod schemas;
mod sealed;
mod spec;
mod tool;
mod vectors;

use catalogue::made;
