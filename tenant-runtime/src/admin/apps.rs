//! Installing and removing apps on behalf of the owner, who does it from the provider's console.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use export_format::AppId;

use super::api::AppView;
use super::problem::Problem;
use super::state::{State, now_ms};
use crate::apps::{self, AppRecord};
use crate::archive;

impl From<AppRecord> for AppView {
    fn from(app: AppRecord) -> Self {
        Self {
            id: app.id.to_string(),
            name: app.name,
            label: app.label,
            version: app.version,
            installed_ms: app.updated,
            removed_ms: app.removed,
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
            apps::Error::Refused(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, sentence(&error)),
            apps::Error::Missing(_) => Self::new(StatusCode::NOT_FOUND, sentence(&error)),
            apps::Error::NothingToUndo(_) => Self::new(StatusCode::CONFLICT, sentence(&error)),
            _ => archive::Error::from(error).into(),
        }
    }
}

pub(super) async fn list(Shared(state): Shared<State>) -> Result<Json<Vec<AppView>>, Problem> {
    let list = state.home().read(|db| Ok::<_, archive::Error>(apps::list(db)?)).await?;
    Ok(Json(list.into_iter().map(AppView::from).collect()))
}

pub(super) async fn install(Shared(state): Shared<State>, package: Bytes) -> Result<Json<AppView>, Problem> {
    let app = apps::install(state.home(), Arc::from(package.as_ref()), now_ms()).await?;
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
