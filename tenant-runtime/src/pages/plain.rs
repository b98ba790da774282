//! Small pages that say one thing and lead on.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::policy;

/// One thing to say, and where to go from here.
#[derive(Template)]
#[template(path = "note.html")]
pub(crate) struct Note {
    /// The result.
    pub(crate) title: String,
    /// The reason, and what is safe.
    pub(crate) text: String,
    /// Where to go.
    pub(crate) link: String,
    /// What going there does.
    pub(crate) action: String,
    /// The address on the plate.
    pub(crate) host: String,
}

/// The page of a note.
pub(crate) fn note(status: StatusCode, note: Note) -> Response {
    own(status, &note)
}

/// One of our own pages.
pub(super) fn own(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => {
            let mut response = (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response();
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            policy::set(response.headers_mut(), policy::OWN);
            response
        }
        Err(error) => crate::problem::Problem::internal("rendering a page", &error).into_response(),
    }
}
