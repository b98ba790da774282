//! Files of apps: named by the app, stored by content.
//!
//! A file is three things: a blob in the store, a row that names it, and the record of the same name in the app's
//! collection `files`, which carries what the app says about it. The blob is durable before the row is written, so a
//! row never points at nothing.

mod attach;
mod path;
mod store;
pub mod uploads;

pub use attach::{Attach, attach};
pub use path::{BadPath, FilePath};
pub(crate) use store::parsed;
pub use store::{FileRecord, blob_bytes, blobs_in_use, each, get, page, put, remove, totals};

use crate::documents;

/// Why a file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name that cannot be one.
    #[error(transparent)]
    BadPath(#[from] BadPath),
    /// Its record failed.
    #[error(transparent)]
    Record(#[from] documents::Error),
    /// SQLite failed.
    #[error("what is known of the files could not be reached")]
    Database(#[from] rusqlite::Error),
}
