//! What is known of a collection before it is searched: its number, and its indexes with their words in SQL.
//!
//! One short statement reads both, as one text; what it means is worked out once and kept. The text itself is read at every
//! search, so what is kept can never be out of date: it only says what a text means.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;
use rusqlite::Connection;

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
        "select n, id, definition from collection left join document_index on collection = n
            where app = ?1 and name = ?2",
    )?;
    let mut rows = query.query((table.app().as_str(), table.collection()))?;
    let mut text = String::with_capacity(256);
    while let Some(row) = rows.next()? {
        let (n, id): (i64, Option<i64>) = (row.get(0)?, row.get(1)?);
        if text.is_empty() {
            text.push_str(itoa::Buffer::new().format(n));
        }
        if let Some(id) = id {
            text.push('\n');
            text.push_str(itoa::Buffer::new().format(id));
            text.push(' ');
            text.push_str(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?);
        }
    }
    if text.is_empty() {
        return Ok(None);
    }
    if let Some(known) = MEANINGS.lock().get(&text) {
        return Ok(Some(Arc::clone(known)));
    }
    Ok(learn(&text))
}

fn learn(text: &str) -> Option<Arc<Catalogue>> {
    let mut lines = text.lines();
    let n = lines.next()?.parse().ok()?;
    let mut indexes: Vec<Made> = lines
        .filter_map(|line| {
            let (id, definition) = line.split_once(' ')?;
            // One that a newer release knows is left alone.
            Some(Made::new(n, id.parse().ok()?, definition.parse().ok()?))
        })
        .collect();
    indexes.sort_by_key(|made| made.id);
    let catalogue = Arc::new(Catalogue { n, indexes });
    let mut meanings = MEANINGS.lock();
    if meanings.len() >= KEPT {
        meanings.clear();
    }
    meanings.insert(text.to_owned(), Arc::clone(&catalogue));
    Some(catalogue)
}
