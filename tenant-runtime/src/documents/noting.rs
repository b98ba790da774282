//! Noting which records change, so that an export which follows an earlier one need not look at all of them again.
//!
//! While exports build on each other, triggers note the id of every record that is written or removed, with the *generation*
//! it happened in. Each such export begins a generation before its moment; what has changed since that moment is then noted in
//! its generation or a later one. A few more ids than have changed are no harm, one less would be: so a collection counts as
//! noted only if its triggers stood at the moment of the export that is built on.
//!
//! Notes are of one content. Whoever exchanges the content forgets them ([`forget`]), and a new *lineage* begins with the next
//! export, which nobody mistakes for the former one.

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use super::Error;

/// How far the noting of a content has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noting {
    /// Which run of notes it is.
    pub lineage: String,
    /// The generation.
    pub generation: i64,
}

/// Notes changes from now on, and begins the next generation. Notes from before the generation `needed` may go.
pub fn begin(db: &Connection, needed: Option<&Noting>) -> Result<(), Error> {
    db.execute_batch(
        "create table if not exists noting (
            one integer primary key check (one = 1), lineage text not null, generation integer not null) strict;
         create table if not exists noted (
            collection integer not null, id text not null, generation integer not null,
            primary key (collection, id)) strict, without rowid;",
    )?;
    match of(db)? {
        None => {
            let lineage = format!("{:032x}", rand::random::<u128>());
            db.execute("insert into noting values (1, ?1, 1)", [lineage])?;
        }
        Some(now) => {
            db.execute("update noting set generation = generation + 1", [])?;
            let needed = needed.filter(|needed| needed.lineage == now.lineage);
            let oldest = needed.map_or(now.generation, |needed| needed.generation);
            db.execute("delete from noted where generation < ?1", [oldest])?;
        }
    }
    let mut query = db.prepare("select n from collection")?;
    let all = query.query_map([], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
    all.into_iter().try_for_each(|n| watch(db, n))
}

/// What is there is deleted first and not replaced: how a conflict ends is decided by the statement that sets a trigger off.
fn watch(db: &Connection, n: i64) -> Result<(), Error> {
    let note = |of: &str| {
        format!(
            "delete from noted where collection = {n} and id = {of}._id;
             insert into noted values ({n}, {of}._id, coalesce((select generation from noting), 0));"
        )
    };
    let (old, new) = (note("old"), note("new"));
    Ok(db.execute_batch(&format!(
        "create trigger if not exists document_{n}_noted_insert after insert on document_{n} begin {new} end;
         create trigger if not exists document_{n}_noted_update after update on document_{n} begin {old} {new} end;
         create trigger if not exists document_{n}_noted_delete after delete on document_{n} begin {old} end;"
    ))?)
}

/// How far noting has come; none while nothing is noted.
pub fn of(db: &Connection) -> Result<Option<Noting>, Error> {
    if !is_there(db)? {
        return Ok(None);
    }
    let read = |row: &rusqlite::Row<'_>| Ok(Noting { lineage: row.get(0)?, generation: row.get(1)? });
    Ok(db.query_row("select lineage, generation from noting", [], read).optional()?)
}

/// Whether every change of this collection is noted.
pub fn watches(db: &Connection, n: i64) -> Result<bool, Error> {
    let text = "select count(*) from sqlite_schema where type = 'trigger' and tbl_name = ?1 and name in
        (?1 || '_noted_insert', ?1 || '_noted_update', ?1 || '_noted_delete')";
    Ok(db.query_row(text, [format!("document_{n}")], |row| row.get::<_, i64>(0))? == 3)
}

/// The ids of records of a collection that may have changed in a generation or since, in order.
pub fn since(db: &Connection, n: i64, generation: i64) -> Result<Vec<String>, Error> {
    let mut query = db.prepare("select id from noted where collection = ?1 and generation >= ?2 order by id")?;
    let ids = query.query_map(params![n, generation], |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// Notes nothing any more, and forgets what was noted.
pub fn forget(db: &Connection) -> Result<(), Error> {
    if !is_there(db)? {
        return Ok(());
    }
    let mut query =
        db.prepare("select name from sqlite_schema where type = 'trigger' and name glob 'document_*_noted_*'")?;
    let triggers = query.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    for trigger in triggers {
        db.execute_batch(&format!("drop trigger {trigger}"))?;
    }
    Ok(db.execute_batch("drop table noted; drop table noting;")?)
}

fn is_there(db: &Connection) -> Result<bool, Error> {
    let text = "select count(*) from sqlite_schema where type = 'table' and name in ('noting', 'noted')";
    Ok(db.query_row(text, [], |row| row.get::<_, i64>(0))? == 2)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::documents::{self, Row, TableName};
    use crate::schema::in_memory;

    fn row(id: &str) -> Row {
        Row { id: id.into(), created: 1, modified: 1, doc: "{}".into() }
    }

    #[test]
    fn whatever_changes_after_a_moment_is_noted_in_its_generation_or_later() {
        let db = in_memory();
        let table = TableName::new(&"org.example.notes".parse().unwrap(), "pages").unwrap();
        documents::put_kept(&db, &table, &[row("a"), row("b"), row("c")]).unwrap();
        assert_eq!((of(&db).unwrap(), watches(&db, 1).unwrap()), (None, false));
        begin(&db, None).unwrap();
        assert!(watches(&db, 1).unwrap());
        documents::put_kept(&db, &table, &[row("b"), row("d")]).unwrap();
        let first = of(&db).unwrap().unwrap();
        begin(&db, Some(&first)).unwrap();
        documents::remove(&db, &table, "c").unwrap();
        assert_eq!(since(&db, 1, first.generation).unwrap(), ["b", "c", "d"]);
        let second = of(&db).unwrap().unwrap();
        assert_eq!(since(&db, 1, second.generation).unwrap(), ["c"]);
        begin(&db, Some(&second)).unwrap();
        assert_eq!(since(&db, 1, 0).unwrap(), ["c"], "what nobody needs has gone");

        // A statement that says how its own conflicts end does not decide about the notes.
        db.execute_batch("insert or replace into document_1 values (99, 'c', 1, 1, '{}')").unwrap();
        db.execute_batch("insert or fail into document_1 values (100, 'e', 1, 1, '{}')").unwrap();
        let third = of(&db).unwrap().unwrap();
        assert_eq!(since(&db, 1, third.generation).unwrap(), ["c", "e"]);

        forget(&db).unwrap();
        forget(&db).unwrap();
        documents::put_kept(&db, &table, &[row("f")]).unwrap();
        begin(&db, Some(&third)).unwrap();
        assert_ne!(of(&db).unwrap().unwrap().lineage, third.lineage);
    }
}
