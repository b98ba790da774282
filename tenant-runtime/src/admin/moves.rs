//! Moves over the admin listener: ending a hold, standing down, what is said when it is to be taken back, and who the server is.

use axum::Json;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use export_format::moving::{RecallAnswer, Signed};

use super::api::{DepartureRequest, DepartureView, IdentityView, RenounceRequest};
use super::problem::Problem;
use super::state::{State, now_ms};
use crate::archive::{Error, identity};
use crate::moves::{self, Departure, Refusal};

pub(super) async fn end_hold(Shared(state): Shared<State>) -> Result<StatusCode, Problem> {
    state.home().end_hold().await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn identity(Shared(state): Shared<State>) -> Result<Json<IdentityView>, Problem> {
    let did = identity::of(state.home()).await?.did();
    let epoch = state.home().read(|db| moves::epoch(db).map_err(Error::from)).await?;
    Ok(Json(IdentityView { did, epoch }))
}

pub(super) async fn depart(
    Shared(state): Shared<State>,
    Json(asked): Json<DepartureRequest>,
) -> Result<Json<DepartureView>, Problem> {
    let (home, exports) = (state.home().clone(), state.exports().clone());
    // Whoever asked may go away; a departure that has begun is brought to its end.
    let departing = tokio::spawn(async move { moves::depart(&home, &exports, asked, jiff::Timestamp::now()).await });
    let departed = departing.await.map_err(|why| Error::Bug(format!("a departure ended early: {why}")))?;
    Ok(Json(departed?))
}

pub(super) async fn departure(Shared(state): Shared<State>) -> Result<Json<DepartureView>, Problem> {
    let departure = Departure::of(state.home())?.ok_or(Error::Missing("departure"))?;
    Ok(Json(departure.view(state.home()).await?))
}

pub(super) async fn take_back(Shared(state): Shared<State>) -> Result<StatusCode, Problem> {
    moves::take_back(state.home()).await?;
    state.changed().await;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn recall(Shared(state): Shared<State>) -> Result<Json<Signed>, Problem> {
    Ok(Json(moves::recall(state.home(), jiff::Timestamp::now()).await?))
}

pub(super) async fn renounce(
    Shared(state): Shared<State>,
    Json(request): Json<RenounceRequest>,
) -> Result<Json<RecallAnswer>, Problem> {
    Ok(Json(state.imports().renounce(request, now_ms()).await?))
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let conflict = |word, why: &Refusal| Self::new(StatusCode::CONFLICT, why.to_string()).of_kind(word);
        match refusal {
            Refusal::Malformed(why) => Self::new(StatusCode::BAD_REQUEST, why).of_kind("malformed"),
            Refusal::Elsewhere(_) => conflict("conflict", &refusal),
            Refusal::Behind => conflict("behind", &refusal),
            Refusal::Differs { .. } => conflict("differs", &refusal),
            Refusal::Other(error) => error.into(),
        }
    }
}
