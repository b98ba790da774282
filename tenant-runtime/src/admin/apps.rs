//! Installing and removing apps on behalf of the owner, who does it from the provider's console.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State as Shared};
use axum::http::StatusCode;
use export_format::AppId;
use serde::Deserialize;

use super::api::{AppView, AppWish, AskView, PackageView};
use super::problem::Problem;
use super::state::{State, now_ms};
use crate::apps::manifest::Asked;
use crate::apps::{self, AppRecord, Terms};
use crate::archive;
use crate::permissions::{self, Status};

impl From<AppRecord> for AppView {
    fn from(app: AppRecord) -> Self {
        Self {
            notice: app.notice(),
            id: app.id.to_string(),
            name: app.name,
            label: app.label,
            version: app.version,
            installed_ms: app.updated,
            removed_ms: app.removed,
            maker: app.keeping.maker().map(|key| key.fingerprint()),
            pinned: app.keeping.pinned,
            on_trial: app.keeping.trial.is_some(),
            failed: app.keeping.failed.into_iter().map(|failed| failed.version).collect(),
            waiting: Vec::new(),
            undo: false,
        }
    }
}

impl From<apps::Error> for Problem {
    fn from(error: apps::Error) -> Self {
        let sentence = |error: &dyn std::error::Error| {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            format!("{error}{cause}")
        };
        match &error {
            apps::Error::Refused(refused) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, refused.to_string()),
            apps::Error::Missing(_) => Self::new(StatusCode::NOT_FOUND, sentence(&error)),
            apps::Error::Maker(_) | apps::Error::Held(_) => Self::new(StatusCode::CONFLICT, error.to_string()),
            apps::Error::NothingToUndo(_) => Self::new(StatusCode::CONFLICT, sentence(&error)),
            _ => archive::Error::from(error).into(),
        }
    }
}

pub(super) async fn list(Shared(state): Shared<State>) -> Result<Json<Vec<AppView>>, Problem> {
    let list = state.home().read(|db| {
        let mut views = Vec::new();
        for app in apps::list(db)? {
            let waiting = permissions::of(db, &app.id).map_err(apps::Error::from)?.into_iter();
            let waiting = waiting.filter(|asked| asked.status == Status::Pending);
            let waiting = waiting.map(|asked| AskView {
                may: permissions::words(&asked.kind, &asked.tables),
                name: asked.name,
                why: asked.description,
                new: true,
            });
            let waiting = waiting.collect();
            let undo = apps::releases(db, &app.id)?.len() > 1;
            views.push(AppView { waiting, undo, ..app.into() });
        }
        Ok::<_, archive::Error>(views)
    });
    Ok(Json(list.await?))
}

/// What a package is, and how it stands to what is here. Nothing is kept of it.
pub(super) async fn look(Shared(state): Shared<State>, package: Bytes) -> Result<Json<PackageView>, Problem> {
    let package: Arc<[u8]> = Arc::from(package.as_ref());
    let examined = tokio::task::spawn_blocking(move || apps::examine(package)).await;
    let examined = examined
        .map_err(|_| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "The package could not be taken apart."))?;
    let examined = examined.map_err(apps::Error::from)?;
    let id = examined.id.clone();
    let here = state.home().read(move |db| {
        Ok::<_, archive::Error>((apps::get(db, &id)?, permissions::of(db, &id).map_err(apps::Error::from)?))
    });
    let (here, asked) = here.await?;
    let read = examined.read;
    let version = read.version.unwrap_or_else(|| "0.0.0".to_owned());
    let is_new =
        |new: &Asked| !asked.iter().any(|old| old.name == new.name && old.kind == new.kind && old.tables == new.tables);
    let asks = read.permissions.iter().map(|new| AskView {
        name: new.name.clone(),
        may: permissions::words(&new.kind, &new.tables),
        why: new.description.clone(),
        new: is_new(new),
    });
    Ok(Json(PackageView {
        asks: asks.collect(),
        runs: read.handlers.as_ref().map(crate::apps::manifest::Handlers::words),
        name: read.display_name.unwrap_or_else(|| apps::label::wished(&examined.id)),
        description: read.description.unwrap_or_default(),
        author: read.author.unwrap_or_default(),
        maker: examined.maker.map(|key| key.fingerprint()),
        known_maker: here.as_ref().and_then(|app| app.keeping.maker()).map(|key| key.fingerprint()),
        pages: !read.pages.is_empty(),
        files: examined.files,
        bytes: examined.bytes,
        missing: examined.missing,
        order: here.as_ref().map_or(1, |app| apps::version::compare(&version, &app.version) as i8),
        removed: here.as_ref().is_some_and(|app| app.removed.is_some()),
        installed: here.map(|app| app.version),
        id: examined.id.to_string(),
        version,
    }))
}

/// On which terms a package comes.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct How {
    /// An update that nobody asked for.
    by_itself: bool,
    /// The fingerprint, or `none`, that the owner accepts in place of the one that is remembered.
    maker: Option<String>,
}

pub(super) async fn install(
    Shared(state): Shared<State>,
    Query(how): Query<How>,
    package: Bytes,
) -> Result<Json<AppView>, Problem> {
    let terms = Terms { by_itself: how.by_itself, accepted_maker: how.maker, on_trial: true };
    let app = apps::install_on(state.home(), Arc::from(package.as_ref()), terms, now_ms()).await;
    state.changed().await;
    Ok(Json(app?.into()))
}

/// Pins an app's version, or calls it harmful.
pub(super) async fn wish(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    Json(wish): Json<AppWish>,
) -> Result<Json<AppView>, Problem> {
    let id = parse(&id)?;
    let app = apps::wish(state.home(), &id, wish.pinned, wish.revoke.map(|r| (r.version, r.why)), now_ms()).await?;
    state.changed().await;
    Ok(Json(app.into()))
}

/// Erases what a removed app keeps.
pub(super) async fn erase(Shared(state): Shared<State>, Path(id): Path<String>) -> Result<Json<AppView>, Problem> {
    let app = apps::erase(state.home(), &parse(&id)?).await?;
    state.changed().await;
    Ok(Json(app.into()))
}

pub(super) async fn remove(Shared(state): Shared<State>, Path(id): Path<String>) -> Result<Json<AppView>, Problem> {
    let app = apps::remove(state.home(), &parse(&id)?, now_ms()).await?;
    state.changed().await;
    Ok(Json(app.into()))
}

pub(super) async fn restore(Shared(state): Shared<State>, Path(id): Path<String>) -> Result<Json<AppView>, Problem> {
    let app = apps::undo(state.home(), &parse(&id)?).await?;
    state.changed().await;
    Ok(Json(app.into()))
}

fn parse(id: &str) -> Result<AppId, Problem> {
    id.parse().map_err(|error| Problem::new(StatusCode::NOT_FOUND, format!("{id:?} is no app: {error}")))
}
