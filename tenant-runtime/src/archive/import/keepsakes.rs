//! What a server keeps of itself when its content is replaced: its keys, its signed-in owner, its burnt tickets.
//!
//! These are this server's, not the archive's. Without the burnt tickets an old hand-over link would open again.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::archive::error::Error;

/// Tables, columns and which rows.
const KEPT: &[(&str, &str)] = &[
    ("secret", "select * from secret"),
    ("session", "select * from session where kind = 'owner'"),
    ("burnt_ticket", "select * from burnt_ticket"),
];

/// Rows to be carried over, by table.
#[derive(Debug, Default)]
pub(super) struct Keepsakes(Vec<(&'static str, Vec<Vec<Value>>)>);

impl Keepsakes {
    /// Reads them from the live server.
    pub(super) fn take(db: &Connection) -> Result<Self, Error> {
        let mut all = Vec::new();
        for (table, select) in KEPT {
            let mut query = db.prepare(select)?;
            let columns = query.column_count();
            let rows = query.query_map([], |row| (0..columns).map(|at| row.get(at)).collect())?;
            all.push((*table, rows.collect::<Result<_, _>>()?));
        }
        Ok(Self(all))
    }

    /// Writes them into the staged one.
    pub(super) fn put(&self, db: &Connection) -> Result<(), Error> {
        for (table, rows) in &self.0 {
            for row in rows {
                let marks = vec!["?"; row.len()].join(", ");
                db.execute(&format!("insert or replace into {table} values ({marks})"), params_from_iter(row))?;
            }
        }
        Ok(())
    }
}
