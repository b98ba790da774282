//! Records: JSON documents in tables per app, found with mongo-like queries.
//!
//! Invariants: a record's id is unique within its table; `_date_modified` never goes back; what only the server may
//! set is never taken from a client. Nothing here knows about HTTP or about who asks.

mod advise;
mod budget;
mod catalogue;
mod index;
mod looking;
mod making;
mod narrow;
pub mod noting;
mod order;
mod plan;
mod position;
pub mod query;
mod reading;
pub mod record;
mod search;
mod store;
mod table;
mod text;

pub use advise::Advisor;
pub use budget::Budget;
pub use index::{BadIndex, Index};
pub use making::{Step, give_up_missed, is_making, make_further};
pub use position::Position;
pub use query::Filter;
pub use record::{Row, View};
pub use search::{
    BYTES_LIMIT, COUNT, COUNT_LIMIT, Found, Key, Looked, Page, SKIP_LIMIT, Search, ids, look, search, show,
};
pub use store::{
    Collection, Others, Until, begin_declared, begin_missed, between, collections, collections_of, create, declare,
    drop_collection, each, files_of, get, number, page, put_kept, remove, replace_run, tables_of, update,
};
pub(crate) use store::{change_by_server, is_run, make_indexes_anew, put_new, set_by_server, stamp};
pub use table::{BadName, FILES, TableName};
pub use text::Words;

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
    /// A search that would look at too much.
    #[error("{}", broad(.table, *.looked_at, .index.as_deref()))]
    TooBroad {
        /// Where.
        table: TableName,
        /// How many records were looked at before it was given up.
        looked_at: usize,
        /// What would spare that.
        index: Option<Box<Index>>,
    },
    /// The next page was to come from an index that is no longer there.
    #[error("the index of {table} that this page was to come from is gone: ask for the first page again")]
    PageGone {
        /// Where.
        table: TableName,
    },
    /// Words are looked for where no index knows them.
    #[error("{table} has no text index: name the fields to be searched in the app's manifest, as in \"app_tables\": {{\"{}\": {{\"indexes\": [\"text(title, body)\"]}}}}", .table.collection())]
    NoTextIndex {
        /// Where.
        table: TableName,
    },
    /// A stored text is not a record.
    #[error("a stored record cannot be read")]
    Damaged(#[source] serde_json::Error),
    /// SQLite failed.
    #[error("the records could not be reached")]
    Database(#[from] rusqlite::Error),
}

fn broad(table: &TableName, looked_at: usize, index: Option<&Index>) -> String {
    let begun = format!(
        "This query was given up after looking at {looked_at} records of {table}: no index leads to what it asks for."
    );
    match index {
        Some(index) => format!(
            "{begun} Declare one in the app's manifest, \"app_tables\": {{\"{}\": {{\"indexes\": [\"{index}\"]}}}}, or ask for less, for instance by _date_modified.",
            table.collection()
        ),
        None => {
            format!("{begun} Ask for less, for instance by _id or _date_modified, or by a field that has an index.")
        }
    }
}
