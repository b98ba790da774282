//! What is due becomes happenings.

use rusqlite::Connection;
use serde_json::json;

use super::error::Error;
use super::queue::{self, Happening, HappeningId, State};
use super::schedules::{self, Schedule};
use super::{Action, Kind};

/// How many schedules are taken in one transaction.
const AT_ONCE: u32 = 200;

/// Writes a happening down for each schedule whose time has come, and moves the schedule on to its next time after `now`: both
/// or neither, in the caller's transaction. Says how many there were; those beyond a number wait for the next call.
pub fn fire(db: &Connection, now: i64) -> Result<usize, Error> {
    let come = schedules::come(db, now, AT_ONCE)?;
    for schedule in &come {
        let Some(due) = schedule.due else { continue };
        let next = schedule.when.parse().ok().and_then(|timing| timing.next_after(now));
        queue::add(db, &of(schedule, due, &due.to_string(), now), now)?;
        schedules::move_on(db, &schedule.id, due, next)?;
    }
    if !come.is_empty() {
        queue::prune(db, now)?;
    }
    Ok(come.len())
}

/// Does once, now, what a schedule does; its times stay as they are.
///
/// # Errors
/// [`Error::Missing`].
pub(crate) fn run_now(db: &Connection, id: &str, now: i64) -> Result<(), Error> {
    let schedule = schedules::by_id(db, id)?.ok_or_else(|| Error::Missing("There is no such schedule.".into()))?;
    queue::add(db, &of(&schedule, now, &format!("now-{now}"), now), now).map(drop)
}

fn of(schedule: &Schedule, due: i64, key: &str, now: i64) -> Happening {
    let payload = match Action::read(&schedule.action) {
        Some(Action::Handler(payload)) => payload,
        _ => json!(null),
    };
    Happening {
        id: HappeningId::new(now).to_string(),
        app: schedule.app.clone(),
        kind: Kind::Schedule,
        origin: schedule.id.clone(),
        name: schedule.name.clone(),
        title: schedule.title.clone(),
        key: key.to_owned(),
        due,
        action: schedule.action.clone(),
        payload: payload.to_string(),
        state: State::Waiting,
        tries: 0,
        next: Some(now),
        why: None,
        made: now,
        ended: None,
    }
}
