//! Updates on trial: whether a new version starts, and what happens if it does not.
//!
//! While an update is on trial its pages bring a small script that says whether they started. A page that says so ends the
//! trial. One that says it did not, or two that never say a word, end the update: the version before is in use again, with
//! the app's own data and grants as of the snapshot that was taken before the update, and the version that failed is
//! not tried again by itself.
//!
//! Invariant: what is brought back is this app's tables and files and nothing else, in one write together with the code, so
//! nobody meets the old code with the new data.

use std::time::Duration;

use export_format::AppId;
use rusqlite::Connection;

use super::store::{self, AppRecord};
use super::{Error, Keeping, restore};
use crate::documents::{self, TableName};
use crate::events::{self, What};
use crate::permissions;
use crate::store::Home;

/// What the snapshots before updates are called.
pub(crate) const SNAPSHOT: &str = "update-";
/// How long a page may take to say something.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How many pages in a row may say nothing.
const SILENT: u32 = 2;

/// What a page on trial had to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// It started.
    Started,
    /// It was left before that could be seen.
    Left,
    /// It did not start, and this was seen.
    Failed(String),
}

/// Takes the snapshot that an update can be taken back to.
pub(super) async fn snapshot(home: &Home) -> Result<String, Error> {
    let name = format!("{SNAPSHOT}{}", uuid::Uuid::now_v7().simple());
    home.snapshot(&name).await?;
    Ok(name)
}

/// Remembers a version that was not even tried.
pub(super) async fn refuse(home: &Home, app: &AppId, version: &str, why: &str, now: i64) -> Result<(), Error> {
    let (app, version, why) = (app.clone(), version.to_owned(), why.to_owned());
    home.write(move |db| {
        let Some(record) = store::get(db, &app)? else { return Ok(()) };
        let mut keeping = record.keeping;
        keeping.fail(&version, &why, now);
        store::keep(db, &app, &keeping)?;
        let text = format!("An update of {} to {version} was not installed: {why}.", record.name);
        Ok(events::note(db, now, What::Update, &text, &[("app", app.as_str()), ("version", &version)])?)
    })
    .await
}

/// Notes that a page of an app on trial is given out now; whether it may be. It may not where two before it never said
/// a word: then the version before is in use again when this returns.
pub async fn opened(home: &Home, app: &AppId, now: i64) -> Result<bool, Error> {
    let id = app.clone();
    let silent = home.write(move |db| {
        let Some((_, mut keeping)) = on_trial(db, &id)? else { return Ok::<_, Error>(0) };
        let Some(trial) = &mut keeping.trial else { return Ok(0) };
        let waited = trial.opened_ms.is_some_and(|at| now - at > PATIENCE.as_millis() as i64);
        trial.silent += u32::from(waited);
        // A page that was opened a moment ago may still speak.
        if waited || trial.opened_ms.is_none() {
            trial.opened_ms = Some(now);
        }
        let silent = trial.silent;
        store::keep(db, &id, &keeping)?;
        Ok(silent)
    });
    if silent.await? < SILENT {
        return Ok(true);
    }
    take_back(home, app, "its page stood still when it was opened", now).await?;
    Ok(false)
}

/// What a page of a release said; whether the version before is in use again.
pub async fn said(home: &Home, app: &AppId, release: u32, said: Said, now: i64) -> Result<bool, Error> {
    let id = app.clone();
    let found = home.read(move |db| Ok::<_, Error>(on_trial(db, &id)?.filter(|(app, _)| app.release == release)));
    if found.await?.is_none() {
        return Ok(false);
    }
    if let Said::Failed(why) = said {
        take_back(home, app, &why, now).await?;
        return Ok(true);
    }
    let id = app.clone();
    let ended = home.write(move |db| {
        let Some((_, mut keeping)) = on_trial(db, &id)?.filter(|(app, _)| app.release == release) else {
            return Ok::<_, Error>(None);
        };
        let ended = match said {
            Said::Started => keeping.trial.take(),
            _ => {
                if let Some(trial) = &mut keeping.trial {
                    trial.opened_ms = None;
                }
                None
            }
        };
        store::keep(db, &id, &keeping)?;
        Ok(ended)
    });
    if let Some(trial) = ended.await? {
        let_go(home, &trial.snapshot).await;
    }
    Ok(false)
}

