//! An error at the edge: `application/problem+json` (RFC 9457).

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::{Error, Kind};

/// What a program is told about an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Which sort of problem, as a reference: `about:blank` when the status says it all.
    #[serde(rename = "type")]
    pub kind: String,
    /// The sort in words.
    pub title: String,
    /// The HTTP status, once more.
    pub status: u16,
    /// What happened this time, for people.
    pub detail: String,
    /// The form field to mend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The number to name when asking for help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// In how many seconds to ask again; a header says the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

impl Problem {
    /// A problem with this status and this sentence.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank".into(),
            title: status.canonical_reason().unwrap_or("Error").into(),
            status: status.as_u16(),
            detail: detail.into(),
            field: None,
            operation: None,
            retry_after: None,
        }
    }

    /// What may be said in public about `error`.
    pub fn of(error: &Error) -> Self {
        let field = error.field().map(str::to_owned);
        let retry_after = error.wait().map(|wait| wait.as_secs());
        Self { field, retry_after, ..Self::new(status_of(error), error.sentence()) }
    }

    /// Adds the number to name when asking for help.
    #[must_use]
    pub fn in_operation(self, id: impl ToString) -> Self {
        Self { operation: Some(id.to_string()), ..self }
    }
}

/// The HTTP status of an error.
pub fn status_of(error: &Error) -> StatusCode {
    if error.wait().is_some() { StatusCode::TOO_MANY_REQUESTS } else { status(error.kind()) }
}

/// The HTTP status of a kind of error.
pub fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Retry => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Fix => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::SignIn => StatusCode::UNAUTHORIZED,
        Kind::Denied => StatusCode::FORBIDDEN,
        Kind::Gone => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Full => StatusCode::INSUFFICIENT_STORAGE,
        Kind::Bug => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        if error.kind() == Kind::Bug {
            tracing::error!(error = error.chain(), "a request failed by our fault");
        }
        Self::of(&error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after;
        let mut response = (status, Json(self)).into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
