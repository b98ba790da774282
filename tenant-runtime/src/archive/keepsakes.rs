//! What a server keeps of itself when its content is replaced: its keys, its signed-in owner, its burnt tickets, what
//! happened on it.
//!
//! These are this server's, not an archive's and not a former state's. Without the burnt tickets an old hand-over link
//! would open again; with the sessions of a former state a device that was signed out since would be signed in again.
//! They are put into the new content before it takes over, so that there is no moment without them.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::error::Error;
use crate::documents::noting;

/// Tables, columns and which rows.
const KEPT: &[(&str, &str)] = &[
    // But for the notes of a stage on what it holds, which are the stage's own.
    ("secret", "select * from secret where name not in ('import.stands', 'import.came')"),
    ("session", "select * from session where kind = 'owner'"),
    ("burnt_ticket", "select * from burnt_ticket"),
    ("event", "select * from event"),
];

/// Rows to be carried over, by table.
#[derive(Debug, Default)]
pub(crate) struct Keepsakes(Vec<(&'static str, Vec<Vec<Value>>)>);

impl Keepsakes {
    /// Reads them from the live server.
    pub(crate) fn take(db: &Connection) -> Result<Self, Error> {
        let mut all = Vec::new();
        for (table, select) in KEPT {
            let mut query = db.prepare(select)?;
            let columns = query.column_count();
            let rows = query.query_map([], |row| (0..columns).map(|at| row.get(at)).collect())?;
            all.push((*table, rows.collect::<Result<_, _>>()?));
        }
        Ok(Self(all))
    }

    /// Writes them into the content that takes its place. Nobody else is signed in there, and no program.
    pub(crate) fn put(&self, db: &Connection) -> Result<(), Error> {
        db.execute_batch("delete from session; delete from app_password")?;
        // They are about the content that goes.
        noting::forget(db)?;
        for (table, rows) in &self.0 {
            for row in rows {
                let marks = vec!["?"; row.len()].join(", ");
                db.execute(&format!("insert or replace into {table} values ({marks})"), params_from_iter(row))?;
            }
        }
        Ok(())
    }
}
