//! JSON documents as people may open them: indented, members sorted, one line end.

use export_format::EntryPath;
use export_format::packed::MAX_DOCUMENT;
use export_format::row::{MAX_LINE, RowError, Value as Row};
use rusqlite::{Connection, OptionalExtension};
use serde_json::{Map, Value};

use super::kept;
use crate::archive::error::Error;

/// Members of a document, ours first; members another writer had there and we do not know are kept beside them.
pub(super) fn document(db: &Connection, path: &EntryPath, mut ours: Map<String, Value>) -> Result<Vec<u8>, Error> {
    let alone = ours.clone();
    merge(&mut ours, kept::members(db, path.as_str())?);
    let whole = Value::Object(ours);
    // A stranger's document may be as long as any reader takes, and have no room for line breaks or more.
    let spellings = [pretty(&whole), whole.to_string().into_bytes()];
    let fits = spellings.into_iter().find(|text| text.len() <= MAX_DOCUMENT);
    Ok(fits.unwrap_or_else(|| pretty(&Value::Object(alone))))
}

/// Adds what only the others say, also within members that both have.
pub(super) fn merge(ours: &mut Map<String, Value>, theirs: Map<String, Value>) {
    for (name, value) in theirs {
        match (ours.get_mut(&name), value) {
            (None, value) => drop(ours.insert(name, value)),
            (Some(Value::Object(ours)), Value::Object(theirs)) => merge(ours, theirs),
            (Some(_), _) => {}
        }
    }
}

/// A line of a document of rows, with what another writer said there besides.
pub(super) struct Line {
    /// What we say.
    pub(super) ours: Value,
    /// Members we do not know: an object as the server stores it.
    pub(super) theirs: Option<String>,
}

impl Line {
    fn to_row(&self) -> Result<String, RowError> {
        let mut line = Row::from_stored(&self.ours.to_string())?;
        let alone = line.to_row();
        if let Some(theirs) = &self.theirs {
            merge_rows(&mut line, Row::from_stored(theirs)?);
        }
        Ok(Some(line.to_row()).filter(|line| line.len() <= MAX_LINE).unwrap_or(alone))
    }
}

fn merge_rows(ours: &mut Row, theirs: Row) {
    let (Row::Object(ours), Row::Object(theirs)) = (ours, theirs) else { return };
    for (name, value) in theirs {
        match ours.get_mut(&name) {
            None => drop(ours.insert(name, value)),
            Some(ours) => merge_rows(ours, value),
        }
    }
}

/// Lines of a document, ours and those of another writer that we could not make sense of, in one order.
pub(super) fn lines(db: &Connection, path: &EntryPath, ours: Vec<Line>) -> Result<Vec<u8>, Error> {
    let ours = ours.iter().map(Line::to_row).collect::<Result<Vec<_>, _>>();
    let ours = ours.map_err(|why| Error::Bug(format!("a line of {path} cannot be spelled: {why}")))?;
    let mut lines: Vec<String> = ours.into_iter().chain(kept::lines(db, path.as_str())?).collect();
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
