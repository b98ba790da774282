//! The platform's own tests: the line of crates, and the journeys of its users
//! through a whole provider in one process.
#![allow(clippy::unwrap_used, missing_docs)]

mod crate_line;
