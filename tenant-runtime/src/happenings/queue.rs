//! Happenings in SQLite: what waits to be done, and what came of what was done.

use export_format::{AppId, prefixed_id};
use rusqlite::{Connection, Row, params};
use serde_json::Value;

use super::error::Error;
use super::schedules::worded;
use super::{Action, Event, Kind, Outcome, notices};
use crate::files::parsed;

/// After how long a happening is tried again each time, in milliseconds: for about two days.
const PAUSES: &[i64] = &[10_000, 60_000, 300_000, 900_000, 3_600_000, 10_800_000, 21_600_000, 43_200_000, 86_400_000];
/// How many are kept once they are over, and for how long.
const MOST_OVER: u32 = 500;
const KEPT_MS: i64 = 30 * 24 * 60 * 60 * 1000;
/// The most letters of a reason.
const MOST_WHY: usize = 500;

prefixed_id! {
    /// Names a happening.
    pub struct HappeningId("hap")
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is to be done.
    Waiting,
    /// It came with an archive, and the owner has not said yet.
    Held,
    /// It is done.
    Done,
    /// It was given up.
    Failed,
}

worded!(State: Waiting = "waiting", Held = "held", Done = "done", Failed = "failed");
worded!(Kind: Schedule = "schedule", Webhook = "webhook");

/// Something that is to be done, or was.
#[derive(Clone, Debug, PartialEq)]
pub struct Happening {
    /// Its id.
    pub id: String,
    /// The app whose it is.
    pub app: AppId,
    /// What sort of thing happened.
    pub kind: Kind,
    /// The id of the schedule or webhook that it came of.
    pub origin: String,
    /// The app's own name for that.
    pub name: String,
    /// What it is called for people.
    pub title: String,
    /// What of its origin it is; there is one of each.
    pub key: String,
    /// For when it was meant, Unix milliseconds.
    pub due: i64,
    /// What is to be done, as JSON.
    pub action: String,
    /// What belongs to it, as JSON.
    pub payload: String,
    /// How far it is.
    pub state: State,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried next.
    pub next: Option<i64>,
    /// What was in the way last.
    pub why: Option<String>,
    /// When it was written down.
    pub made: i64,
    /// When it was over.
    pub ended: Option<i64>,
}

impl Happening {
    /// What an app's code is told of it.
    #[must_use]
    pub fn event(&self) -> Event {
        let payload = serde_json::from_str(&self.payload).unwrap_or(Value::Null);
        let (id, name) = (self.id.clone(), self.name.clone());
        Event { id, kind: self.kind, name, due_ms: self.due, payload }
    }
}

const COLUMNS: &str =
    "id, app, kind, origin, name, title, key, due, action, payload, state, tries, next, why, made, ended
     from happening";

fn happening(row: &Row<'_>) -> rusqlite::Result<Happening> {
    Ok(Happening {
        id: row.get(0)?,
        app: parsed(row, 1)?,
        kind: parsed(row, 2)?,
        origin: row.get(3)?,
        name: row.get(4)?,
        title: row.get(5)?,
        key: row.get(6)?,
        due: row.get(7)?,
        action: row.get(8)?,
        payload: row.get(9)?,
        state: parsed(row, 10)?,
        tries: row.get(11)?,
        next: row.get(12)?,
        why: row.get(13)?,
        made: row.get(14)?,
        ended: row.get(15)?,
    })
}

fn some(db: &Connection, rest: &str, values: impl rusqlite::Params) -> Result<Vec<Happening>, Error> {
    let mut query = db.prepare_cached(&format!("select {COLUMNS} {rest}"))?;
    Ok(query.query_map(values, happening)?.collect::<Result<_, _>>()?)
}

/// Writes a new happening down, unless there is one of this origin and key. One whose action is a notice is done by that, in the
/// same transaction; true when it is new.
pub(super) fn add(db: &Connection, new: &Happening, now: i64) -> Result<bool, Error> {
    if !put(db, new)? {
        return Ok(false);
    }
    match Action::read(&new.action) {
        Some(Action::Notice(words)) => {
            notices::add(db, &new.app, &words, now)?;
            end(db, &new.id, State::Done, None, now)?;
        }
        Some(Action::Handler(_)) => {}
        None => end(db, &new.id, State::Failed, Some("what was to be done is not understood here"), now)?,
    }
    Ok(true)
}

