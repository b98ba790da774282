//! What apps asked for and what the owner said, in SQLite.

use export_format::AppId;
use rusqlite::{Connection, Row as SqlRow, params};

use super::{Error, Permission};
use crate::files::parsed;

fn permission(row: &SqlRow<'_>) -> rusqlite::Result<Permission> {
    Ok(Permission {
        app: parsed(row, 0)?,
        name: row.get(1)?,
        kind: row.get(2)?,
        tables: serde_json::from_str(row.get_ref(3)?.as_str()?).unwrap_or_default(),
        description: row.get(4)?,
        status: parsed(row, 5)?,
        asked: row.get(6)?,
        decided: row.get(7)?,
    })
}

const COLUMNS: &str = "app, name, kind, tables, description, status, asked, decided";

/// All permissions, ordered by app and name.
pub fn list(db: &Connection) -> Result<Vec<Permission>, Error> {
    let text = format!("select {COLUMNS} from permission order by app, name");
    let found = db.prepare_cached(&text)?.query_map([], permission)?.collect::<Result<_, _>>()?;
    Ok(found)
}

/// The permissions one app asked for.
pub fn of(db: &Connection, app: &AppId) -> Result<Vec<Permission>, Error> {
    let text = format!("select {COLUMNS} from permission where app = ?1 order by name");
    let found = db.prepare_cached(&text)?.query_map([app.as_str()], permission)?.collect::<Result<_, _>>()?;
    Ok(found)
}

/// Writes a permission as it is, in place of any of the same app and name.
pub fn put(db: &Connection, permission: &Permission) -> Result<(), Error> {
    let tables = serde_json::to_string(&permission.tables).expect("names are JSON");
    db.execute(
        "insert or replace into permission (app, name, kind, tables, description, status, asked, decided)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            permission.app.as_str(),
            permission.name,
            permission.kind,
            tables,
            permission.description,
            permission.status.to_string(),
            permission.asked,
            permission.decided
        ],
    )?;
    Ok(())
}

/// Forgets a permission.
pub fn remove(db: &Connection, app: &AppId, name: &str) -> Result<(), Error> {
    db.execute("delete from permission where app = ?1 and name = ?2", (app.as_str(), name))?;
    Ok(())
}
