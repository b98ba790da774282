//! Proof of life, and what the server holds.

use axum::Json;
use axum::extract::{Query, State as Shared};
use serde::Deserialize;

use super::api::{AppUsage, EventView, Health, Held, Usage};
use super::problem::Problem;
use super::state::State;
use crate::archive::Error;
use crate::{apps, documents, events, files, quota};

pub(super) async fn health() -> Json<Health> {
    let software = concat!("freehold-runtime/", env!("CARGO_PKG_VERSION"));
    Json(Health { state: "ready".into(), software: software.into() })
}

pub(super) async fn usage(Shared(state): Shared<State>) -> Result<Json<Usage>, Problem> {
    let held = state.home().usage().await?;
    let mut usage: Usage = state.home().read(tally).await?;
    usage.database_bytes = held.database_bytes;
    usage.loss_window_ms = Some(held.loss_window_ms);
    usage.limit_bytes = state.launch().limits.storage_bytes;
    Ok(Json(usage))
}

pub(super) async fn held(Shared(state): Shared<State>) -> Result<Json<Held>, Problem> {
    let held = state.home().read(|db| quota::Held::read(db).map_err(|problem| Error::Bug(problem.detail))).await?;
    let seq = Some(state.home().seq().await?);
    Ok(Json(Held { database_bytes: held.database_bytes, blob_bytes: held.blob_bytes, seq }))
}

/// Since when.
#[derive(Deserialize)]
pub(super) struct Since {
    #[serde(default)]
    since_ms: i64,
}

pub(super) async fn events(
    Shared(state): Shared<State>,
    Query(Since { since_ms }): Query<Since>,
) -> Result<Json<Vec<EventView>>, Problem> {
    Ok(Json(state.home().read(move |db| Ok::<_, Error>(events::since(db, since_ms)?)).await?))
}

fn tally(db: &rusqlite::Connection) -> Result<Usage, Error> {
    let documents = documents::collections(db)?.iter().map(|collection| collection.count).sum();
    let mut usage = Usage { documents, blob_bytes: files::blob_bytes(db)?, ..Usage::default() };
    for app in apps::list(db)?.into_iter().filter(|app| app.removed.is_none()) {
        let (count, bytes) = files::totals(db, &app.id)?;
        usage.files += count;
        let bytes = bytes + apps::code_bytes(db, &app.id)?;
        usage.apps.push(AppUsage {
            id: app.id.to_string(),
            name: app.name,
            label: app.label,
            version: app.version,
            bytes,
        });
    }
    Ok(usage)
}
