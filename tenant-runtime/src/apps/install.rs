//! Installing, updating, removing apps, and taking each of these back.
//!
//! The code's blobs are durable before the app's row names them, and the row changes in one write, so an app is at any
//! moment entirely its former or entirely its new release. An update keeps the former release; a removal keeps
//! everything. The owner's data is touched by none of this.

use std::sync::Arc;

use export_format::AppId;
use rusqlite::Connection;

use super::examine::{Examined, examine};
use super::package::{Package, Refused};
use super::store::{self, AppRecord, CodeFile};
use super::{Error, Grant, Keeping, Revoked, Trial, label, trial, version};
use crate::documents::{self, TableName};
use crate::happenings;
use crate::permissions::{self, Permission, Status};
use crate::sessions;
use crate::store::Home;

/// On which terms a package is taken.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// Nobody asked for it: it is an update that came by itself, and gives way to all the owner said.
    pub by_itself: bool,
    /// The maker that the owner accepts in place of the one that is remembered: a fingerprint, or `none` for a release
    /// that nobody signed.
    pub accepted_maker: Option<String>,
    /// Whether an update has to show that it starts, and is taken back if it does not.
    pub on_trial: bool,
}

/// Installs a package as its owner handed it over, or updates the app it is a release of; an app that was removed
/// comes back.
pub async fn install(home: &Home, package: Arc<[u8]>, now: i64) -> Result<AppRecord, Error> {
    install_on(home, package, Terms::default(), now).await
}

/// The same on terms.
///
/// # Errors
/// [`Error::Refused`] for a package that is not sound, [`Error::Maker`] for an update that another key signed,
/// [`Error::Held`] for one that may not come by itself.
pub async fn install_on(home: &Home, package: Arc<[u8]>, terms: Terms, now: i64) -> Result<AppRecord, Error> {
    let bytes = Arc::clone(&package);
    let examined = Arc::new(blocking(move || examine(bytes)).await?);
    let before = {
        let (examined, terms) = (Arc::clone(&examined), terms.clone());
        home.read(move |db| agreed(db, &examined, &terms)).await?
    };
    if terms.by_itself && !examined.missing.is_empty() {
        let why = format!("its package lacks {}", examined.missing.join(", "));
        trial::refuse(home, &examined.id, &release_version(&examined), &why, now).await?;
        return Err(Error::Held(format!("This update is broken: {why}. The version before stays.")));
    }
    let updates = before.is_some_and(|app| app.removed.is_none() && app.version != release_version(&examined));
    let snapshot = match terms.on_trial && updates {
        true => Some(trial::snapshot(home).await?),
        false => None,
    };
    let mut package = blocking(move || Package::open(package)).await?;
    let mut code = Vec::with_capacity(package.len());
    for position in 0..package.len() {
        let (back, file) = blocking(move || {
            let file = package.file(position)?;
            Ok((package, file))
        })
        .await?;
        package = back;
        let (path, bytes) = file;
        let mime = crate::pages::media_type(&path);
        let stream = futures::stream::iter([Ok(bytes::Bytes::from(bytes))]);
        let blob = home.blobs().put(stream, None).await?;
        code.push(CodeFile { path, digest: blob.digest, size: blob.size, crc32: blob.crc32, mime });
    }
    home.write(move |db| settle(db, &package, &examined, &terms, snapshot, &code, now)).await
}

/// The version a package says it is.
fn release_version(examined: &Examined) -> String {
    examined.read.version.clone().unwrap_or_else(|| "0.0.0".to_owned())
}

