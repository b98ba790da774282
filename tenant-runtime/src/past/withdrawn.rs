//! Permissions that the owner withdrew since the moment that is brought back; they are not given again by that.

use rusqlite::{Connection, params};

use crate::archive::Error;
use crate::permissions::{self, Status};

/// What apps asked for and may not do now: app, name and the answer.
pub(super) struct Withdrawn(Vec<(String, String, String)>);

impl Withdrawn {
    /// Reads them from the live server.
    pub(super) fn take(db: &Connection) -> Result<Self, Error> {
        let asked = permissions::list(db)?.into_iter().filter(|one| one.status != Status::Granted);
        Ok(Self(asked.map(|one| (one.app.to_string(), one.name, one.status.to_string())).collect()))
    }

    /// What was granted then and is not now stays as it is now.
    pub(super) fn put(&self, db: &Connection) -> Result<(), Error> {
        for (app, name, status) in &self.0 {
            let text = "update permission set status = ?3 where app = ?1 and name = ?2 and status = 'granted'";
            db.execute(text, params![app, name, status])?;
        }
        Ok(())
    }
}
