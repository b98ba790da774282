//! Apps: packages of web pages that live in the person's storage and run on origins of their own.

pub mod label;
mod store;

pub use store::{
    AppRecord, CodeFile, code, code_at, code_bytes, get, list, put, releases, remove_release, set_removed, use_release,
};

/// Why an app could not be read, installed or removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// SQLite failed.
    #[error("the apps could not be reached")]
    Database(#[from] rusqlite::Error),
}
