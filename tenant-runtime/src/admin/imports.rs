//! Imports over the admin listener: announce, upload in parts, check, unlock, confirm, undo; and for one that follows a live
//! server: announce, upload and put in rounds, and go live by a hand-over.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State as Shared};
use axum::http::{HeaderName, StatusCode};
use serde::Deserialize;

use super::api::{
    ActivateRequest, Activated, FollowRequest, ImportRequest, ImportState, ImportView, Received, UnlockRequest,
};
use super::exports::Wait;
use super::problem::Problem;
use super::state::{State, fresh_id, now_ms};

/// The header in which a `HEAD` is told how far an upload has come.
const OFFSET: HeaderName = HeaderName::from_static("upload-offset");

/// Where a part begins.
#[derive(Debug, Deserialize)]
pub(super) struct At {
    offset: u64,
}

pub(super) async fn begin(
    Shared(state): Shared<State>,
    Json(request): Json<ImportRequest>,
) -> Result<(StatusCode, Json<ImportView>), Problem> {
    let id = request.id.unwrap_or_else(fresh_id);
    let view = match request.follow {
        true => state.imports().begin_following(&id, request.bytes, now_ms()).await?,
        false => state.imports().begin(&id, request.bytes, now_ms()).await?,
    };
    Ok((StatusCode::CREATED, Json(view)))
}

pub(super) async fn announce(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    Json(request): Json<FollowRequest>,
) -> Result<(StatusCode, Json<ImportView>), Problem> {
    Ok((StatusCode::CREATED, Json(state.imports().announce(&id, request.round, request.bytes).await?)))
}

pub(super) async fn round_offset(
    Shared(state): Shared<State>,
    Path((id, round)): Path<(String, u32)>,
) -> Result<[(HeaderName, String); 1], Problem> {
    Ok([(OFFSET, state.imports().round_offset(&id, round)?.to_string())])
}

pub(super) async fn upload_round(
    Shared(state): Shared<State>,
    Path((id, round)): Path<(String, u32)>,
    Query(at): Query<At>,
    part: Body,
) -> Result<Json<Received>, Problem> {
    let offset = state.imports().upload_round(&id, round, at.offset, part.into_data_stream()).await?;
    Ok(Json(Received { offset }))
}

pub(super) async fn apply(
    Shared(state): Shared<State>,
    Path((id, round)): Path<(String, u32)>,
) -> Result<(StatusCode, Json<ImportView>), Problem> {
    Ok((StatusCode::ACCEPTED, Json(state.imports().apply(&id, round).await?)))
}

pub(super) async fn activate(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    Json(request): Json<ActivateRequest>,
) -> Result<Json<Activated>, Problem> {
    Ok(Json(state.imports().activate(&id, request, now_ms()).await?))
}

pub(super) async fn offset(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
) -> Result<[(HeaderName, String); 1], Problem> {
    Ok([(OFFSET, state.imports().offset(&id)?.to_string())])
}

pub(super) async fn upload(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    Query(at): Query<At>,
    part: Body,
) -> Result<Json<Received>, Problem> {
    let offset = state.imports().upload(&id, at.offset, part.into_data_stream()).await?;
    Ok(Json(Received { offset }))
}

pub(super) async fn check(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<ImportView>), Problem> {
    Ok((StatusCode::ACCEPTED, Json(state.imports().check(&id).await?)))
}

pub(super) async fn unlock(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    Json(request): Json<UnlockRequest>,
) -> Result<(StatusCode, Json<ImportView>), Problem> {
    Ok((StatusCode::ACCEPTED, Json(state.imports().unlock(&id, request.passphrase).await?)))
}

pub(super) async fn view(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    Query(wait): Query<Wait>,
) -> Result<Json<ImportView>, Problem> {
    let first = state.imports().view(&id).await?.state;
    let look = || async { Ok(state.imports().view(&id).await?) };
    let at_rest = |view: &ImportView| {
        let working = matches!(
            view.state,
            ImportState::Checking
                | ImportState::Staging
                | ImportState::Verifying
                | ImportState::CatchingUp
                | ImportState::Swapping
        );
        !working || view.state != first
    };
    wait.until(look, at_rest).await.map(Json)
}

pub(super) async fn confirm(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<ImportView>), Problem> {
    Ok((StatusCode::ACCEPTED, Json(state.imports().confirm(&id).await?)))
}

pub(super) async fn undo(Shared(state): Shared<State>, Path(id): Path<String>) -> Result<Json<ImportView>, Problem> {
    Ok(Json(state.imports().undo(&id).await?))
}

pub(super) async fn remove(Shared(state): Shared<State>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    state.imports().remove(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
