//! When a server has something to do next by itself.

use rusqlite::Connection;

use super::error::Error;
use crate::messages;

/// The next moment at which something here is due, in Unix milliseconds: a schedule, a happening that is tried again, a message
/// that is to be delivered. None where nothing is.
pub fn next_due(db: &Connection) -> Result<Option<i64>, Error> {
    Ok(own(db)?.into_iter().chain(messages::next_due(db)?).min())
}

/// The same without messages, which have somebody of their own who looks after them.
pub(super) fn own(db: &Connection) -> Result<Option<i64>, Error> {
    let schedules = "select min(due) from schedule
         where due is not null and exists (select 1 from app where app.id = schedule.app and removed is null)";
    let happenings = "select min(next) from happening
         where next is not null and exists (select 1 from app where app.id = happening.app and removed is null)";
    let mut next: Vec<i64> = Vec::new();
    for sql in [schedules, happenings] {
        next.extend(db.prepare_cached(sql)?.query_row([], |row| row.get::<_, Option<i64>>(0))?);
    }
    Ok(next.into_iter().min())
}
