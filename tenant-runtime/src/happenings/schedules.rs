//! Schedules in SQLite.

use export_format::{AppId, prefixed_id};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::error::Error;
use super::timing::Written;
use super::{Action, queue};
use crate::files::parsed;

/// How many an app may have that are not over, and all apps together.
pub(crate) const MOST_OF_APP: u32 = 200;
pub(crate) const MOST: u32 = 2_000;
/// How many of an app are kept that are over.
const MOST_OVER: u32 = 50;
/// The most letters of a name and of a title.
pub(crate) const MOST_NAME: usize = 100;
pub(crate) const MOST_TITLE: usize = 200;

prefixed_id! {
    /// Names a schedule.
    pub struct ScheduleId("sch")
}

/// Who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The app, through the API.
    App,
    /// Its manifest.
    Manifest,
}

/// Whether it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    On,
    /// Somebody paused it.
    Paused,
    /// It came with an archive, and the owner has not said yet.
    Held,
    /// There is no further time.
    Over,
}

macro_rules! worded {
    ($kind:ident: $($variant:ident = $word:literal),+ $(,)?) => {
        impl $kind {
            /// The word in the database.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
        impl std::str::FromStr for $kind {
            type Err = $crate::happenings::error::Unknown;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    other => Err($crate::happenings::error::Unknown(other.to_owned())),
                }
            }
        }
    };
}
pub(super) use worded;

worded!(Source: App = "app", Manifest = "manifest");
worded!(Standing: On = "on", Paused = "paused", Held = "held", Over = "over");

/// What runs when.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub app: AppId,
    /// The app's own name for it.
    pub name: String,
    /// What it is called for people.
    pub title: String,
    /// When.
    pub when: Written,
    /// What is to be done, as JSON.
    pub action: String,
    /// Who made it.
    pub source: Source,
    /// Whether it happens.
    pub standing: Standing,
    /// When it was made, Unix milliseconds.
    pub made: i64,
    /// The next time.
    pub due: Option<i64>,
    /// The last time.
    pub last: Option<i64>,
}

/// A schedule as an app wants it.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// The app's own name for it.
    pub name: String,
    /// What it is called for people.
    pub title: String,
    /// When.
    pub when: Written,
    /// What is to be done.
    pub action: Action,
    /// Whether it is to wait.
    pub paused: bool,
}

const COLUMNS: &str =
    "id, app, name, title, cron, rrule, start, zone, action, source, state, made, due, last from schedule";

fn schedule(row: &Row<'_>) -> rusqlite::Result<Schedule> {
    Ok(Schedule {
        id: row.get(0)?,
        app: parsed(row, 1)?,
        name: row.get(2)?,
        title: row.get(3)?,
        when: Written { cron: row.get(4)?, rrule: row.get(5)?, start: row.get(6)?, zone: row.get(7)? },
        action: row.get(8)?,
        source: parsed(row, 9)?,
        standing: parsed(row, 10)?,
        made: row.get(11)?,
        due: row.get(12)?,
        last: row.get(13)?,
    })
}

fn some(db: &Connection, rest: &str, values: impl rusqlite::Params) -> Result<Vec<Schedule>, Error> {
    let mut query = db.prepare_cached(&format!("select {COLUMNS} {rest}"))?;
    Ok(query.query_map(values, schedule)?.collect::<Result<_, _>>()?)
}

/// All, by app and name.
pub(crate) fn all(db: &Connection) -> Result<Vec<Schedule>, Error> {
    some(db, "order by app, name", [])
}

/// Those of one app, by name.
pub(crate) fn of_app(db: &Connection, app: &AppId) -> Result<Vec<Schedule>, Error> {
    some(db, "where app = ?1 order by name", [app.as_str()])
}

/// One by its app's own name for it.
pub(crate) fn get(db: &Connection, app: &AppId, name: &str) -> Result<Option<Schedule>, Error> {
    Ok(some(db, "where app = ?1 and name = ?2", (app.as_str(), name))?.pop())
}

/// One by its id.
pub(super) fn by_id(db: &Connection, id: &str) -> Result<Option<Schedule>, Error> {
    Ok(some(db, "where id = ?1", [id])?.pop())
}

