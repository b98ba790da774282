//! Records in SQLite: one table a collection, found through the register `collection`.
//!
//! Every function takes a connection, so that a handler, an export from a snapshot and an import into a staged home
//! read and write by the same rules.

use export_format::AppId;
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};
use serde_json::{Map, Value};

use super::Error;
use super::index::{self, Index};
use super::record::{self, Row};
use super::table::{FILES, TableName};

/// A collection that exists: it has been written to, or an app declared it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// Its name.
    pub table: TableName,
    /// How many records it holds.
    pub count: u64,
    pub(super) n: i64,
}

/// All collections, ordered by app and name.
pub fn collections(db: &Connection) -> Result<Vec<Collection>, Error> {
    let mut query = db.prepare_cached("select n, app, name from collection order by app, name")?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let mut all = Vec::new();
    for row in rows {
        let (n, app, name): (i64, String, String) = row?;
        let count =
            db.query_row(&format!("select count(*) from document_{n}"), [], |row| row.get::<_, i64>(0))?.unsigned_abs();
        all.push(Collection { table: TableName::new(&app.parse()?, &name)?, count, n });
    }
    Ok(all)
}

/// The collections of one app.
pub fn collections_of(db: &Connection, app: &AppId) -> Result<Vec<Collection>, Error> {
    Ok(collections(db)?.into_iter().filter(|collection| collection.table.app() == app).collect())
}

/// The names of one app's collections, ordered; nothing is counted.
pub fn tables_of(db: &Connection, app: &AppId) -> Result<Vec<TableName>, Error> {
    let mut query = db.prepare_cached("select name from collection where app = ?1 order by name")?;
    let names = query.query_map([app.as_str()], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    names.iter().map(|name| Ok(TableName::new(app, name)?)).collect()
}

/// The number of a collection that exists.
pub fn number(db: &Connection, table: &TableName) -> Result<Option<i64>, Error> {
    find(db, table)
}

fn find(db: &Connection, table: &TableName) -> Result<Option<i64>, Error> {
    let mut query = db.prepare_cached("select n from collection where app = ?1 and name = ?2")?;
    Ok(query.query_row((table.app().as_str(), table.collection()), |row| row.get(0)).optional()?)
}

/// The number of a collection, made now if this is its first write.
fn make(db: &Connection, table: &TableName) -> Result<i64, Error> {
    if let Some(n) = find(db, table)? {
        return Ok(n);
    }
    db.execute("insert into collection (app, name) values (?1, ?2)", (table.app().as_str(), table.collection()))?;
    let n = db.last_insert_rowid();
    db.execute_batch(&format!(
        "create table document_{n} (n integer primary key, _id text not null unique, created integer not null,
            modified integer not null, doc text not null) strict;
         create index document_{n}_modified on document_{n} (modified);"
    ))?;
    crate::sharing::watch(db, n)?;
    Ok(n)
}

/// Makes the collection, with exactly these indexes beside those made because they were missed. What describes no
/// index is left out.
pub fn declare(db: &Connection, table: &TableName, indexes: &[String]) -> Result<(), Error> {
    declare_in(db, make(db, table)?, indexes)
}

fn declare_in(db: &Connection, n: i64, indexes: &[String]) -> Result<(), Error> {
    let wanted = read(indexes);
    index::declare(db, n, &wanted)?;
    note(db, n, &wanted)
}

/// The same for a collection that is in use: where there are many records, an index is only begun, so that nobody waits for
/// it, and [`super::make_further`] goes on with it.
pub fn begin_declared(db: &Connection, table: &TableName, indexes: &[String]) -> Result<(), Error> {
    let (n, wanted) = (make(db, table)?, read(indexes));
    index::begin_declared(db, n, &wanted)?;
    note(db, n, &wanted)
}

fn read(indexes: &[String]) -> Vec<Index> {
    indexes.iter().filter_map(|text| text.parse().ok()).collect()
}

