//! Going back in time over the admin listener: which moments there are, what would differ, restore, undo; and how well
//! all of it is kept.

use axum::Json;
use axum::extract::{Path, Query, State as Shared};
use serde::Deserialize;

use super::api::{CareFinding, CareView, PastPreview, PastView, RestoreRequest, RestoreView};
use super::problem::Problem;
use super::state::{State, fresh_id, now_ms};
use crate::store::{Care, Finding};

impl From<Care> for CareView {
    fn from(care: Care) -> Self {
        let told = |finding: Finding| CareFinding { what: finding.what, why: finding.why, repaired: finding.repaired };
        Self {
            checked_ms: care.checked_ms,
            objects: care.objects,
            bytes: care.bytes,
            findings: care.findings.into_iter().map(told).collect(),
            swept_ms: care.swept_ms,
            swept_objects: care.swept_objects,
            swept_bytes: care.swept_bytes,
            refused: care.refused,
        }
    }
}

/// A moment.
#[derive(Debug, Deserialize)]
pub(super) struct At {
    at_ms: i64,
}

pub(super) async fn care(Shared(state): Shared<State>) -> Result<Json<CareView>, Problem> {
    Ok(Json(state.home().care().await?.into()))
}

pub(super) async fn view(Shared(state): Shared<State>) -> Result<Json<PastView>, Problem> {
    Ok(Json(state.past().view(now_ms()).await?))
}

pub(super) async fn preview(Shared(state): Shared<State>, Query(at): Query<At>) -> Result<Json<PastPreview>, Problem> {
    Ok(Json(state.past().preview(at.at_ms).await?))
}

pub(super) async fn restore(
    Shared(state): Shared<State>,
    Json(request): Json<RestoreRequest>,
) -> Result<Json<RestoreView>, Problem> {
    let id = request.id.unwrap_or_else(fresh_id);
    Ok(Json(state.past().restore(&id, request.at_ms).await?))
}

pub(super) async fn undo(Shared(state): Shared<State>, Path(id): Path<String>) -> Result<Json<RestoreView>, Problem> {
    Ok(Json(state.past().undo(&id).await?))
}