/// Those of installed apps whose time has come, the longest due first.
pub(super) fn come(db: &Connection, now: i64, most: u32) -> Result<Vec<Schedule>, Error> {
    let installed = "exists (select 1 from app where app.id = schedule.app and removed is null)";
    some(db, &format!("where due <= ?1 and {installed} order by due, id limit ?2"), (now, most))
}

/// Makes a schedule, or makes one of this name another. What the owner paused stays so.
///
/// # Errors
/// [`Error::Wrong`], [`Error::TooLong`], [`Error::TooMany`]; nothing is changed then.
pub fn put(db: &Connection, app: &AppId, draft: &Draft, source: Source, now: i64) -> Result<Schedule, Error> {
    check_names(&draft.name, &draft.title)?;
    draft.action.check()?;
    let timing = draft.when.parse()?;
    let before = get(db, app, &draft.name)?;
    let next = timing.next_after(now);
    let (standing, due) = match (before.as_ref().map(|before| before.standing), next) {
        (_, None) if source == Source::App => {
            return Err(Error::Wrong("This time has passed, and there is no other.".into()));
        }
        (_, None) => (Standing::Over, None),
        (Some(kept @ (Standing::Paused | Standing::Held)), Some(_)) => (kept, None),
        (_, Some(_)) if draft.paused => (Standing::Paused, None),
        (_, Some(next)) => (Standing::On, Some(next)),
    };
    if before.as_ref().is_none_or(|before| before.standing == Standing::Over) {
        check_room(db, app)?;
    }
    let schedule = Schedule {
        id: before.as_ref().map_or_else(|| ScheduleId::new(now).to_string(), |before| before.id.clone()),
        app: app.clone(),
        name: draft.name.clone(),
        title: draft.title.clone(),
        when: draft.when.clone(),
        action: draft.action.written(),
        source,
        standing,
        made: before.as_ref().map_or(now, |before| before.made),
        due,
        last: before.and_then(|before| before.last),
    };
    put_as_it_is(db, &schedule)?;
    Ok(schedule)
}

pub(crate) fn check_names(name: &str, title: &str) -> Result<(), Error> {
    let is_plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if name.is_empty() || name.len() > MOST_NAME || !is_plain {
        return Err(Error::Wrong(format!(
            "A name has 1 to {MOST_NAME} letters, digits, dots, hyphens and underscores."
        )));
    }
    if title.chars().count() > MOST_TITLE || title.chars().any(char::is_control) {
        return Err(Error::Wrong(format!("A title is one line of up to {MOST_TITLE} letters.")));
    }
    Ok(())
}

