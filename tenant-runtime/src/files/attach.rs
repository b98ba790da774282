//! Giving a stored blob its name in an app, together with the record about it.

use export_format::AppId;
use rusqlite::Connection;
use serde_json::{Map, Value};

use super::store::{self, FileRecord};
use super::{Error, FilePath};
use crate::documents::{self, Row, record};
use crate::store::Blob;

/// A file about to get its name.
#[derive(Clone, Debug)]
pub struct Attach {
    /// Whose file.
    pub app: AppId,
    /// Its name.
    pub path: FilePath,
    /// Its media type.
    pub mime: String,
    /// Whether a file of that name is replaced.
    pub overwrite: bool,
    /// What the app says about it.
    pub data: Map<String, Value>,
}

/// Names a blob, and writes the record about it.
pub fn attach(db: &Connection, file: Attach, blob: &Blob, now: i64) -> Result<Row, Error> {
    let table = documents::files_of(&file.app)?;
    let id = file.path.as_str().to_owned();
    let before = store::get(db, &file.app, &file.path)?;
    if before.is_some() && !file.overwrite {
        return Err(documents::Error::Exists { table, id }.into());
    }
    let mut fields = file.data;
    record::strip(&mut fields, true);
    fields.insert("_mime_type".into(), file.mime.as_str().into());
    fields.insert("_file_extension".into(), file.path.extension().into());
    fields.insert("_file_size".into(), blob.size.into());
    fields.insert("_file_digest".into(), blob.digest.to_string().into());
    store::put(
        db,
        &FileRecord {
            app: file.app,
            path: file.path,
            digest: blob.digest,
            size: blob.size,
            crc32: blob.crc32,
            mime: file.mime,
            created: before.map_or(now, |before| before.created),
            modified: now,
        },
    )?;
    let row = match documents::get(db, &table, &id)? {
        Some(_) => documents::set_by_server(db, &table, &id, fields, now)?,
        None => documents::put_new(db, &table, &id, fields, now)?,
    };
    Ok(row)
}
