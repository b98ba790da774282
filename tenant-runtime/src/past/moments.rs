//! Moments a person may want to go back to: right before something big happened.

use rusqlite::Connection;

use crate::admin::api::PastMoment;
use crate::archive::Error;
use crate::archive::payload::kept;

/// The most moments that are named.
const MOST: i64 = 50;

/// The moments from `from_ms` on that have a name; newest first.
pub(super) fn worth_naming(db: &Connection, from_ms: i64) -> Result<Vec<PastMoment>, Error> {
    let text = "select name, version, added, release from app_release where added > ?1 order by added desc limit ?2";
    let mut query = db.prepare(text)?;
    let rows = query.query_map([from_ms, MOST], |row| {
        let (name, version): (String, String) = (row.get(0)?, row.get(1)?);
        let (added, release): (i64, i64) = (row.get(2)?, row.get(3)?);
        let what = if release > 1 { "was updated to" } else { "was installed in version" };
        // The app's date was taken before its rows were written.
        Ok(PastMoment { at_ms: added - 1, what: format!("before {name} {what} {version}") })
    })?;
    let mut all = rows.collect::<Result<Vec<_>, _>>()?;
    let mut removed = db.prepare(
        "select app_release.name, removed from app join app_release on app_release.app = app.id
         and app_release.release = app.release where removed > ?1",
    )?;
    let rows = removed.query_map([from_ms], |row| {
        let (name, at): (String, i64) = (row.get(0)?, row.get(1)?);
        Ok(PastMoment { at_ms: at - 1, what: format!("before {name} was removed") })
    })?;
    for row in rows {
        all.push(row?);
    }
    if let Some(origin) = kept::origin(db)?.filter(|origin| origin.arrived_ms > from_ms) {
        all.push(PastMoment {
            at_ms: origin.arrived_ms - 1,
            what: format!("before the archive of {} came", origin.domain),
        });
    }
    all.sort_by_key(|moment| std::cmp::Reverse(moment.at_ms));
    Ok(all)
}