fn note(db: &Connection, n: i64, wanted: &[Index]) -> Result<(), Error> {
    let written: Vec<String> = wanted.iter().map(Index::to_string).collect();
    let text = serde_json::to_string(&written).expect("names are JSON");
    db.execute("update collection set indexes = ?2 where n = ?1", (n, text))?;
    Ok(())
}

/// Makes an index because searches missed it, or begins it, as [`begin_declared`] does; false when there are enough, or when
/// that has happened already.
pub fn begin_missed(db: &Connection, table: &TableName, index: &Index) -> Result<bool, Error> {
    match find(db, table)? {
        Some(n) => index::begin_missed(db, n, index),
        None => Ok(false),
    }
}

/// Makes every index anew, for a home whose indexes were of the first layout: over the bare values.
pub(crate) fn make_indexes_anew(db: &Connection) -> Result<(), Error> {
    let mut query = db.prepare("select n, indexes from collection order by n")?;
    let all = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<Vec<(i64, String)>, _>>()?;
    for (n, indexes) in all {
        let indexes: Vec<String> = serde_json::from_str(&indexes).unwrap_or_default();
        for field in indexes.iter().filter(|field| index::is_indexable(field)) {
            db.execute_batch(&format!("drop index if exists document_{n}_by_{field}"))?;
        }
        declare_in(db, n, &indexes)?;
    }
    Ok(())
}

/// Removes a collection with all its records.
pub fn drop_collection(db: &Connection, table: &TableName) -> Result<(), Error> {
    if let Some(n) = find(db, table)? {
        index::remove_all(db, n)?;
        db.execute_batch(&format!("drop table document_{n}"))?;
        db.execute("delete from collection where n = ?1", [n])?;
    }
    Ok(())
}

fn row(row: &SqlRow<'_>) -> rusqlite::Result<Row> {
    Ok(Row { id: row.get(0)?, created: row.get(1)?, modified: row.get(2)?, doc: row.get(3)? })
}

/// One record.
pub fn get(db: &Connection, table: &TableName, id: &str) -> Result<Option<Row>, Error> {
    let Some(n) = find(db, table)? else { return Ok(None) };
    let text = format!("select _id, created, modified, doc from document_{n} where _id = ?1");
    Ok(db.prepare_cached(&text)?.query_row([id], row).optional()?)
}

/// Up to `limit` records with ids after `after`, ordered by `_id`.
pub fn page(db: &Connection, table: &TableName, after: &str, limit: u32) -> Result<Vec<Row>, Error> {
    let Some(n) = find(db, table)? else { return Ok(Vec::new()) };
    let text = format!("select _id, created, modified, doc from document_{n} where _id > ?1 order by _id limit ?2");
    let rows = db.prepare_cached(&text)?.query_map(params![after, limit], row)?.collect::<Result<_, _>>()?;
    Ok(rows)
}

/// Shows every record, ordered by `_id`, without holding more than one.
pub fn each<E: From<Error>>(
    db: &Connection,
    table: &TableName,
    show: impl FnMut(Row) -> Result<(), E>,
) -> Result<(), E> {
    between(db, table, None, None, show)
}

/// The same with the records behind the id `after` and up to the id `through`, as far as they are given.
pub fn between<E: From<Error>>(
    db: &Connection,
    table: &TableName,
    after: Option<&str>,
    through: Option<&str>,
    mut show: impl FnMut(Row) -> Result<(), E>,
) -> Result<(), E> {
    let Some(n) = find(db, table)? else { return Ok(()) };
    let from = after.map_or("?1 is null", |_| "_id > ?1");
    let to = through.map_or("?2 is null", |_| "_id <= ?2");
    let text = format!("select _id, created, modified, doc from document_{n} where {from} and {to} order by _id");
    let mut query = db.prepare(&text).map_err(Error::from)?;
    let mut rows = query.query((after, through)).map_err(Error::from)?;
    while let Some(found) = rows.next().map_err(Error::from)? {
        show(row(found).map_err(Error::from)?)?;
    }
    Ok(())
}

