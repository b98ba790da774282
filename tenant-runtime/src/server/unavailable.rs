//! What a server answers that cannot serve: always the same, and the reason in words.

use axum::Router;
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::Error;
use crate::pages::{Note, guard, note};
use crate::problem::Problem;
use crate::schema;

/// A router that says why there is no service.
pub fn unavailable(error: &Error) -> Router {
    let detail = match error {
        Error::Schema(schema::Error::Newer { .. }) => {
            "The server's data was last used by a newer release than the one that runs now. It is untouched, and opens again with that release."
        }
        Error::Home(_) | Error::Schema(_) | Error::Sessions(_) | Error::Read(_) => {
            "The server's data cannot be opened at present. Nothing has been changed or removed; the provider has been told and must look."
        }
        Error::Key => "The provider has not set this server up completely. The server's data is untouched.",
    };
    Router::new().fallback(move |headers: HeaderMap| async move { answer(&headers, detail) })
}

fn answer(headers: &HeaderMap, detail: &'static str) -> Response {
    let for_people = headers.get(ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"text/html"));
    let mut response = match for_people {
        true => {
            let page = Note {
                title: "This server cannot open its data".into(),
                text: detail.into(),
                link: "/".into(),
                action: "Try again".into(),
                host: "Out of order".into(),
            };
            note(StatusCode::SERVICE_UNAVAILABLE, page)
        }
        false => {
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "cannot_open", detail);
            problem.retry_after(60).into_response()
        }
    };
    guard(response.headers_mut());
    response
}
