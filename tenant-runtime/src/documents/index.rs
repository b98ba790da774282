//! Indexes of a collection: what is declared, and what SQLite is told.
//!
//! An index over fields keeps two columns for each of them, the value's kind and the value, and the date of the last
//! change behind them. Kinds come in MongoDB's order, so that SQLite's order is ours: numbers before strings, and `true`
//! not among the numbers, as it is under `->>`. Kind [`ARRAY`] also stands for a path that leads through an array, where a
//! record may pass by any of its elements; whoever looks something up looks there as well.
//!
//! An index over elements is a table with an entry for each different element of each record, by kind and value as above; a
//! value that is no array counts as its only element. It has [`ARRAY`] for an element that is itself an array, and for a path
//! that leads through one. A full-text index is a table of FTS5 without the text. Triggers keep both in the transaction of
//! every write.

use std::fmt;
use std::str::FromStr;

use rusqlite::{Connection, params};

use super::Error;
use super::making;
use super::record::{CREATED, ID, MODIFIED};

/// No value, or `null`.
pub(super) const NOTHING: i64 = 0;
/// Any number.
pub(super) const NUMBER: i64 = 1;
/// A string.
pub(super) const STRING: i64 = 2;
/// An object.
pub(super) const OBJECT: i64 = 3;
/// An array, at the end of the path or on its way.
pub(super) const ARRAY: i64 = 4;
/// True or false.
pub(super) const BOOL: i64 = 5;

/// The most fields of one index.
const FIELDS_LIMIT: usize = 4;
/// The most indexes of one collection that its app declares.
const DECLARED_LIMIT: usize = 16;
/// The most indexes of one collection that are made because they were missed.
const MISSED_LIMIT: usize = 4;

/// What an index is over. Written `album`, `album, taken_at`, `each(tags)` or `text(title, body)`; paths may be dotted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Index {
    /// Records by the values of these paths, the first one first.
    Fields(Vec<String>),
    /// Records by every element of the array at this path.
    Each(String),
    /// Records by the words in these paths.
    Text(Vec<String>),
}

/// A text that describes no index.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an index is up to {FIELDS_LIMIT} fields, as in album, taken_at, or each(tags), or text(title, body)")]
pub struct BadIndex;

/// An index that is there, with its words in SQL.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) id: i64,
    pub(super) index: Index,
    /// The name of SQLite's index, or of the table that is the index.
    pub(super) name: String,
    /// What can be looked up in it by kind and value, the first one first.
    pub(super) columns: Vec<Column>,
    /// Whether a record may stand in it more than once.
    pub(super) repeats: bool,
}

/// A path in an index.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) path: String,
    /// The kind of its value, in SQL.
    pub(super) kind: String,
    /// Its value, in SQL.
    pub(super) value: String,
    /// That there is no value, in SQL, where the kind is [`NOTHING`].
    pub(super) nothing: String,
}

impl Made {
    /// The index of this number in the collection `n`.
    pub(super) fn new(n: i64, id: i64, index: Index) -> Self {
        let columns = match &index {
            Index::Fields(paths) => {
                let column = |path: &String| {
                    let (kind, value) = (kind(path), value(path));
                    Column { path: path.clone(), nothing: format!("{value} is null"), kind, value }
                };
                paths.iter().map(column).collect()
            }
            Index::Each(path) => {
                let (kind, value, nothing) = ("kind".into(), "value".into(), "value = 0".into());
                vec![Column { path: path.clone(), kind, value, nothing }]
            }
            Index::Text(_) => Vec::new(),
        };
        Self { id, repeats: matches!(index, Index::Each(_)), index, name: name(n, id), columns }
    }
}

impl Index {
    /// An index over these paths; none when one of them cannot be indexed.
    #[must_use]
    pub fn over(paths: &[&str]) -> Option<Self> {
        let fits = !paths.is_empty() && paths.len() <= FIELDS_LIMIT && paths.iter().all(|path| is_indexable(path));
        fits.then(|| Self::Fields(paths.iter().map(|path| (*path).to_owned()).collect()))
    }
}

impl FromStr for Index {
    type Err = BadIndex;

