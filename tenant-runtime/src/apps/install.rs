//! Installing, updating, removing apps, and taking each of these back.
//!
//! The code's blobs are durable before the app's row names them, and the row changes in one write, so an app is at any
//! moment entirely its former or entirely its new release. An update keeps the former release; a removal keeps
//! everything. The owner's data is touched by none of this.

use std::sync::Arc;

use export_format::AppId;
use rusqlite::Connection;

use super::package::{Package, Refused};
use super::store::{self, AppRecord, CodeFile};
use super::{Error, label};
use crate::documents::{self, TableName};
use crate::permissions::{self, Permission, Status};
use crate::sessions;
use crate::store::Home;

/// Installs a package, or updates the app it is a release of; an app that was removed comes back.
pub async fn install(home: &Home, package: Arc<[u8]>, now: i64) -> Result<AppRecord, Error> {
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
    home.write(move |db| settle(db, &package, &code, now)).await
}

/// Makes a package, whose code is in the store, the app's release in use.
fn settle(db: &Connection, package: &Package, code: &[CodeFile], now: i64) -> Result<AppRecord, Error> {
    let before = store::get(db, &package.id)?;
    let kept = store::releases(db, &package.id)?;
    let read = &package.read;
    let app = AppRecord {
        id: package.id.clone(),
        label: before.as_ref().map_or_else(|| label::wished(&package.id), |app| app.label.clone()),
        name: read.display_name.clone().unwrap_or_else(|| name_of(&package.id)),
        version: read.version.clone().unwrap_or_else(|| "0.0.0".to_owned()),
        manifest: package.manifest(),
        release: kept.last().map_or(1, |last| last + 1),
        installed: before.as_ref().map_or(now, |app| app.installed),
        updated: now,
        removed: None,
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
        }
        store::get(db, &app)?.ok_or_else(|| missing(&app))
    })
    .await
}

fn missing(app: &AppId) -> Error {
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
