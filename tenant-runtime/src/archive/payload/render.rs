//! JSON documents as people may open them: indented, members sorted, one line end.

use export_format::EntryPath;
use export_format::row::Value as Row;
use rusqlite::{Connection, OptionalExtension};
use serde_json::{Map, Value};

use super::kept;
use crate::archive::error::Error;

/// Members of a document, ours first; members another writer had there and we do not know are kept beside them.
pub(super) fn document(db: &Connection, path: &EntryPath, mut ours: Map<String, Value>) -> Result<Vec<u8>, Error> {
    for (name, value) in kept::members(db, path)? {
        ours.entry(name).or_insert(value);
    }
    Ok(pretty(&Value::Object(ours)))
}

/// Lines of a document, ours and those of another writer that we could not make sense of, in one order.
pub(super) fn lines(db: &Connection, path: &EntryPath, ours: Vec<Value>) -> Result<Vec<u8>, Error> {
    let canonical = |line: &Value| Row::from_stored(&line.to_string()).map(|row| row.to_row());
    let ours = ours.iter().map(canonical).collect::<Result<Vec<_>, _>>();
    let ours = ours.map_err(|why| Error::Bug(format!("a line of {path} cannot be spelled: {why}")))?;
    let mut lines: Vec<String> = ours.into_iter().chain(kept::lines(db, path)?).collect();
    lines.sort();
    Ok(lines.into_iter().flat_map(|line| format!("{line}\n").into_bytes()).collect())
}

pub(super) fn pretty(value: &Value) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).unwrap_or_default();
    text.push(b'\n');
    text
}

/// One number out of the database, when there is one.
pub(super) fn number(db: &Connection, sql: &str) -> Result<Option<i64>, Error> {
    Ok(db.query_row(sql, [], |row| row.get(0)).optional()?)
}

/// A path that is known to be one.
pub(super) fn path(text: &str) -> Result<EntryPath, Error> {
    text.parse().map_err(|why| Error::Bug(format!("{text:?} is no path of an archive: {why}")))
}
