//! Homes in an object store elsewhere, measured and broken: a real S3-compatible server beside this process
//! ([`peer`]) behind a line that adds what distance adds, and does what bad days do ([`mod@line`]).

pub mod figures;
pub mod line;
pub mod peer;