/// Writes records as they are, ids and dates included, in place of any of the same id: for imports and restores.
pub fn put_kept(db: &Connection, table: &TableName, rows: &[Row]) -> Result<(), Error> {
    let n = make(db, table)?;
    let mut insert = db.prepare_cached(&put_text(n))?;
    for row in rows {
        insert.execute(params![row.id, row.created, row.modified, row.doc])?;
    }
    Ok(())
}

fn put_text(n: i64) -> String {
    format!(
        "insert into document_{n} (_id, created, modified, doc) values (?1, ?2, ?3, ?4)
         on conflict (_id) do update set created = excluded.created, modified = excluded.modified, doc = excluded.doc"
    )
}

/// Where a run of ids ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Until {
    /// With this id.
    Through(String),
    /// Before this id.
    Before(String),
    /// With the last there is.
    End,
}

impl Until {
    /// As a condition on `?2`, and what that is.
    fn bound(&self) -> (&'static str, &str) {
        match self {
            Self::Through(last) => ("and _id <= ?2", last.as_str()),
            Self::Before(next) => ("and _id < ?2", next.as_str()),
            Self::End => ("and ?2 = ''", ""),
        }
    }
}

/// Whether exactly these records stand behind the id `after` and up to `until`.
pub(crate) fn is_run(
    db: &Connection,
    table: &TableName,
    after: &str,
    until: &Until,
    rows: &[Row],
) -> Result<bool, Error> {
    let Some(n) = find(db, table)? else { return Ok(rows.is_empty()) };
    let (bound, last) = until.bound();
    let text = format!("select _id, created, modified, doc from document_{n} where _id > ?1 {bound} order by _id");
    let mut query = db.prepare_cached(&text)?;
    let mut here = query.query((after, last))?;
    let mut wanted = rows.iter();
    while let Some(found) = here.next()? {
        if wanted.next() != Some(&row(found)?) {
            return Ok(false);
        }
    }
    Ok(wanted.next().is_none())
}

/// By what a table is known not to have changed: how many records it has, when one was last changed, and the number of the
/// last one that was made.
pub(crate) fn stamp(db: &Connection, table: &TableName) -> Result<(i64, i64, i64), Error> {
    let Some(n) = find(db, table)? else { return Ok((0, 0, 0)) };
    let text = format!("select count(*), coalesce(max(modified), 0), coalesce(max(n), 0) from document_{n}");
    Ok(db.query_row(&text, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?)
}

/// Has exactly these records stand behind the id `after` (all ids, for an empty one) and up to `until`, as they are and in the
/// order of their ids. Those that stand there so already are left alone.
pub fn replace_run(db: &Connection, table: &TableName, after: &str, until: &Until, rows: &[Row]) -> Result<(), Error> {
    let n = make(db, table)?;
    let (bound, last) = until.bound();
    let text = format!("select _id, created, modified, doc from document_{n} where _id > ?1 {bound} order by _id");
    let (mut gone, mut new) = (Vec::new(), Vec::new());
    {
        let mut query = db.prepare_cached(&text)?;
        let mut here = query.query((after, last))?;
        let mut wanted = rows.iter().peekable();
        while let Some(found) = here.next()? {
            let found = row(found)?;
            while let Some(row) = wanted.next_if(|row| row.id < found.id) {
                new.push(row);
            }
            match wanted.next_if(|row| row.id == found.id) {
                Some(row) if *row == found => {}
                Some(row) => new.push(row),
                None => gone.push(found.id),
            }
        }
        new.extend(wanted);
    }
    let mut remove = db.prepare_cached(&format!("delete from document_{n} where _id = ?1"))?;
    for id in gone {
        remove.execute([id])?;
    }
    let mut put = db.prepare_cached(&put_text(n))?;
    for row in new {
        put.execute(params![row.id, row.created, row.modified, row.doc])?;
    }
    Ok(())
}

/// Writes a new record.
pub fn create(
    db: &Connection,
    table: &TableName,
    id: &str,
    mut fields: Map<String, Value>,
    now: i64,
) -> Result<Row, Error> {
    record::strip(&mut fields, table.holds_files());
    put_new(db, table, id, fields, now)
}

/// Writes a new record whose fields come from the server itself.
pub(crate) fn put_new(
    db: &Connection,
    table: &TableName,
    id: &str,
    fields: Map<String, Value>,
    now: i64,
) -> Result<Row, Error> {
    if !record::is_id(id) {
        return Err(Error::BadId);
    }
    let n = make(db, table)?;
    let row = Row { id: id.to_owned(), created: now, modified: now, doc: Value::Object(fields).to_string() };
    let text = format!(
        "insert into document_{n} (_id, created, modified, doc) values (?1, ?2, ?3, ?4) on conflict (_id) do nothing"
    );
    match db.prepare_cached(&text)?.execute(params![row.id, row.created, row.modified, row.doc])? {
        0 => Err(Error::Exists { table: table.clone(), id: row.id }),
        _ => Ok(row),
    }
}

/// How an update treats the fields it does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// They go.
    Dropped,
    /// They stay.
    Kept,
}

