//! The owner's settings: named texts that travel in the archive.

use rusqlite::{Connection, OptionalExtension};

/// One setting.
pub fn get(db: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    db.prepare_cached("select value from setting where name = ?1")?.query_row([name], |row| row.get(0)).optional()
}

/// Writes a setting.
pub fn put(db: &Connection, name: &str, value: &str) -> rusqlite::Result<()> {
    db.execute("insert or replace into setting (name, value) values (?1, ?2)", (name, value)).map(drop)
}

/// All settings, ordered by name.
pub fn all(db: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let mut query = db.prepare_cached("select name, value from setting order by name")?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// Forgets a setting.
pub fn remove(db: &Connection, name: &str) -> rusqlite::Result<()> {
    db.execute("delete from setting where name = ?1", [name]).map(drop)
}