/// Refuses what the owner, the maker's key or an earlier failure stands against; the app as it is.
fn agreed(db: &Connection, package: &Examined, terms: &Terms) -> Result<Option<AppRecord>, Error> {
    let Some(app) = store::get(db, &package.id)? else {
        return if terms.by_itself { Err(missing(&package.id)) } else { Ok(None) };
    };
    let new = release_version(package);
    if let Some(known) = app.keeping.maker() {
        let shown = package.maker.as_ref().map_or_else(|| "none".to_owned(), |key| key.fingerprint());
        if known.fingerprint() != shown && terms.accepted_maker.as_deref() != Some(shown.as_str()) {
            return Err(Error::Maker(match &package.maker {
                Some(key) => format!(
                    "{} was signed by one key until now ({}), and this package is signed by another ({}). Either its maker has a new key, or somebody else made this. Nothing was changed.",
                    app.name,
                    known.fingerprint(),
                    key.fingerprint()
                ),
                None => format!(
                    "{} was signed by its maker until now ({}), and nobody signed this package. Nothing was changed.",
                    app.name,
                    known.fingerprint()
                ),
            }));
        }
    }
    if let Some(revoked) = app.keeping.revoked.as_ref().filter(|revoked| revoked.version == new) {
        return Err(Error::Held(format!("Version {new} of {} was withdrawn: {}", app.name, revoked.why)));
    }
    if terms.by_itself {
        let held = |why: &str| Err(Error::Held(format!("{} stays at {}: {why}.", app.name, app.version)));
        if app.removed.is_some() {
            return held("it is removed");
        }
        if app.keeping.pinned {
            return held("its owner keeps this version");
        }
        if app.keeping.has_failed(&new) {
            return held(&format!("version {new} did not start here"));
        }
        if version::compare(&new, &app.version) != std::cmp::Ordering::Greater {
            return held(&format!("version {new} is not newer"));
        }
    }
    Ok(Some(app))
}

/// Makes a package, whose code is in the store, the app's release in use.
fn settle(
    db: &Connection,
    package: &Package,
    examined: &Examined,
    terms: &Terms,
    snapshot: Option<String>,
    code: &[CodeFile],
    now: i64,
) -> Result<AppRecord, Error> {
    let before = agreed(db, examined, terms)?;
    let trial = match (&before, snapshot) {
        (Some(app), Some(snapshot)) => Some(Trial {
            from: app.release,
            from_version: app.version.clone(),
            snapshot,
            grants: permissions::of(db, &app.id)?.iter().map(Grant::from).collect(),
            ..Trial::default()
        }),
        _ => None,
    };
    let keeping = before.as_ref().map(|app| app.keeping.clone()).unwrap_or_default();
    let keeping = Keeping { maker: examined.maker.as_ref().map(ToString::to_string), revoked: None, trial, ..keeping };
    let kept = store::releases(db, &package.id)?;
    let read = &package.read;
    let app = AppRecord {
        id: package.id.clone(),
        label: before.as_ref().map_or_else(|| label::wished(&package.id), |app| app.label.clone()),
        name: read.display_name.clone().unwrap_or_else(|| name_of(&package.id)),
        version: release_version(examined),
        manifest: package.manifest(),
        release: kept.last().map_or(1, |last| last + 1),
        installed: before.as_ref().map_or(now, |app| app.installed),
        updated: now,
        removed: None,
        keeping,
    };
    let app = store::put(db, &app, code)?;
    for old in kept.into_iter().filter(|release| before.as_ref().is_none_or(|app| app.release != *release)) {
        store::remove_release(db, &app.id, old)?;
    }
    for table in &read.tables {
        // A name that cannot be a table's is the maker's mistake and no reason to keep the app from its owner.
        if let Ok(name) = TableName::new(&app.id, &table.collection) {
            documents::begin_declared(db, &name, &table.indexes)?;
        }
    }
    ask(db, &app.id, package, now)?;
    happenings::asked(db, &app.id, &read.schedules, now)?;
    tracing::info!(app.id = %app.id, app.version = app.version, files = code.len(), "installed an app");
    Ok(app)
}

/// Writes down what the app asks for. What it asked before and asks again, word for word, keeps the owner's answer.
fn ask(db: &Connection, app: &AppId, package: &Package, now: i64) -> Result<(), Error> {
    let asked = &package.read.permissions;
    let before = permissions::of(db, app)?;
    for gone in before.iter().filter(|permission| asked.iter().all(|asked| asked.name != permission.name)) {
        permissions::remove(db, app, &gone.name)?;
    }
    for new in asked {
        let same = |old: &&Permission| old.name == new.name && old.kind == new.kind && old.tables == new.tables;
        let permission = match before.iter().find(same) {
            Some(old) => Permission { description: new.description.clone(), ..old.clone() },
            None => Permission {
                app: app.clone(),
                name: new.name.clone(),
                kind: new.kind.clone(),
                tables: new.tables.clone(),
                description: new.description.clone(),
                status: Status::Pending,
                asked: now,
                decided: None,
            },
        };
        permissions::put(db, &permission)?;
    }
    Ok(())
}

