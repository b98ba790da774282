//! What a person sees when something they opened cannot be shown: what happened, what is safe, what to do.
//!
//! Every refusal is a [`Problem`](crate::problem::Problem) that programs read as JSON. Where a browser asked for a page
//! the same problem becomes one. What passes by itself is tried again by itself.

use askama::Template;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;

use super::plain::own;
use crate::problem::Told;

/// Something that went wrong, on a page.
#[derive(Template)]
#[template(path = "trouble.html")]
pub(crate) struct Trouble {
    /// What happened.
    pub(crate) title: &'static str,
    /// The reason, and what is safe.
    pub(crate) text: String,
    /// After how many seconds the page asks again by itself; never when 0.
    pub(crate) again: u32,
    /// Where to go instead.
    pub(crate) link: String,
    /// What going there does.
    pub(crate) action: String,
    /// The address on the plate.
    pub(crate) host: String,
}

/// Whether a browser asks for something to show in its window.
pub(crate) fn is_visit(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let navigates = text("sec-fetch-mode").is_none_or(|mode| mode == "navigate");
    navigates && text(header::ACCEPT.as_str()).is_some_and(|accept| accept.starts_with("text/html"))
}

/// The page of a problem, for the owner of the server at `host`; `console` is where the owner manages it.
pub(crate) fn page(status: StatusCode, told: &Told, host: String, console: &str) -> Response {
    let (title, passes) = match told.code {
        "storage_busy" => ("The storage does not answer just now", true),
        "storage_wrong" => ("The storage gave back something wrong", true),
        "moved" => ("Just a moment", true),
        "host_full" => ("The provider has no room just now", true),
        "no_room" => ("Your server is full", false),
        "internal" => ("Something went wrong", false),
        "not_signed_in" | "no_valid_token" => ("Please sign in", false),
        "not_granted" => ("This is not allowed", false),
        _ if status == StatusCode::NOT_FOUND => ("There is nothing here", false),
        _ => ("This cannot be done like that", false),
    };
    let again = if passes { told.retry_after.unwrap_or(5).clamp(2, 60) } else { 0 };
    let (link, action) = match status {
        _ if passes => (String::new(), "Try again".into()),
        StatusCode::UNAUTHORIZED | StatusCode::INSUFFICIENT_STORAGE => (console.to_owned(), "Open the console".into()),
        _ => ("/".to_owned(), "To the start".into()),
    };
    let mut response = own(status, &Trouble { title, text: told.detail.clone(), again, link, action, host });
    if let Some(seconds) = told.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The page of a server that cannot open its home.
pub(crate) fn out_of_order(status: StatusCode, title: &'static str, text: &str, again: u32) -> Response {
    let host = "Out of order".to_owned();
    let page = Trouble { title, text: text.to_owned(), again, link: String::new(), action: "Try again".into(), host };
    own(status, &page)
}