    fn from_str(text: &str) -> Result<Self, BadIndex> {
        let text = text.trim();
        let within = |name: &str| text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        let paths = |text: &str| {
            let paths: Vec<&str> = text.split(',').map(str::trim).collect();
            Self::over(&paths).ok_or(BadIndex)
        };
        if let Some(inside) = within("each") {
            let path = inside.trim();
            return if is_indexable(path) { Ok(Self::Each(path.to_owned())) } else { Err(BadIndex) };
        }
        match within("text") {
            Some(inside) => match paths(inside)? {
                Self::Fields(paths) => Ok(Self::Text(paths)),
                other => Ok(other),
            },
            None => paths(text),
        }
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fields(paths) => f.write_str(&paths.join(", ")),
            Self::Each(path) => write!(f, "each({path})"),
            Self::Text(paths) => write!(f, "text({})", paths.join(", ")),
        }
    }
}

/// Whether a path can stand in SQL as it is, and leads to what the records themselves hold.
pub(super) fn is_indexable(path: &str) -> bool {
    let plain = |name: &str| {
        let letters = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        letters && !name.is_empty() && !name.bytes().all(|b| b.is_ascii_digit())
    };
    path.len() <= 96
        && path.split('.').count() <= 4
        && path.split('.').all(plain)
        && ![ID, CREATED, MODIFIED].contains(&path.split('.').next().unwrap_or_default())
}

/// The value at a path, in SQL.
fn value(path: &str) -> String {
    format!("(doc ->> '$.{path}')")
}

/// Kind and value of each path of a row (`new.`, or nothing for the one that is read), in SQL.
pub(super) fn columns(paths: &[String], row: &str) -> String {
    let column =
        |path: &String| format!("{}, ({row}doc ->> '$.{path}')", kind(path).replace("(doc,", &format!("({row}doc,")));
    paths.iter().map(column).collect::<Vec<_>>().join(", ")
}

/// The statement that makes an index over these paths, as SQLite writes it down.
pub(super) fn statement(n: i64, id: i64, paths: &[String]) -> String {
    format!("CREATE INDEX {} on document_{n} ({}, modified)", name(n, id), columns(paths, ""))
}

/// The kind of the value at a path, in SQL.
fn kind(path: &str) -> String {
    let mut through = Vec::new();
    for (at, _) in path.match_indices('.') {
        through.push(format!("when json_type(doc, '$.{}') = 'array' then {ARRAY}", &path[..at]));
    }
    let kinds = kind_of(&format!("json_type(doc, '$.{path}')"));
    match through.as_slice() {
        [] => format!("({kinds})"),
        through => format!("(case {} else {kinds} end)", through.join(" ")),
    }
}

/// The kind that a type of JSON's is, in SQL.
fn kind_of(json_type: &str) -> String {
    format!(
        "case {json_type} when 'integer' then {NUMBER} when 'real' then {NUMBER} when 'text' then {STRING} \
         when 'object' then {OBJECT} when 'array' then {ARRAY} when 'true' then {BOOL} when 'false' then {BOOL} \
         else {NOTHING} end"
    )
}

pub(super) fn name(n: i64, id: i64) -> String {
    format!("document_{n}_index_{id}")
}

/// Makes the collection's declared indexes exactly these; those made because they were missed stay.
pub(super) fn declare(db: &Connection, n: i64, wanted: &[Index]) -> Result<(), Error> {
    let wanted = &wanted[..wanted.len().min(DECLARED_LIMIT)];
    keep(db, n, wanted)?;
    wanted.iter().try_for_each(|index| make(db, n, index, true).map(drop))
}

/// The same, but begins what is to be made of many records.
pub(super) fn begin_declared(db: &Connection, n: i64, wanted: &[Index]) -> Result<(), Error> {
    let wanted = &wanted[..wanted.len().min(DECLARED_LIMIT)];
    keep(db, n, wanted)?;
    making::keep(db, n, wanted)?;
    wanted.iter().try_for_each(|index| make_or_begin(db, n, index, true).map(drop))
}