/// Takes an app away; everything of it is kept and [`undo`] brings it back. What was let in to it is not: its programs
/// are signed out, and no token of its pages opens it again.
pub async fn remove(home: &Home, app: &AppId, now: i64) -> Result<AppRecord, Error> {
    let app = app.clone();
    home.write(move |db| {
        let record = store::get(db, &app)?.filter(|record| record.removed.is_none()).ok_or_else(|| missing(&app))?;
        store::set_removed(db, &app, Some(now))?;
        sessions::end_app(db, &app)?;
        Ok(AppRecord { removed: Some(now), ..record })
    })
    .await
}

/// Takes back the last thing done to an app: its removal, or else its last update.
pub async fn undo(home: &Home, app: &AppId) -> Result<AppRecord, Error> {
    let app = app.clone();
    home.write(move |db| {
        let record = store::get(db, &app)?.ok_or_else(|| missing(&app))?;
        if record.removed.is_some() {
            store::set_removed(db, &app, None)?;
        } else {
            let other = store::releases(db, &app)?.into_iter().rev().find(|release| *release != record.release);
            store::use_release(db, &app, other.ok_or_else(|| Error::NothingToUndo(app.clone()))?)?;
            store::keep(db, &app, &Keeping { trial: None, revoked: None, ..record.keeping })?;
        }
        store::get(db, &app)?.ok_or_else(|| missing(&app))
    })
    .await
}

/// Writes down what is said of an app's updates: that its owner wants this version and no other, that a version does harm.
pub async fn wish(
    home: &Home,
    app: &AppId,
    pinned: Option<bool>,
    revoked: Option<(String, String)>,
    now: i64,
) -> Result<AppRecord, Error> {
    let app = app.clone();
    home.write(move |db| {
        let mut record = store::get(db, &app)?.ok_or_else(|| missing(&app))?;
        record.keeping.pinned = pinned.unwrap_or(record.keeping.pinned);
        if let Some((version, why)) = revoked.filter(|(version, _)| *version == record.version) {
            let why: String = why.chars().filter(|c| !c.is_control()).take(300).collect();
            let text = format!("Version {version} of {} was withdrawn and does not open any more: {why}", record.name);
            crate::events::note(db, now, crate::events::What::Update, &text, &[("app", app.as_str())])?;
            record.keeping.revoked = Some(Revoked { version, why });
            sessions::end_app(db, &app)?;
        }
        store::keep(db, &app, &record.keeping)?;
        Ok(record)
    })
    .await
}

/// Erases what a removed app keeps here: its records, its files, its code. Moments of the past still have them.
pub async fn erase(home: &Home, app: &AppId) -> Result<AppRecord, Error> {
    let app = app.clone();
    home.write(move |db| {
        let record = store::get(db, &app)?.filter(|record| record.removed.is_some()).ok_or_else(|| missing(&app))?;
        for table in documents::tables_of(db, &app)? {
            documents::drop_collection(db, &table)?;
        }
        db.execute("delete from file where app = ?1", [app.as_str()])?;
        for asked in permissions::of(db, &app)? {
            permissions::remove(db, &app, &asked.name)?;
        }
        happenings::forget_app(db, &app)?;
        store::forget(db, &app)?;
        Ok(record)
    })
    .await
}

pub(super) fn missing(app: &AppId) -> Error {
    Error::Missing(app.clone())
}

fn name_of(app: &AppId) -> String {
    let label = label::wished(app);
    let mut letters = label.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Refused> + Send + 'static) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.unwrap_or_else(|_| Err(Refused::Unreadable("it could not be taken apart".to_owned())))?)
}