/// Writes a happening as it is, unless there is one of this origin and key.
pub(crate) fn put(db: &Connection, new: &Happening) -> Result<bool, Error> {
    let done = db
        .prepare_cached(
            "insert into happening (id, app, kind, origin, name, title, key, due, action, payload, state, tries, next, why,
                made, ended)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) on conflict do nothing",
        )?
        .execute(params![
            new.id,
            new.app.as_str(),
            new.kind.word(),
            new.origin,
            new.name,
            new.title,
            new.key,
            new.due,
            new.action,
            new.payload,
            new.state.word(),
            new.tries,
            new.next,
            new.why,
            new.made,
            new.ended,
        ])?;
    Ok(done > 0)
}

/// What is to be done now, the longest due first.
pub fn ready(db: &Connection, now: i64, most: u32) -> Result<Vec<Happening>, Error> {
    let installed = "exists (select 1 from app where app.id = happening.app and removed is null)";
    some(db, &format!("where next <= ?1 and {installed} order by next, id limit ?2"), (now, most))
}

/// Notes that it is being tried, so that it is tried later should nothing more be heard of that.
pub fn begin(db: &Connection, happening: &Happening, now: i64) -> Result<(), Error> {
    let pause = PAUSES.get(happening.tries as usize).copied().unwrap_or(PAUSES[PAUSES.len() - 1]).max(120_000);
    db.prepare_cached("update happening set tries = tries + 1, next = ?2 where id = ?1 and state = 'waiting'")?
        .execute((&happening.id, now + pause))?;
    Ok(())
}

/// Notes how a try went; `happening` is as it was before.
pub fn conclude(db: &Connection, happening: &Happening, outcome: &Outcome, now: i64) -> Result<(), Error> {
    match outcome {
        Outcome::Done => end(db, &happening.id, State::Done, None, now),
        Outcome::Never(why) => end(db, &happening.id, State::Failed, Some(why), now),
        Outcome::Later { why, after } => match PAUSES.get(happening.tries as usize) {
            Some(pause) => {
                let after = after.map_or(0, |after| i64::try_from(after.as_millis()).unwrap_or(i64::MAX));
                let next = now.saturating_add(after.min(PAUSES[PAUSES.len() - 1]).max(*pause));
                let why: String = why.chars().take(MOST_WHY).collect();
                db.prepare_cached("update happening set next = ?2, why = ?3 where id = ?1 and state = 'waiting'")?
                    .execute((&happening.id, next, why))?;
                Ok(())
            }
            None => end(db, &happening.id, State::Failed, Some(why), now),
        },
    }
}

fn end(db: &Connection, id: &str, state: State, why: Option<&str>, now: i64) -> Result<(), Error> {
    let why = why.map(|why| why.chars().take(MOST_WHY).collect::<String>());
    db.prepare_cached(
        "update happening set state = ?2, why = ?3, next = null, ended = ?4 where id = ?1 and next is not null",
    )?
    .execute((id, state.word(), why, now))?;
    Ok(())
}

/// The last of one app or of all, the newest first.
pub fn log(db: &Connection, app: Option<&AppId>, most: u32) -> Result<Vec<Happening>, Error> {
    match app {
        Some(app) => some(db, "where app = ?1 order by due desc, id desc limit ?2", (app.as_str(), most)),
        None => some(db, "order by due desc, id desc limit ?1", [most]),
    }
}

/// All, by id.
pub(crate) fn all(db: &Connection) -> Result<Vec<Happening>, Error> {
    some(db, "order by id", [])
}

/// How many of an origin wait.
pub(super) fn waiting(db: &Connection, origin: &str) -> Result<u32, Error> {
    let count = "select count(*) from happening where origin = ?1 and state = 'waiting'";
    Ok(db.query_row(count, [origin], |row| row.get(0))?)
}

/// Forgets what of an origin has not been done.
pub(super) fn drop_waiting(db: &Connection, origin: &str) -> Result<(), Error> {
    db.execute("delete from happening where origin = ?1 and state in ('waiting', 'held')", [origin])?;
    Ok(())
}

/// The owner's answer for all that came with an archive.
pub(super) fn answer_held(db: &Connection, on: bool, now: i64) -> Result<(), Error> {
    match on {
        true => db.execute("update happening set state = 'waiting', next = ?1 where state = 'held'", [now])?,
        false => db.execute(
            "update happening set state = 'failed', why = 'it came with an archive, and was not to be done any more', ended = ?1
             where state = 'held'",
            [now],
        )?,
    };
    Ok(())
}

/// Forgets the oldest that are over.
pub(super) fn prune(db: &Connection, now: i64) -> Result<(), Error> {
    db.execute(
        "delete from happening where ended is not null and (ended < ?1 or ended < coalesce(
             (select ended from happening where ended is not null order by ended desc limit 1 offset ?2), 0))",
        (now - KEPT_MS, MOST_OVER),
    )?;
    Ok(())
}