/// Of the declared indexes keeps those that still are.
fn keep(db: &Connection, n: i64, wanted: &[Index]) -> Result<(), Error> {
    for (id, definition, declared) in rows(db, n)? {
        match (is_among(wanted, &definition), declared) {
            (true, false) => drop(db.execute("update document_index set declared = 1 where id = ?1", [id])?),
            (false, true) => remove(db, n, id)?,
            _ => {}
        }
    }
    Ok(())
}

/// Whether one of the indexes is written so.
pub(super) fn is_among(indexes: &[Index], definition: &str) -> bool {
    indexes.iter().any(|index| index.to_string() == definition)
}

/// Begins an index because it was missed, or makes it; false when there are enough, or when that has happened already.
pub(super) fn begin_missed(db: &Connection, n: i64, index: &Index) -> Result<bool, Error> {
    let all = rows(db, n)?.into_iter().chain(making::rows(db, n)?);
    let missed = all.filter(|(_, _, declared)| !declared).count();
    if missed >= MISSED_LIMIT { Ok(false) } else { make_or_begin(db, n, index, false) }
}

fn make_or_begin(db: &Connection, n: i64, index: &Index, declared: bool) -> Result<bool, Error> {
    let is_it = |(_, definition, _): &(i64, String, bool)| *definition == index.to_string();
    if rows(db, n)?.iter().any(is_it) {
        Ok(false)
    } else if making::rows(db, n)?.iter().any(is_it) || making::is_long(db, n)? {
        making::begin(db, n, index, declared)
    } else {
        make(db, n, index, declared)
    }
}

fn rows(db: &Connection, n: i64) -> Result<Vec<(i64, String, bool)>, Error> {
    let mut query = db.prepare_cached("select id, definition, declared from document_index where collection = ?1")?;
    let rows = query.query_map([n], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn make(db: &Connection, n: i64, index: &Index, declared: bool) -> Result<bool, Error> {
    let added = db.execute(
        "insert into document_index (collection, definition, declared) values (?1, ?2, ?3) on conflict do nothing",
        params![n, index.to_string(), declared],
    )?;
    if added == 0 {
        return Ok(false);
    }
    let id = db.last_insert_rowid();
    match index {
        Index::Fields(paths) => db.execute_batch(&statement(n, id, paths))?,
        Index::Each(_) | Index::Text(_) => {
            lay(db, n, id, index)?;
            fill(db, n, id, index, i64::MIN, i64::MAX)?;
        }
    }
    Ok(true)
}

/// The table that is an index over elements or words, empty, and what keeps it.
pub(super) fn lay(db: &Connection, n: i64, id: i64, index: &Index) -> Result<(), Error> {
    let name = name(n, id);
    match index {
        Index::Fields(_) => {}
        Index::Each(path) => {
            let (new, old) = (entries(path, "new."), entries(path, "old."));
            db.execute_batch(&format!(
                "create table {name} (kind integer not null, value not null, changed integer not null, record integer not null,
                    primary key (kind, value, changed, record)) without rowid;
                 create trigger {name}_insert after insert on document_{n} begin
                    insert into {name} {new};
                 end;
                 create trigger {name}_delete after delete on document_{n} begin
                    delete from {name} where (kind, value, changed, record) in ({old});
                 end;
                 create trigger {name}_update after update of doc, modified on document_{n} begin
                    delete from {name} where (kind, value, changed, record) in ({old});
                    insert into {name} {new};
                 end;"
            ))?;
        }
        Index::Text(paths) => {
            let (columns, new) = (words(paths), texts(paths, "new."));
            db.execute_batch(&format!(
                "create virtual table {name} using fts5 ({columns}, content = '', contentless_delete = 1,
                    tokenize = 'unicode61 remove_diacritics 2');
                 create trigger {name}_insert after insert on document_{n} begin
                    insert into {name} (rowid, {columns}) values (new.n, {new});
                 end;
                 create trigger {name}_delete after delete on document_{n} begin
                    delete from {name} where rowid = old.n;
                 end;
                 create trigger {name}_update after update of doc on document_{n} begin
                    delete from {name} where rowid = old.n;
                    insert into {name} (rowid, {columns}) values (new.n, {new});
                 end;"
            ))?;
        }
    }
    Ok(())
}

