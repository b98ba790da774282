//! Exports over the admin listener: begin, look, fetch in any ranges, release.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State as Shared};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::api::{ExportRequest, ExportState, ExportView};
use super::problem::Problem;
use super::range::{self, Wanted};
use super::state::{State, fresh_id, now_ms};
use crate::archive::export;

/// The longest a look waits for something to happen.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How long a look may wait for the state to change. The server stays awake meanwhile.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wait {
    #[serde(default)]
    wait_ms: u64,
}

impl Wait {
    /// Looks until `settled`, or until the time is over.
    pub(super) async fn until<T, F: Future<Output = Result<T, Problem>>>(
        &self,
        mut look: impl FnMut() -> F,
        settled: impl Fn(&T) -> bool,
    ) -> Result<T, Problem> {
        let until = tokio::time::Instant::now() + Duration::from_millis(self.wait_ms).min(LONGEST_WAIT);
        loop {
            let seen = look().await?;
            if settled(&seen) || tokio::time::Instant::now() >= until {
                return Ok(seen);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }
}

pub(super) async fn begin(
    Shared(state): Shared<State>,
    Json(mut request): Json<ExportRequest>,
) -> Result<(StatusCode, Json<ExportView>), Problem> {
    let id = request.id.take().unwrap_or_else(fresh_id);
    let view = state.exports().begin(&id, request, now_ms()).await?;
    Ok((StatusCode::ACCEPTED, Json(view)))
}

pub(super) async fn list(Shared(state): Shared<State>) -> Result<Json<Vec<ExportView>>, Problem> {
    Ok(Json(state.exports().list()?))
}

pub(super) async fn view(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    Query(wait): Query<Wait>,
) -> Result<Json<ExportView>, Problem> {
    let look = || async { Ok(state.exports().view(&id)?) };
    wait.until(look, |view| view.state != ExportState::Freezing).await.map(Json)
}

pub(super) async fn release(Shared(state): Shared<State>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    state.exports().release(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn archive(
    Shared(state): Shared<State>,
    method: Method,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let view = state.exports().view(&id)?;
    let frozen = state.exports().frozen(&id)?;
    let (len, etag) = (frozen.len(), frozen.etag());
    let wanted = range::wanted(&headers, len, &etag);
    let (status, bytes) = match &wanted {
        Wanted::Whole => (StatusCode::OK, 0..len),
        Wanted::Part(part) => (StatusCode::PARTIAL_CONTENT, part.clone()),
        Wanted::Unchanged => (StatusCode::NOT_MODIFIED, 0..0),
        Wanted::Beyond => (StatusCode::RANGE_NOT_SATISFIABLE, 0..0),
    };
    let mut response = if method == Method::HEAD || bytes.is_empty() {
        status.into_response()
    } else {
        (status, Body::from_stream(export::stream(state.exports().home().clone(), frozen, bytes.clone())))
            .into_response()
    };
    let out = response.headers_mut();
    let mut put = |name, value: String| HeaderValue::from_str(&value).map(|value| drop(out.insert(name, value)));
    let kind = if view.sealed { "application/octet-stream" } else { "application/zip" };
    let told = put(header::ETAG, etag)
        .and_then(|()| put(header::ACCEPT_RANGES, "bytes".into()))
        .and_then(|()| put(header::CACHE_CONTROL, "private, no-transform".into()))
        .and_then(|()| match &wanted {
            Wanted::Whole | Wanted::Part(_) => put(header::CONTENT_LENGTH, (bytes.end - bytes.start).to_string())
                .and_then(|()| put(header::CONTENT_TYPE, kind.into()))
                .and_then(|()| {
                    put(header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", view.file_name))
                }),
            Wanted::Unchanged | Wanted::Beyond => Ok(()),
        })
        .and_then(|()| match &wanted {
            Wanted::Part(part) => put(header::CONTENT_RANGE, format!("bytes {}-{}/{len}", part.start, part.end - 1)),
            Wanted::Beyond => put(header::CONTENT_RANGE, format!("bytes */{len}")),
            Wanted::Whole | Wanted::Unchanged => Ok(()),
        });
    told.map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(response)
}
