//! Uploads that may break off and go on: what was announced, in SQLite; the bytes are with the store.
//!
//! A finished upload keeps its result for a while, so that asking again for the end of it gives the same answer.

use std::collections::HashMap;

use export_format::AppId;
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};
use serde_json::{Map, Value};

use super::{Error, FilePath, parsed};

/// How long an upload may rest before it is given up, and how long a result is kept: 3 days.
pub const PATIENCE: i64 = 3 * 24 * 60 * 60 * 1000;

/// An announced upload.
#[derive(Clone, Debug, PartialEq)]
pub struct Upload {
    /// Its name.
    pub id: String,
    /// Whose file it becomes.
    pub app: AppId,
    /// Under which name.
    pub path: FilePath,
    /// Its exact length.
    pub size: u64,
    /// Its media type.
    pub mime: String,
    /// Whether it may replace a file.
    pub overwrite: bool,
    /// What the app says about the file.
    pub data: Map<String, Value>,
    /// When it was announced, Unix milliseconds.
    pub started: i64,
    /// Whether it has become a file.
    pub is_done: bool,
}

const COLUMNS: &str = "id, app, path, size, mime, options, started, result";

fn upload(row: &SqlRow<'_>) -> rusqlite::Result<Upload> {
    let options: Value = serde_json::from_str(row.get_ref(5)?.as_str()?).unwrap_or_default();
    Ok(Upload {
        id: row.get(0)?,
        app: parsed(row, 1)?,
        path: parsed(row, 2)?,
        size: row.get::<_, i64>(3)?.unsigned_abs(),
        mime: row.get(4)?,
        overwrite: options["overwrite"].as_bool().unwrap_or_default(),
        data: options["data"].as_object().cloned().unwrap_or_default(),
        started: row.get(6)?,
        is_done: row.get::<_, Option<String>>(7)?.is_some(),
    })
}

/// One upload of an app.
pub fn get(db: &Connection, app: &AppId, id: &str) -> Result<Option<Upload>, Error> {
    let text = format!("select {COLUMNS} from upload where app = ?1 and id = ?2");
    Ok(db.prepare_cached(&text)?.query_row((app.as_str(), id), upload).optional()?)
}

/// The unfinished upload of the same file, if there is one to go on with.
pub fn unfinished(db: &Connection, app: &AppId, path: &FilePath, size: u64) -> Result<Option<Upload>, Error> {
    let text = format!(
        "select {COLUMNS} from upload where app = ?1 and path = ?2 and size = ?3 and result is null
         order by started desc limit 1"
    );
    Ok(db
        .prepare_cached(&text)?
        .query_row(params![app.as_str(), path.as_str(), size.cast_signed()], upload)
        .optional()?)
}

/// All uploads that have not become files.
pub fn pending(db: &Connection) -> Result<Vec<Upload>, Error> {
    let text = format!("select {COLUMNS} from upload where result is null");
    let found = db.prepare_cached(&text)?.query_map([], upload)?.collect::<Result<_, _>>()?;
    Ok(found)
}

/// Announces an upload.
pub fn put(db: &Connection, upload: &Upload) -> Result<(), Error> {
    let options = serde_json::json!({"overwrite": upload.overwrite, "data": upload.data}).to_string();
    db.execute(
        "insert into upload (id, app, path, size, mime, options, started) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            upload.id,
            upload.app.as_str(),
            upload.path.as_str(),
            upload.size.cast_signed(),
            upload.mime,
            options,
            upload.started
        ],
    )?;
    Ok(())
}

/// Writes down that an upload has become a file.
pub fn finish(db: &Connection, id: &str) -> Result<(), Error> {
    db.execute("update upload set result = 'done' where id = ?1", [id])?;
    Ok(())
}

/// Forgets an upload.
pub fn remove(db: &Connection, id: &str) -> Result<(), Error> {
    db.execute("delete from upload where id = ?1", [id])?;
    Ok(())
}

/// Forgets uploads that rested too long, finished or not, and answers with their names.
///
/// `rests` says of those of which the store has something whether they do, by the store's own clock; of one of which
/// nothing is there, nothing is lost.
pub fn give_up(db: &Connection, rests: &HashMap<String, bool>, now: i64) -> Result<Vec<String>, Error> {
    let mut query = db.prepare("select id, started from upload")?;
    let all = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<Vec<(String, i64)>, _>>()?;
    let is_over = |(id, started): &(String, i64)| rests.get(id).copied().unwrap_or(*started < now - PATIENCE);
    let ids: Vec<String> = all.into_iter().filter(is_over).map(|(id, _)| id).collect();
    for id in &ids {
        remove(db, id)?;
    }
    Ok(ids)
}
