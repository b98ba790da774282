//! The layout of the database inside a home, and how an older home becomes a current one.
//!
//! The version stands in SQLite's `user_version`. Migrations only ever go forward, each in the caller's transaction.
//! A home written by a newer runtime is refused untouched: guessing at unknown data would be the one way to lose it.

use rusqlite::Connection;

use crate::{documents, sharing};

/// The migrations, oldest first; a home of version `n` has seen the first `n`.
const MIGRATIONS: &[Migration] = &[
    Migration { sql: include_str!("0001.sql"), then: |_| Ok(()) },
    Migration { sql: include_str!("0002.sql"), then: documents::make_indexes_anew },
    Migration { sql: include_str!("0003.sql"), then: |_| Ok(()) },
    Migration { sql: include_str!("0004.sql"), then: |_| Ok(()) },
    Migration { sql: include_str!("0005.sql"), then: |_| Ok(()) },
    Migration { sql: include_str!("0006.sql"), then: sharing::watch_all },
    Migration { sql: include_str!("0007.sql"), then: |_| Ok(()) },
    Migration { sql: include_str!("0008.sql"), then: |_| Ok(()) },
    Migration { sql: include_str!("0009.sql"), then: |_| Ok(()) },
];

/// One step from a layout to the next: a text, and what a text cannot say.
struct Migration {
    sql: &'static str,
    then: fn(&Connection) -> Result<(), documents::Error>,
}

/// The version this runtime writes.
pub const VERSION: u32 = MIGRATIONS.len() as u32;

/// Why a home could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The home was last used by a newer runtime.
    #[error(
        "this home has layout {found}, and this runtime knows layouts up to {VERSION}: start it with the newer release that last used it"
    )]
    Newer {
        /// The layout the home has.
        found: u32,
    },
    /// A migration did not run.
    #[error("the home could not be brought to layout {to}")]
    Migration {
        /// The layout that was being reached.
        to: u32,
        /// What was in the way.
        #[source]
        source: documents::Error,
    },
    /// The layout's number could not be read.
    #[error("the home's layout could not be read")]
    Unreadable(#[from] rusqlite::Error),
}

/// The layout a home has; 0 for an empty one.
pub fn version(db: &Connection) -> Result<u32, Error> {
    Ok(db.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Brings a home up to [`VERSION`], within the caller's transaction.
pub fn migrate(db: &Connection) -> Result<(), Error> {
    let found = version(db)?;
    if found > VERSION {
        return Err(Error::Newer { found });
    }
    for (done, migration) in MIGRATIONS.iter().enumerate().skip(found as usize) {
        let to = done as u32 + 1;
        let run = db.execute_batch(migration.sql).map_err(documents::Error::from).and_then(|()| (migration.then)(db));
        let run = run.and_then(|()| Ok(db.pragma_update(None, "user_version", to)?));
        run.map_err(|source| Error::Migration { to, source })?;
    }
    Ok(())
}

/// An empty home in memory, for unit tests of what stands in it.
#[cfg(test)]
pub(crate) fn in_memory() -> Connection {
    let db = Connection::open_in_memory().expect("memory is there");
    db.pragma_update(None, "foreign_keys", true).expect("a known pragma");
    migrate(&db).expect("an empty home migrates");
    db
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn migrating_twice_changes_nothing() {
        let db = in_memory();
        migrate(&db).unwrap();
        assert_eq!(version(&db).unwrap(), VERSION);
    }

    #[test]
    fn indexes_of_the_first_layout_are_made_anew_and_searched() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(MIGRATIONS[0].sql).unwrap();
        db.pragma_update(None, "user_version", 1).unwrap();
        db.execute_batch(
            "insert into collection (n, app, name, indexes) values (7, 'com.example.notes', 'pages', '[\"kind\"]');
             create table document_7 (n integer primary key, _id text not null unique, created integer not null,
                modified integer not null, doc text not null) strict;
             create index document_7_modified on document_7 (modified);
             create index document_7_by_kind on document_7 (doc ->> '$.kind');
             insert into document_7 values (1, 'a', 1, 1, '{\"kind\":\"x\"}'), (2, 'b', 1, 2, '{\"kind\":\"y\"}');",
        )
        .unwrap();
        migrate(&db).unwrap();
        let named = |name: &str| {
            let sql = "select count(*) from sqlite_schema where name = ?1";
            db.query_row(sql, [name], |row| row.get::<_, i64>(0)).unwrap()
        };
        assert_eq!((named("document_7_by_kind"), named("document_7_index_1")), (0, 1));
        let table = documents::TableName::new(&"com.example.notes".parse().unwrap(), "pages").unwrap();
        let filter = documents::Filter::parse(&serde_json::json!({"kind": "y"})).unwrap();
        let search = documents::Search { filter, ..documents::Search::default() };
        let found = documents::search(&db, &table, &search).unwrap();
        assert_eq!(found.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn a_newer_home_is_refused_and_left_alone() {
        let db = Connection::open_in_memory().unwrap();
        db.pragma_update(None, "user_version", VERSION + 1).unwrap();
        let error = migrate(&db).unwrap_err();
        assert!(matches!(error, Error::Newer { found } if found == VERSION + 1));
        assert!(error.to_string().contains("newer release"));
        let tables: i64 = db.query_row("select count(*) from sqlite_schema", [], |r| r.get(0)).unwrap();
        assert_eq!(tables, 0);
    }

    #[test]
    fn blobs_are_counted_once_however_often_they_are_used() {
        let db = in_memory();
        let total = || db.query_row("select bytes from blob_total", [], |r| r.get::<_, i64>(0)).unwrap();
        let add = "insert into file values ('a.b.c', ?1, ?2, 10, 0, 'text/plain', 1, 1)";
        db.execute(add, ("one", "d1")).unwrap();
        db.execute(add, ("two", "d1")).unwrap();
        assert_eq!(total(), 10);
        db.execute("update file set digest = 'd2' where path = 'one'", []).unwrap();
        assert_eq!(total(), 20);
        db.execute("delete from file", []).unwrap();
        assert_eq!(total(), 0);
    }
}