/// Changes a record.
pub fn update(
    db: &Connection,
    table: &TableName,
    id: &str,
    mut fields: Map<String, Value>,
    others: Others,
    now: i64,
) -> Result<Row, Error> {
    let of_files = table.holds_files();
    let (n, stored) = stored(db, table, id)?;
    let mut before = stored.fields();
    record::strip(&mut fields, of_files);
    let fields = match others {
        Others::Dropped => {
            record::carry(&mut fields, &mut before, of_files);
            fields
        }
        Others::Kept => {
            before.extend(fields);
            before
        }
    };
    set(db, n, Row { doc: Value::Object(fields).to_string(), modified: now.max(stored.modified), ..stored })
}

/// Sets fields that only the server may set.
pub(crate) fn set_by_server(
    db: &Connection,
    table: &TableName,
    id: &str,
    fields: Map<String, Value>,
    now: i64,
) -> Result<Row, Error> {
    let (n, stored) = stored(db, table, id)?;
    let mut all = stored.fields();
    all.extend(fields);
    set(db, n, Row { doc: Value::Object(all).to_string(), modified: now.max(stored.modified), ..stored })
}

/// Changes fields that only the server may set, some of which may go.
pub(crate) fn change_by_server(
    db: &Connection,
    table: &TableName,
    id: &str,
    now: i64,
    change: impl FnOnce(&mut Map<String, Value>),
) -> Result<Row, Error> {
    let (n, stored) = stored(db, table, id)?;
    let mut fields = stored.fields();
    change(&mut fields);
    set(db, n, Row { doc: Value::Object(fields).to_string(), modified: now.max(stored.modified), ..stored })
}

fn set(db: &Connection, n: i64, row: Row) -> Result<Row, Error> {
    let text = format!("update document_{n} set modified = ?2, doc = ?3 where _id = ?1");
    db.prepare_cached(&text)?.execute(params![row.id, row.modified, row.doc])?;
    Ok(row)
}

/// Removes a record and answers with what it was.
pub fn remove(db: &Connection, table: &TableName, id: &str) -> Result<Row, Error> {
    let (n, stored) = stored(db, table, id)?;
    db.prepare_cached(&format!("delete from document_{n} where _id = ?1"))?.execute([id])?;
    Ok(stored)
}

fn stored(db: &Connection, table: &TableName, id: &str) -> Result<(i64, Row), Error> {
    let missing = || Error::Missing { table: table.clone(), id: id.to_owned() };
    let n = find(db, table)?.ok_or_else(missing)?;
    let row = get(db, table, id)?.ok_or_else(missing)?;
    Ok((n, row))
}

/// The table of the records about an app's files.
pub fn files_of(app: &AppId) -> Result<TableName, Error> {
    Ok(TableName::new(app, FILES)?)
}