/// Adds the records with numbers after one and up to another to such a table, as far as they are not in it.
pub(super) fn fill(db: &Connection, n: i64, id: i64, index: &Index, after: i64, upto: i64) -> Result<(), Error> {
    let name = name(n, id);
    let some = format!("select n, modified, doc from document_{n} where n > ?1 and n <= ?2");
    let fill = match index {
        Index::Fields(_) => return Ok(()),
        Index::Each(path) => {
            format!("insert or ignore into {name} {}", entries_of(&format!("({some}) as stored"), path, "stored."))
        }
        Index::Text(paths) => format!(
            "insert into {name} (rowid, {}) select n, {} from ({some})
                where not exists (select 1 from {name}_docsize as known where known.id = n)",
            words(paths),
            texts(paths, "")
        ),
    };
    db.execute(&fill, [after, upto])?;
    Ok(())
}

/// The columns of a full-text index over so many paths.
fn words(paths: &[String]) -> String {
    let columns: Vec<String> = (0..paths.len()).map(|at| format!("c{at}")).collect();
    columns.join(", ")
}

/// The texts of a row for them, in SQL.
fn texts(paths: &[String], row: &str) -> String {
    let texts: Vec<String> = paths.iter().map(|path| format!("{row}doc ->> '$.{path}'")).collect();
    texts.join(", ")
}

/// The entries of one row in an index over elements, in SQL.
fn entries(path: &str, row: &str) -> String {
    entries_of("(select 1)", path, row)
}

/// The entries of every row of `from`, in SQL.
fn entries_of(from: &str, path: &str, row: &str) -> String {
    let at = format!("'$.{path}'");
    let (own_kind, own) = (kind(path).replace("(doc,", &format!("({row}doc,")), format!("({row}doc ->> {at})"));
    let (kind, is_array) = (kind_of("item.type"), format!("json_type({row}doc, {at})"));
    format!(
        "select {kind}, case when item.type in ('integer', 'real', 'text', 'true', 'false') then item.value else 0 end,
            {row}modified, {row}n from {from}, json_each({row}doc, {at}) as item where {is_array} = 'array'
         union
         select {own_kind}, case when {own_kind} in ({NUMBER}, {STRING}, {BOOL}) then {own} else 0 end,
            {row}modified, {row}n from {from} where {is_array} is not 'array'"
    )
}

/// Removes an index, or what there is of one.
pub(super) fn remove(db: &Connection, n: i64, id: i64) -> Result<(), Error> {
    let name = name(n, id);
    db.execute_batch(&format!(
        "drop trigger if exists {name}_insert; drop trigger if exists {name}_delete; drop trigger if exists {name}_update;
         drop index if exists {name}; drop table if exists {name}; drop table if exists {name}_keys;"
    ))?;
    db.execute("delete from document_index where id = ?1", [id])?;
    Ok(())
}

/// Removes what does not go with the collection's own table.
pub(super) fn remove_all(db: &Connection, n: i64) -> Result<(), Error> {
    rows(db, n)?.into_iter().try_for_each(|(id, _, _)| remove(db, n, id))?;
    making::rows(db, n)?.into_iter().try_for_each(|(id, _, _)| making::give_up(db, n, id))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_index_is_read_as_it_is_written() {
        for (text, written) in [
            ("album", "album"),
            (" album,taken_at ", "album, taken_at"),
            ("text(a.b,c)", "text(a.b, c)"),
            ("each( a.b )", "each(a.b)"),
        ] {
            assert_eq!(text.parse::<Index>().unwrap().to_string(), written);
            assert_eq!(written.parse::<Index>().unwrap(), text.parse().unwrap());
        }
        for bad in [
            "",
            "a'b",
            "a b",
            "text()",
            "text(a",
            "each()",
            "each(a, b)",
            "each(a",
            "each(_id)",
            "_id",
            "_date_modified",
            "a.0",
            "a..b",
            "a,b,c,d,e",
            "a.b.c.d.e",
        ] {
            assert_eq!(bad.parse::<Index>(), Err(BadIndex), "{bad}");
        }
    }
}
