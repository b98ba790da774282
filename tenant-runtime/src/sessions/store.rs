//! Sessions in SQLite. None of this travels in an archive.

use std::collections::HashMap;

use export_format::moving::Guest;
use export_format::{AppId, Digest};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{GUEST_LIFETIME, Kind, Session};
use crate::files::parsed;

/// The key tokens are sealed with; none before the first start.
pub(super) fn key(db: &Connection) -> rusqlite::Result<Option<[u8; 32]>> {
    db.query_row("select value from secret where name = 'token_key'", [], |row| row.get(0)).optional()
}

/// Writes the key down, unless there is one.
pub(super) fn make_key(db: &Connection, fresh: [u8; 32]) -> rusqlite::Result<()> {
    db.execute("insert or ignore into secret (name, value) values ('token_key', ?1)", [fresh]).map(drop)
}

pub(super) fn list(db: &Connection) -> rusqlite::Result<Vec<Session>> {
    let mut query = db.prepare_cached("select id, kind, app, device, created, seen, expires from session")?;
    let rows = query.query_map([], |row| {
        let kind = match row.get::<_, String>(1)?.as_str() {
            "owner" => Kind::Owner,
            _ if row.get_ref(0)?.as_str()?.starts_with(GUEST) => Kind::Guest(parsed(row, 2)?),
            _ => Kind::App(parsed(row, 2)?),
        };
        Ok(Session {
            id: row.get(0)?,
            kind,
            device: row.get(3)?,
            created: row.get(4)?,
            seen: row.get(5)?,
            expires: row.get(6)?,
        })
    })?;
    rows.collect()
}

pub(super) fn put(db: &Connection, session: &Session) -> rusqlite::Result<()> {
    let (kind, app) = match &session.kind {
        Kind::Owner => ("owner", None),
        Kind::App(app) | Kind::Guest(app) => ("app", Some(app.as_str())),
    };
    db.execute(
        "insert or replace into session (id, kind, app, device, created, seen, expires)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![session.id, kind, app, session.device, session.created, session.seen, session.expires],
    )?;
    Ok(())
}

/// How the names of guests begin; no other session's name has a dot.
const GUEST: &str = "guest.";

/// The name of the guest that shows a token of this digest.
pub(super) fn guest_id(token: &Digest) -> String {
    format!("{GUEST}{token}")
}

/// Lets a guest in for a while, and not for longer than where it comes from. An import that follows leaves it out.
pub(crate) fn admit_guest(db: &Connection, guest: &Guest, now: i64) -> rusqlite::Result<()> {
    let expires = guest.expires.as_millisecond().min(now + GUEST_LIFETIME);
    if expires <= now {
        return Ok(());
    }
    let said: String = guest.device.chars().take(80).collect();
    let device = format!("{said}, from your former provider");
    let session = Session::new(Kind::Guest(guest.app.clone()), device, now);
    put(db, &Session { id: guest_id(&guest.token), expires, ..session })
}

/// Whether it was there.
pub(super) fn remove(db: &Connection, id: &str) -> rusqlite::Result<bool> {
    Ok(db.execute("delete from session where id = ?1", [id])? > 0)
}

/// Ends every session but one, those of programs too; whether there were others.
pub(super) fn remove_others(db: &Connection, keep: &str) -> rusqlite::Result<bool> {
    Ok(db.execute("delete from session where id <> ?1", [keep])? > 0)
}

pub(super) fn note_seen(db: &Connection, id: &str, seen: i64) -> rusqlite::Result<()> {
    db.execute("update session set seen = ?2 where id = ?1 and seen < ?2", (id, seen)).map(drop)
}

/// How often each app was removed, of those that were.
pub(super) fn turns(db: &Connection) -> rusqlite::Result<HashMap<AppId, u64>> {
    let mut query = db.prepare_cached("select substr(name, 10), value from secret where name like 'app_turn:%'")?;
    let rows = query.query_map([], |row| {
        let turn = row.get::<_, [u8; 8]>(1)?;
        Ok((parsed(row, 0)?, u64::from_be_bytes(turn)))
    })?;
    rows.collect()
}

/// Ends everything that opens one app: its programs' sessions, passwords that wait, and by a new turn every token that
/// was given out for it. Part of the write that removes the app.
pub fn end_app(db: &Connection, app: &AppId) -> rusqlite::Result<()> {
    db.execute("delete from session where app = ?1", [app.as_str()])?;
    db.execute("delete from app_password where app = ?1", [app.as_str()])?;
    let turn = turns(db)?.get(app).copied().unwrap_or_default() + 1;
    let name = format!("app_turn:{app}");
    db.execute("insert or replace into secret (name, value) values (?1, ?2)", (name, turn.to_be_bytes())).map(drop)
}

pub(super) fn forget_expired(db: &Connection, now: i64) -> rusqlite::Result<()> {
    db.execute("delete from session where expires <= ?1", [now])?;
    db.execute("delete from burnt_ticket where expires <= ?1", [now])?;
    db.execute("delete from app_password where expires <= ?1", [now])?;
    Ok(())
}

/// Writes down that a ticket was used; false if it was before.
pub(super) fn burn(db: &Connection, nonce: &str, expires: i64) -> rusqlite::Result<bool> {
    Ok(db.execute("insert or ignore into burnt_ticket (nonce, expires) values (?1, ?2)", (nonce, expires))? > 0)
}

pub(super) fn put_password(db: &Connection, digest: &str, app: &AppId, expires: i64) -> rusqlite::Result<()> {
    let text = "insert into app_password (digest, app, expires) values (?1, ?2, ?3)";
    db.execute(text, params![digest, app.as_str(), expires]).map(drop)
}

/// Takes a one-time password away; whether it was there, for this app, in time.
pub(super) fn take_password(db: &Connection, digest: &str, app: &AppId, now: i64) -> rusqlite::Result<bool> {
    let text = "delete from app_password where digest = ?1 and app = ?2 and expires > ?3";
    Ok(db.execute(text, params![digest, app.as_str(), now])? > 0)
}
