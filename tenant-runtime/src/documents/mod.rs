//! Records: JSON documents in tables per app, found with mongo-like queries.
//!
//! Invariants: a record's id is unique within its table; `_date_modified` never goes back; what only the server may
//! set is never taken from a client. Nothing here knows about HTTP or about who asks.

mod narrow;
pub mod query;
pub mod record;
mod search;
mod store;
mod table;

pub use query::Filter;
pub use record::Row;
pub use search::{BYTES_LIMIT, COUNT, COUNT_LIMIT, Key, SKIP_LIMIT, Search, ids, search};
pub use store::{
    Collection, Others, collections, collections_of, create, declare, drop_collection, each, files_of, get, page,
    put_kept, remove, update,
};
pub(crate) use store::{put_new, set_by_server};
pub use table::{BadName, FILES, TableName};

/// Why a record could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such record.
    #[error("there is no record {id:?} in {table}")]
    Missing {
        /// Where it was looked for.
        table: TableName,
        /// What was looked for.
        id: String,
    },
    /// A record of this id is there already.
    #[error("there is already a record {id:?} in {table}")]
    Exists {
        /// Where.
        table: TableName,
        /// Which.
        id: String,
    },
    /// An id that cannot be one.
    #[error("a record's _id is 1 to 512 characters long, without control characters")]
    BadId,
    /// An app's name that cannot be one.
    #[error(transparent)]
    BadApp(#[from] export_format::ident::AppIdError),
    /// A table's name that cannot be one.
    #[error(transparent)]
    BadName(#[from] BadName),
    /// A query that was refused.
    #[error(transparent)]
    Query(#[from] query::Error),
    /// More than one answer can hold.
    #[error("the first {found} records found fill an answer already: ask for fewer with count, and for more with skip")]
    AnswerTooLarge {
        /// How many fit.
        found: usize,
    },
    /// A stored text is not a record.
    #[error("a stored record cannot be read")]
    Damaged(#[source] serde_json::Error),
    /// SQLite failed.
    #[error("the records could not be reached")]
    Database(#[from] rusqlite::Error),
}
