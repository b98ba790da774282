//! What went wrong, as the host reads it.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::api;
use crate::archive::Error;
use crate::{apps, sessions, store};

/// A refusal of the admin listener.
#[derive(Debug)]
pub(super) struct Problem {
    kind: &'static str,
    status: StatusCode,
    detail: String,
}

/// Before the words of MOVE.md 10.
const MOVING: &str = "https://pcc.example/problems/";

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { kind: "", status, detail: detail.into() }
    }

    /// The same, as one of the refusals that two providers have a word for.
    pub(super) fn of_kind(self, kind: &'static str) -> Self {
        Self { kind, ..self }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::Refused(_) | Error::Differs(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Error::Missing(_) => StatusCode::NOT_FOUND,
            Error::State(_) | Error::Renounced => StatusCode::CONFLICT,
            Error::Full(_) | Error::HostFull(_) => StatusCode::INSUFFICIENT_STORAGE,
            Error::Store(error)
            | Error::Apps(apps::Error::Store(error))
            | Error::Sessions(sessions::Error::Store(error)) => of_store(error.kind()),
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status.is_server_error() && !matches!(error, Error::Full(_)) {
            tracing::error!(error = error.chain(), "an admin request failed");
        }
        let problem = Self::new(status, error.to_string());
        if matches!(error, Error::Renounced) { problem.of_kind("cancelled") } else { problem }
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        Error::from(error).into()
    }
}

fn of_store(kind: store::Kind) -> StatusCode {
    match kind {
        store::Kind::Retry => StatusCode::SERVICE_UNAVAILABLE,
        store::Kind::Fix => StatusCode::UNPROCESSABLE_ENTITY,
        store::Kind::Gone => StatusCode::NOT_FOUND,
        store::Kind::Conflict => StatusCode::CONFLICT,
        store::Kind::Full => StatusCode::INSUFFICIENT_STORAGE,
        store::Kind::Bug => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let problem = api::Problem {
            kind: if self.kind.is_empty() { "about:blank".into() } else { format!("{MOVING}{}", self.kind) },
            title: self.status.canonical_reason().unwrap_or("Problem").into(),
            status: self.status.as_u16(),
            detail: self.detail,
        };
        let mut response = (self.status, Json(problem)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}
