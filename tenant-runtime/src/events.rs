//! What happens on a server that its provider cannot see: permissions given and taken back, browsers and programs that sign
//! in and are signed out. The provider's activity log tells of it to the owner, and archives take the log along.
//!
//! Invariants: an event stands in the transaction of what it tells of; it holds no secret and nothing of what is kept here.
//! The provider asks before every sleep and before every export, and takes each event once by its id; so nothing has to be
//! taken away here, and only the newest [`MOST`] are kept, also when the content of the server is replaced.

use export_format::prefixed_id;
use rusqlite::{Connection, params};
use serde_json::{Map, Value};

use crate::admin::api::EventView;

prefixed_id! {
    /// Names one event in an activity log.
    pub struct EventId("evt")
}

/// How many events are kept.
pub const MOST: u32 = 500;

/// What was done, in the words of SPEC.md 12.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    SignIn,
    SignOut,
    Grant,
    Revoke,
    Update,
}

impl What {
    fn word(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::SignOut => "sign-out",
            Self::Grant => "grant",
            Self::Revoke => "revoke",
            Self::Update => "update",
        }
    }
}

/// Writes down what happened at `now`, as a sentence for the owner; `about` says for programs what it is about.
pub(crate) fn note(db: &Connection, now: i64, what: What, text: &str, about: &[(&str, &str)]) -> rusqlite::Result<()> {
    let about: Map<String, Value> = about.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    db.execute(
        "insert into event (id, at, what, text, about) values (?1, ?2, ?3, ?4, ?5)",
        params![EventId::new(now).to_string(), now, what.word(), text, Value::Object(about).to_string()],
    )?;
    db.execute("delete from event where id not in (select id from event order by at desc, id desc limit ?1)", [MOST])?;
    Ok(())
}

/// The events since a moment, oldest first.
pub(crate) fn since(db: &Connection, at_ms: i64) -> rusqlite::Result<Vec<EventView>> {
    let mut query = db.prepare("select id, at, what, text, about from event where at >= ?1 order by at, id")?;
    let rows = query.query_map([at_ms], |row| {
        let about: String = row.get(4)?;
        Ok(EventView {
            id: row.get(0)?,
            at_ms: row.get(1)?,
            what: row.get(2)?,
            text: row.get(3)?,
            about: serde_json::from_str(&about).unwrap_or_default(),
        })
    })?;
    rows.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::schema;

    #[test]
    fn the_newest_events_are_kept_and_found_by_their_moment() {
        let db = schema::in_memory();
        for n in 0..i64::from(MOST) + 20 {
            note(&db, n, What::SignIn, &format!("You signed in {n}."), &[("session", "s")]).unwrap();
        }
        let all = since(&db, 0).unwrap();
        assert_eq!((all.len(), all[0].at_ms), (MOST as usize, 20));
        let late = since(&db, i64::from(MOST) + 18).unwrap();
        assert_eq!(late.iter().map(|event| event.at_ms).collect::<Vec<_>>(), [518, 519]);
        assert_eq!((late[0].what.as_str(), &late[0].about["session"]), ("sign-in", &"s".into()));
    }
}