fn on_trial(db: &Connection, app: &AppId) -> Result<Option<(AppRecord, Keeping)>, Error> {
    let app = store::get(db, app)?.filter(|app| app.removed.is_none() && app.keeping.trial.is_some());
    Ok(app.map(|app| (app.clone(), app.keeping)))
}

/// Puts the version before an update on trial in use again, with the app's data as of the snapshot.
pub async fn take_back(home: &Home, app: &AppId, why: &str, now: i64) -> Result<(), Error> {
    let id = app.clone();
    let Some((record, keeping)) = home.read(move |db| on_trial(db, &id)).await? else { return Ok(()) };
    let Some(trial) = keeping.trial else { return Ok(()) };
    let then = match home.open_snapshot(&trial.snapshot).await {
        Ok(then) => Some(then),
        Err(crate::store::Error::Missing { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    if then.is_some() {
        home.blobs().all_in_use_again().await?;
    }
    let mut attempt = 0;
    loop {
        let back = match &then {
            Some(then) => restore::compare(home, then, app).await?,
            None => restore::Difference::default(),
        };
        // Whoever keeps writing meanwhile is cut off, so that this comes to an end.
        let shut = attempt >= 3;
        let (id, why) = (app.clone(), why.to_owned());
        let (release, from, grants) = (record.release, trial.from, trial.grants.clone());
        let done = home.write(move |db| {
            let Some((app, mut keeping)) = on_trial(db, &id)?.filter(|(app, _)| app.release == release) else {
                return Ok(true);
            };
            if shut {
                crate::sessions::end_app(db, &id)?;
            }
            if !back.holds(db, &id)? {
                return Ok(false);
            }
            if !back.apply(db, &id)? {
                return Ok(false);
            }
            for asked in permissions::of(db, &id)? {
                permissions::remove(db, &id, &asked.name)?;
            }
            for grant in &grants {
                permissions::put(db, &grant.of(&id))?;
            }
            store::use_release(db, &id, from)?;
            store::remove_release(db, &id, release)?;
            keeping.trial = None;
            keeping.fail(&app.version, &why, now);
            store::keep(db, &id, &keeping)?;
            let now_there = store::get(db, &id)?.map(|app| app.version).unwrap_or_default();
            let text = format!(
                "Version {} of {} did not start ({why}), so {now_there} is back with its data as it was before the update.",
                app.version, app.name
            );
            let about = [("app", id.as_str()), ("version", app.version.as_str())];
            events::note(db, now, What::Update, &text, &about)?;
            tracing::warn!(app.id = %id, app.version = app.version, "an update did not start and was taken back");
            Ok::<_, Error>(true)
        });
        if done.await? {
            break;
        }
        attempt += 1;
    }
    let_go(home, &trial.snapshot).await;
    Ok(())
}

/// Which snapshots are still needed by an update on trial.
pub(crate) fn snapshots(db: &Connection) -> Result<Vec<String>, Error> {
    let all = store::list(db)?.into_iter();
    Ok(all.filter_map(|app| app.keeping.trial.map(|trial| trial.snapshot)).collect())
}

/// Housekeeping drops what stays behind here.
async fn let_go(home: &Home, snapshot: &str) {
    if let Err(error) = home.drop_snapshot(snapshot).await {
        tracing::info!(cause = %error, "the snapshot before an update stays until the next round");
    }
}

/// The tables of an app, `files` among them.
pub(super) fn tables(db: &Connection, app: &AppId) -> Result<Vec<TableName>, Error> {
    Ok(documents::tables_of(db, app)?)
}
