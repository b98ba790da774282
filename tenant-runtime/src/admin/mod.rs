//! What the host may ask of a runtime, on a listener of its own.
//!
//! The admin listener is a second unix socket that only the host can reach; no app and no visitor ever speaks to it.
//! Health, usage and apps are answered at once. Exports and imports are long work: they are started, then looked at,
//! and everything they need to go on after a crash lies in the server's home and cache.

pub mod api;