fn check_room(db: &Connection, app: &AppId) -> Result<(), Error> {
    let count = "select count(*), count(*) filter (where app = ?1) from schedule where state <> 'over'";
    let (all, of_app): (u32, u32) = db.query_row(count, [app.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if of_app >= MOST_OF_APP {
        return Err(Error::TooMany(format!("An app may have {MOST_OF_APP} schedules. Remove one that is not needed.")));
    }
    if all >= MOST {
        return Err(Error::TooMany(format!("A server may have {MOST} schedules. Remove one that is not needed.")));
    }
    Ok(())
}

/// Writes a schedule as it is, in place of any of this id or name.
pub(crate) fn put_as_it_is(db: &Connection, schedule: &Schedule) -> Result<(), Error> {
    let when = &schedule.when;
    db.execute(
        "insert or replace into schedule (id, app, name, title, cron, rrule, start, zone, action, source, state, made, due, last)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        params![
            schedule.id,
            schedule.app.as_str(),
            schedule.name,
            schedule.title,
            when.cron,
            when.rrule,
            when.start,
            when.zone.as_deref().unwrap_or("UTC"),
            schedule.action,
            schedule.source.word(),
            schedule.standing.word(),
            schedule.made,
            schedule.due,
            schedule.last,
        ],
    )?;
    Ok(())
}

/// Moves a schedule on: it happened for `last`, and is due next at `due`.
pub(super) fn move_on(db: &Connection, id: &str, last: i64, due: Option<i64>) -> Result<(), Error> {
    let standing = if due.is_some() { Standing::On } else { Standing::Over };
    db.prepare_cached("update schedule set due = ?2, last = ?3, state = ?4 where id = ?1")?.execute((
        id,
        due,
        last,
        standing.word(),
    ))?;
    if due.is_none() {
        db.execute(
            "delete from schedule where state = 'over' and source = 'app' and app = (select app from schedule where id = ?1)
             and id not in (select id from schedule s where s.state = 'over' and s.app = schedule.app order by s.last desc limit ?2)",
            (id, MOST_OVER),
        )?;
    }
    Ok(())
}

/// Pauses a schedule, or lets it go on; what it missed meanwhile is not made up for.
///
/// # Errors
/// [`Error::Missing`].
pub(crate) fn set_standing(db: &Connection, id: &str, on: bool, now: i64) -> Result<(), Error> {
    let schedule = by_id(db, id)?.ok_or_else(|| Error::Missing("There is no such schedule.".into()))?;
    let next = schedule.when.parse().ok().and_then(|timing| timing.next_after(now));
    let (standing, due) = match (on, next) {
        (_, None) => (Standing::Over, None),
        (true, next) => (Standing::On, next),
        (false, _) => (Standing::Paused, None),
    };
    put_as_it_is(db, &Schedule { standing, due, ..schedule })
}

/// How much came with an archive and waits for the owner's word.
pub(crate) fn held(db: &Connection) -> Result<u64, Error> {
    let count = "select (select count(*) from schedule where state = 'held') + (select count(*) from webhook where state = 'held')
         + (select count(*) from happening where state = 'held')";
    Ok(db.query_row(count, [], |row| row.get::<_, i64>(0))?.unsigned_abs())
}

/// The owner's answer for all that came with an archive: whether it goes on or stays paused.
pub fn answer_all(db: &Connection, on: bool, now: i64) -> Result<(), Error> {
    let standing = if on { Standing::On } else { Standing::Paused };
    db.execute("update webhook set state = ?1 where state = 'held'", [standing.word()])?;
    for held in some(db, "where state = 'held' order by id", [])? {
        set_standing(db, &held.id, on, now)?;
    }
    queue::answer_held(db, on, now)
}

/// Removes a schedule, with what of it still waits; true when there was one.
pub(crate) fn remove(db: &Connection, id: &str) -> Result<bool, Error> {
    queue::drop_waiting(db, id)?;
    Ok(db.execute("delete from schedule where id = ?1", [id])? > 0)
}

/// What an app's manifest asks for. What it asked for before and asks no more is removed, what it asks for again, word for
/// word, keeps its standing; what the server does not understand is left out.
pub(crate) fn asked(db: &Connection, app: &AppId, asked: &[Draft], now: i64) -> Result<(), Error> {
    let zone = zone(db)?;
    let before = of_app(db, app)?;
    let of_manifest = before.iter().filter(|schedule| schedule.source == Source::Manifest);
    for gone in of_manifest.filter(|schedule| asked.iter().all(|draft| draft.name != schedule.name)) {
        remove(db, &gone.id)?;
    }
    for draft in asked {
        let draft = Draft { when: draft.when.clone().completed(&zone, now), ..draft.clone() };
        let same = |old: &&Schedule| {
            let start_is_ours = draft.when.rrule.is_some();
            old.name == draft.name
                && old.when.cron == draft.when.cron
                && old.when.rrule == draft.when.rrule
                && (start_is_ours || old.when.start == draft.when.start)
                && old.action == draft.action.written()
                && old.title == draft.title
        };
        if before.iter().any(|old| same(&old)) {
            continue;
        }
        match put(db, app, &draft, Source::Manifest, now) {
            Err(error @ (Error::Database(_) | Error::Store(_))) => return Err(error),
            Err(why) => {
                tracing::warn!(app.id = %app, schedule = draft.name, %why, "a manifest asks for a schedule that cannot be")
            }
            Ok(_) => {}
        }
    }
    Ok(())
}

/// The time zone for schedules that name none: the owner's, where it is known.
pub(crate) fn zone(db: &Connection) -> Result<String, Error> {
    let known = "select value from setting where name = 'time_zone'";
    Ok(db.query_row(known, [], |row| row.get(0)).optional()?.unwrap_or_else(|| "UTC".to_owned()))
}

/// Forgets all of an app.
pub(crate) fn forget_app(db: &Connection, app: &AppId) -> Result<(), Error> {
    for table in ["schedule", "webhook", "happening", "notice"] {
        db.execute(&format!("delete from {table} where app = ?1"), [app.as_str()])?;
    }
    Ok(())
}
