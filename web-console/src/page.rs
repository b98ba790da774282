//! A rendered page as an answer.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use control_plane::Error;

use crate::refusal::Refusal;

/// The answer of every handler that shows a page.
pub(crate) type Answer = Result<Response, Refusal>;

/// HTML as an answer.
pub(crate) fn page(status: StatusCode, html: String) -> Response {
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))], html).into_response()
}

/// Renders a page.
pub(crate) fn show(template: &impl Template) -> Answer {
    show_as(StatusCode::OK, template)
}

/// Renders a page with another status, such as a form that came back.
pub(crate) fn show_as(status: StatusCode, template: &impl Template) -> Answer {
    let html = template.render().map_err(|error| Refusal::of(Error::bug(error)))?;
    Ok(page(status, html))
}

/// A form that came back, or is shown the first time.
pub(crate) fn show_form(error: Option<&Error>, template: &impl Template) -> Answer {
    let mut response = show_as(error.map_or(StatusCode::OK, control_plane::status_of), template)?;
    if let Some(wait) = error.and_then(Error::wait) {
        response.headers_mut().insert(header::RETRY_AFTER, wait.as_secs().into());
    }
    Ok(response)
}

/// After something was done: on to a page that can be reloaded.
pub(crate) fn on_to(path: &str) -> Answer {
    Ok(axum::response::Redirect::to(path).into_response())
}

/// One field of a form, as it was sent and what is wrong with it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Field {
    pub(crate) value: String,
    pub(crate) error: Option<String>,
}

impl Field {
    /// As it was sent, with the reason when the error is about this field.
    pub(crate) fn judged(value: impl Into<String>, name: &str, error: Option<&Error>) -> Self {
        let about = error.filter(|error| error.field() == Some(name));
        Self { value: value.into(), error: about.map(|error| error.sentence().to_owned()) }
    }
}
