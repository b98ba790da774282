//! What is known of an app's files, in SQLite; their bytes are blobs, named by digest.

use export_format::{AppId, Digest};
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};

use super::{Error, FilePath};

/// One file of one app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRecord {
    /// Whose file it is.
    pub app: AppId,
    /// `folder/name`, also the `_id` of its record in `<app>.files`.
    pub path: FilePath,
    /// The blob with its bytes.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// CRC-32 of its bytes, which archives want.
    pub crc32: u32,
    /// Its media type.
    pub mime: String,
    /// When it was first uploaded, Unix milliseconds.
    pub created: i64,
    /// When it was last replaced, Unix milliseconds.
    pub modified: i64,
}

const COLUMNS: &str = "app, path, digest, size, crc32, mime, created, modified";

fn record(row: &SqlRow<'_>) -> rusqlite::Result<FileRecord> {
    Ok(FileRecord {
        app: parsed(row, 0)?,
        path: parsed(row, 1)?,
        digest: parsed(row, 2)?,
        size: row.get::<_, i64>(3)?.unsigned_abs(),
        crc32: row.get(4)?,
        mime: row.get(5)?,
        created: row.get(6)?,
        modified: row.get(7)?,
    })
}

/// Reads a column whose text has a type of its own.
pub(crate) fn parsed<T: std::str::FromStr>(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    row.get_ref(column)?.as_str()?.parse().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

/// One file.
pub fn get(db: &Connection, app: &AppId, path: &FilePath) -> Result<Option<FileRecord>, Error> {
    let text = format!("select {COLUMNS} from file where app = ?1 and path = ?2");
    Ok(db.prepare_cached(&text)?.query_row((app.as_str(), path.as_str()), record).optional()?)
}

/// Up to `limit` files of an app with paths after `after`, ordered by path.
pub fn page(db: &Connection, app: &AppId, after: &str, limit: u32) -> Result<Vec<FileRecord>, Error> {
    let text = format!("select {COLUMNS} from file where app = ?1 and path > ?2 order by path limit ?3");
    let found =
        db.prepare_cached(&text)?.query_map(params![app.as_str(), after, limit], record)?.collect::<Result<_, _>>()?;
    Ok(found)
}

/// Shows every file of an app, ordered by path, without holding more than one.
pub fn each<E: From<Error>>(
    db: &Connection,
    app: &AppId,
    mut show: impl FnMut(FileRecord) -> Result<(), E>,
) -> Result<(), E> {
    let text = format!("select {COLUMNS} from file where app = ?1 order by path");
    let mut query = db.prepare(&text).map_err(Error::from)?;
    let mut rows = query.query([app.as_str()]).map_err(Error::from)?;
    while let Some(found) = rows.next().map_err(Error::from)? {
        show(record(found).map_err(Error::from)?)?;
    }
    Ok(())
}

/// Writes what is known of a file, in place of what was. The blob must be durable already.
pub fn put(db: &Connection, file: &FileRecord) -> Result<(), Error> {
    db.prepare_cached(
        "insert into file (app, path, digest, size, crc32, mime, created, modified)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         on conflict (app, path) do update set digest = excluded.digest, size = excluded.size, crc32 = excluded.crc32,
            mime = excluded.mime, modified = excluded.modified",
    )?
    .execute(params![
        file.app.as_str(),
        file.path.as_str(),
        file.digest.to_string(),
        file.size.cast_signed(),
        file.crc32,
        file.mime,
        file.created,
        file.modified
    ])?;
    Ok(())
}

/// Forgets a file; whether there was one.
pub fn remove(db: &Connection, app: &AppId, path: &FilePath) -> Result<bool, Error> {
    let text = "delete from file where app = ?1 and path = ?2";
    Ok(db.prepare_cached(text)?.execute((app.as_str(), path.as_str()))? > 0)
}

/// How many files an app has, and their bytes together.
pub fn totals(db: &Connection, app: &AppId) -> Result<(u64, u64), Error> {
    let text = "select count(*), coalesce(sum(size), 0) from file where app = ?1";
    let pair = |row: &SqlRow<'_>| Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, i64>(1)?.unsigned_abs()));
    Ok(db.query_row(text, [app.as_str()], pair)?)
}

/// The bytes of all blobs in use, each counted once however many files share it.
pub fn blob_bytes(db: &Connection) -> Result<u64, Error> {
    Ok(db.query_row("select bytes from blob_total", [], |row| row.get::<_, i64>(0))?.unsigned_abs())
}

/// The digests of all blobs in use; any other may be swept.
pub fn blobs_in_use(db: &Connection) -> Result<std::collections::HashSet<Digest>, Error> {
    let found =
        db.prepare("select digest from blob")?.query_map([], |row| parsed(row, 0))?.collect::<Result<_, _>>()?;
    Ok(found)
}
