//! What other providers ask of this one while a server moves (`export-format/MOVE.md` 3 to 10).
//!
//! These are the only routes beside the table of doors: nobody who calls here is a browser of ours. No cookie is read, so no
//! page can make a browser call in somebody's name; what a call may do, its bearer token says, which an owner consented to.
//! Messages are JSON of bounded length, refusals are problems with the protocol's own words.

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use control_plane::moves::{Refusal, Word, arriving, leaving, provider};
use export_format::moving::{
    HandoverRequest, MoveView, PROVIDER_PATH, RecallAnswer, RecallRequest, Round, RoundRequest, Signed, TokenRequest,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::context::Console;

/// The longest message of another provider that is read: the longest is a signed document.
const LONGEST: usize = 64 * 1024;

type Answer<T> = Result<T, Refusal>;

/// The calls of other providers.
pub(crate) fn router(console: Console) -> Router {
    Router::new()
        .route(PROVIDER_PATH, get(about_us))
        .route("/move/v1/tokens", post(tokens))
        .route("/move/v1/moves/{move}", get(stands))
        .route("/move/v1/moves/{move}/rounds", post(begin))
        .route("/move/v1/moves/{move}/rounds/{round}", get(round))
        .route("/move/v1/moves/{move}/rounds/{round}/archive", get(archive))
        .route("/move/v1/moves/{move}/handover", post(handover))
        .route("/move/v1/moves/{move}/settled", post(settled))
        .route("/move/v1/moves/{move}/cancel", post(cancel))
        .route("/move/v1/arrivals/{move}/recall", post(recall))
        .layer(DefaultBodyLimit::max(LONGEST))
        .layer(axum::middleware::map_response(plain))
        .with_state(console)
}

/// Whoever reads these is a program, and reads them now.
async fn plain(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static("default-src 'none'; sandbox"));
    answer
}

/// `GET /.well-known/pcc-provider`: for anybody, whatever page asks.
async fn about_us(State(console): State<Console>) -> Answer<Response> {
    let told = provider(console.plane()).await?;
    Ok(([(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")], Json(told)).into_response())
}

async fn tokens(State(console): State<Console>, Message(asked): Message<TokenRequest>) -> Answer<Response> {
    Ok(Json(leaving::tokens(console.plane(), &asked).await?).into_response())
}

async fn stands(State(console): State<Console>, Call(id): Call, headers: HeaderMap) -> Answer<Json<MoveView>> {
    Ok(Json(leaving::stands(console.plane(), id, token(&headers)?).await?))
}

async fn begin(
    State(console): State<Console>,
    Call(id): Call,
    headers: HeaderMap,
    Message(asked): Message<RoundRequest>,
) -> Answer<(StatusCode, Json<Round>)> {
    let round = leaving::begin(console.plane(), id, token(&headers)?, asked).await?;
    Ok((StatusCode::ACCEPTED, Json(round)))
}

/// How long the caller lets us wait for something to happen.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Patience {
    wait_ms: u64,
}

async fn round(
    State(console): State<Console>,
    path: Path<(String, String)>,
    patience: Result<Query<Patience>, QueryRejection>,
    headers: HeaderMap,
) -> Answer<Json<Round>> {
    let (id, number) = numbers(&path)?;
    let wait_ms = patience.map_or(0, |Query(patience)| patience.wait_ms);
    Ok(Json(leaving::round(console.plane(), id, token(&headers)?, number, wait_ms).await?))
}

async fn archive(
    State(console): State<Console>,
    path: Path<(String, String)>,
    headers: HeaderMap,
) -> Answer<Response<Body>> {
    let (id, number) = numbers(&path)?;
    leaving::archive(console.plane(), id, token(&headers)?, number, &headers).await
}

async fn handover(
    State(console): State<Console>,
    Call(id): Call,
    headers: HeaderMap,
    Message(asked): Message<HandoverRequest>,
) -> Answer<Response> {
    Ok(Json(leaving::handover(console.plane(), id, token(&headers)?, &asked).await?).into_response())
}

async fn settled(
    State(console): State<Console>,
    Call(id): Call,
    headers: HeaderMap,
    Message(accepted): Message<Signed>,
) -> Answer<Json<MoveView>> {
    Ok(Json(leaving::settled(console.plane(), id, token(&headers)?, &accepted).await?))
}

async fn cancel(State(console): State<Console>, Call(id): Call, headers: HeaderMap) -> Answer<Json<MoveView>> {
    Ok(Json(leaving::cancel(console.plane(), id, token(&headers)?).await?))
}

/// No token: the request is signed by the server that stood down.
async fn recall(
    State(console): State<Console>,
    Call(id): Call,
    Message(asked): Message<RecallRequest>,
) -> Answer<Json<RecallAnswer>> {
    Ok(Json(arriving::recalled(console.plane(), id, &asked).await?))
}

/// The move that a call is about.
struct Call(Uuid);

impl<S: Send + Sync> FromRequestParts<S> for Call {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let Path(id) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| unknown())?;
        Ok(Self(id.parse().map_err(|_| unknown())?))
    }
}

fn numbers(Path((id, round)): &Path<(String, String)>) -> Answer<(Uuid, u32)> {
    Ok((id.parse().map_err(|_| unknown())?, round.parse().map_err(|_| unknown())?))
}

fn unknown() -> Refusal {
    Refusal::new(Word::NotFound, "There is no such move or round.")
}

/// The token that a call shows.
fn token(headers: &HeaderMap) -> Answer<&str> {
    let shown = headers.get(header::AUTHORIZATION).and_then(|shown| shown.to_str().ok());
    let bearer = shown.and_then(|shown| shown.split_once(' ')).filter(|(way, _)| way.eq_ignore_ascii_case("bearer"));
    let (_, token) = bearer.ok_or_else(|| Refusal::new(Word::Token, "This call shows no token."))?;
    Ok(token.trim())
}

/// What a call says, whatever it says of its own kind.
struct Message<T>(T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Message<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Answer<Self> {
        let unreadable = || Refusal::new(Word::Malformed, "This message is too long or cannot be read.");
        let message = Bytes::from_request(request, state).await.map_err(|_| unreadable())?;
        Ok(Self(serde_json::from_slice(&message).map_err(|_| unreadable())?))
    }
}
