//! What is known of a collection before it is searched: its number, and its indexes with their words in SQL.
//!
//! One short statement reads both as texts; what these texts mean is worked out once and kept. The texts themselves are
//! read at every search, so what is kept can never be out of date: it only says what a text means.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension as _};

use super::Error;
use super::index::Made;
use super::table::TableName;

/// A collection, ready to be searched.
#[derive(Debug)]
pub(super) struct Catalogue {
    pub(super) n: i64,
    pub(super) indexes: Vec<Made>,
}

/// How many collections' meanings are kept, in one process.
const KEPT: usize = 64;

/// How many statements a connection keeps prepared.
const STATEMENTS: usize = 48;

static MEANINGS: LazyLock<Mutex<HashMap<String, Arc<Catalogue>>>> = LazyLock::new(Mutex::default);

/// The collection of a table; none when nothing was written to it.
pub(super) fn of(db: &Connection, table: &TableName) -> Result<Option<Arc<Catalogue>>, Error> {
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    let mut query = db.prepare_cached(
        "select n || (select coalesce(group_concat(char(10) || id || ' ' || definition, ''), '') from document_index
            where collection = n) from collection where app = ?1 and name = ?2",
    )?;
    let read = query.query_row((table.app().as_str(), table.collection()), |row| {
        let text = row.get_ref(0)?.as_str()?;
        if let Some(known) = MEANINGS.lock().get(text) {
            return Ok(Some(Arc::clone(known)));
        }
        Ok(learn(text))
    });
    Ok(read.optional()?.flatten())
}

fn learn(text: &str) -> Option<Arc<Catalogue>> {
    let mut lines = text.lines();
    let n = lines.next()?.parse().ok()?;
    let mut made: Vec<(i64, Made)> = lines
        .filter_map(|line| {
            let (id, definition) = line.split_once(' ')?;
            let id = id.parse().ok()?;
            // One that a newer release knows is left alone.
            Some((id, Made::new(n, id, definition.parse().ok()?)))
        })
        .collect();
    made.sort_by_key(|(id, _)| *id);
    let catalogue = Arc::new(Catalogue { n, indexes: made.into_iter().map(|(_, made)| made).collect() });
    let mut meanings = MEANINGS.lock();
    if meanings.len() >= KEPT {
        meanings.clear();
    }
    meanings.insert(text.to_owned(), Arc::clone(&catalogue));
    Some(catalogue)
}
